"""Commands to a running service: one section per command, validated when it arrives.

A `Request` carries the name of a command and its arguments as JSON data; `read_command` converts
them into one of these sections.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from pipeline.config.base import Name, Section

Label = Literal["normal", "anomaly"]
EventId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}-[0-9]{1,20}-[0-9]{1,20}$")]
SceneId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$")]
CameraDocument = dict[str, JsonValue]
"""A camera as in the configuration file, with unresolved placeholders."""


class CommandError(ValueError):
    """A request that is not a command; the message says what was got and what is wanted."""


class GetOverview(Section):
    """Return all cameras and all workers."""

    command: Literal["overview"] = "overview"


class GetLatencies(Section):
    """Return the latency of each stage."""

    command: Literal["latencies"] = "latencies"


class Attach(Section):
    """Add a camera."""

    command: Literal["attach"] = "attach"
    name: Name
    camera: CameraDocument = Field(repr=False)


class Change(Section):
    """Change a camera that was attached at run time; null removes a key (RFC 7386)."""

    command: Literal["change"] = "change"
    name: Name
    patch: CameraDocument = Field(repr=False)


class Detach(Section):
    """Remove a camera that was attached at run time; its scenes and events remain stored."""

    command: Literal["detach"] = "detach"
    name: Name


class SetEnabled(Section):
    """Enable or disable a camera."""

    command: Literal["set_enabled"] = "set_enabled"
    name: Name
    enabled: bool


class SetThreshold(Section):
    """Set the score at which events of a camera begin, in place of its setting `alert.enter`."""

    command: Literal["set_threshold"] = "set_threshold"
    name: Name
    threshold: float = Field(ge=0.05, le=100)


class SetTarget(Section):
    """Set the target rate of false alarms of a camera, in place of its setting in `alert`."""

    command: Literal["set_target"] = "set_target"
    name: Name
    false_alarms_per_day: float = Field(gt=0, le=1440)


class Reload(Section):
    """Read the configuration file again."""

    command: Literal["reload"] = "reload"


class AdaptCamera(Section):
    """Adapt a camera to its scene again."""

    command: Literal["adapt"] = "adapt"
    name: Name
    replace: list[Annotated[int, Field(ge=0, le=1000)]] = Field(default=[], max_length=1000)
    """Numbers of the support clips to replace by new ones; empty: all."""


class ListScenes(Section):
    """Return the stored scenes of a camera."""

    command: Literal["scenes"] = "scenes"
    name: Name


class Restore(Section):
    """Use an earlier scene of a camera."""

    command: Literal["restore"] = "restore"
    name: Name
    scene: SceneId


class GetTargetScores(Section):
    """Return the present scores of a camera that would be the threshold at other target rates."""

    command: Literal["target_scores"] = "target_scores"
    name: Name
    rates: list[Annotated[float, Field(gt=0, le=1440)]] = Field(max_length=64)
    """False alarms a day."""


class GetPicture(Section):
    """Return the newest frame of a camera."""

    command: Literal["picture"] = "picture"
    name: Name
    detail: Literal["kept", "small", "full"] = "kept"
    """kept: the newest frame that has a picture of the source's size; small: the newest frame, in
    the size that is scored; full: as kept, and for some seconds every frame gets such a picture."""


class AcceptAsNormal(Section):
    """Accept an event of a camera as normal in its scene; may be repeated for a longer event."""

    command: Literal["accept_as_normal"] = "accept_as_normal"
    name: Name
    event: EventId
    begin: float = Field(ge=0, le=1e11)
    """Begin of the event, Unix seconds."""
    end: float | None = Field(default=None, ge=0, le=1e11)
    """End of the event, Unix seconds; null: it is active."""
    newest: bool = False
    """Whether the newest frames of the event count most, as for an object that stays."""


class AcceptRecurring(Section):
    """Return which earlier time spans showed the same as an event of a camera."""

    command: Literal["accept_recurring"] = "accept_recurring"
    name: Name
    begin: float = Field(ge=0, le=1e11)
    """Begin of the event, Unix seconds."""
    end: float = Field(ge=0, le=1e11)
    """End of the event, Unix seconds."""
    earlier: list[tuple[float, float]] = Field(max_length=20)
    """Begin and end of each span, Unix seconds."""


class RevokeNormal(Section):
    """Revoke that an event of a camera was accepted as normal."""

    command: Literal["revoke_normal"] = "revoke_normal"
    name: Name
    event: EventId


class Annotate(Section):
    """Acknowledge or label an event or add a note; a field that is not set does not change."""

    command: Literal["annotate"] = "annotate"
    event: EventId
    acknowledged: bool = False
    label: Label | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None


Command: TypeAlias = (
    GetOverview
    | GetLatencies
    | Attach
    | Change
    | Detach
    | SetEnabled
    | SetThreshold
    | SetTarget
    | Reload
    | AdaptCamera
    | ListScenes
    | Restore
    | GetTargetScores
    | GetPicture
    | AcceptAsNormal
    | AcceptRecurring
    | RevokeNormal
    | Annotate
)
_COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="command")])


def read_command(name: str, arguments: Mapping[str, object]) -> Command:
    """Validate a command received over the wire.

    Raises:
        CommandError: there is no such command, or its arguments are invalid; the message names
            the fields, never their values.
    """
    try:
        return _COMMAND.validate_python({**arguments, "command": name})
    except ValidationError as error:
        raise CommandError(f"command {name!r:.40}: {problems_of(error)}") from None
    except RecursionError:
        raise CommandError(f"command {name!r:.40}: want data that is nested less deeply") from None


def arguments_of(command: Command) -> dict[str, Any]:
    """The arguments of a command as JSON data, for a `Request`."""
    return command.model_dump(mode="json", exclude={"command"}, exclude_unset=True)


def problems_of(error: ValidationError) -> str:
    """All problems in one line, without the values: one may be a password."""
    places = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, place['loc'][1:])) or 'it'}: {place['msg']}" for place in places[:5]
    )
