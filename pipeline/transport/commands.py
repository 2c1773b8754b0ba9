"""What the service can be told to do while it runs: one section a command, checked as it arrives.

A `Request` carries a command's name and its arguments as JSON data; `read_command` makes one of
these of them. Their JSON schemas are those of the REST API's bodies.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from pipeline.config.base import Name, Section

Label = Literal["normal", "anomaly"]
EventId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}-[0-9]{1,20}-[0-9]{1,20}$")]
SceneId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$")]
CameraDocument = dict[str, JsonValue]
"""A camera as it would stand in the configuration file, placeholders and all."""


class CommandError(ValueError):
    """A request that is no command; the text says what was got and what is wanted."""


class GetOverview(Section):
    """Tell all cameras and all workers."""

    command: Literal["overview"] = "overview"


class Attach(Section):
    """Watch one more camera."""

    command: Literal["attach"] = "attach"
    name: Name
    camera: CameraDocument = Field(repr=False)


class Change(Section):
    """Change a camera that was attached at run time; null takes a key away (RFC 7386)."""

    command: Literal["change"] = "change"
    name: Name
    patch: CameraDocument = Field(repr=False)


class Detach(Section):
    """Forget a camera that was attached at run time; its scenes and events stay."""

    command: Literal["detach"] = "detach"
    name: Name


class SetEnabled(Section):
    """Watch a camera, or leave it alone for a while."""

    command: Literal["switch"] = "switch"
    name: Name
    enabled: bool


class SetThreshold(Section):
    """Let events of a camera begin at another score than its settings say (`alert.enter`)."""

    command: Literal["tune"] = "tune"
    name: Name
    threshold: float = Field(ge=0.05, le=100)


class Reload(Section):
    """Read the configuration file again."""

    command: Literal["reload"] = "reload"


class AdaptCamera(Section):
    """Adapt a camera to its scene anew."""

    command: Literal["adapt"] = "adapt"
    name: Name


class ListScenes(Section):
    """Tell the scenes that a camera has had."""

    command: Literal["scenes"] = "scenes"
    name: Name


class Restore(Section):
    """Go on with an earlier scene of a camera."""

    command: Literal["restore"] = "restore"
    name: Name
    scene: SceneId


class GetPicture(Section):
    """Show what a camera saw last."""

    command: Literal["picture"] = "picture"
    name: Name
    detail: Literal["kept", "small", "full"] = "kept"
    """kept: the newest frame that has a picture of the source's size; small: the newest frame, in
    the size that is scored; full: as kept, and for some seconds every frame gets such a picture."""


class AcceptAsNormal(Section):
    """Let what an event of a camera showed be normal in its scene; again: with what is kept now."""

    command: Literal["remember"] = "remember"
    name: Name
    event: EventId
    begin: float = Field(ge=0, le=1e11)
    """When the event began, Unix seconds."""
    end: float | None = Field(default=None, ge=0, le=1e11)
    """When it ended; null: it goes on."""
    newest: bool = False
    """Whether what it showed last counts most, as of what stays."""


class AcceptRecurring(Section):
    """Say which earlier spans of time showed the same as an event of a camera."""

    command: Literal["recurs"] = "recurs"
    name: Name
    begin: float = Field(ge=0, le=1e11)
    """When the event began, Unix seconds."""
    end: float = Field(ge=0, le=1e11)
    """When it ended."""
    earlier: list[tuple[float, float]] = Field(max_length=20)
    """Begin and end of each span, Unix seconds."""


class RevokeNormal(Section):
    """Let what an event of a camera showed be what it was."""

    command: Literal["forget"] = "forget"
    name: Name
    event: EventId


class Annotate(Section):
    """Say what a person knows of an event; what is not set stays as it was."""

    command: Literal["annotate"] = "annotate"
    event: EventId
    acknowledged: bool = False
    label: Label | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None


Command: TypeAlias = (
    GetOverview
    | Attach
    | Change
    | Detach
    | SetEnabled
    | SetThreshold
    | Reload
    | AdaptCamera
    | ListScenes
    | Restore
    | GetPicture
    | AcceptAsNormal
    | AcceptRecurring
    | RevokeNormal
    | Annotate
)
_COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="command")])


def read_command(name: str, arguments: Mapping[str, object]) -> Command:
    """Check a command as it came over the wire.

    Raises:
        CommandError: there is no such command, or its arguments are not what it takes; the text
            names places, and never the values that stood there.
    """
    try:
        return _COMMAND.validate_python({**arguments, "command": name})
    except ValidationError as error:
        raise CommandError(f"command {name!r:.40}: {problems_of(error)}") from None
    except RecursionError:
        raise CommandError(f"command {name!r:.40}: want data that is less deep") from None


def arguments_of(command: Command) -> dict[str, Any]:
    """The arguments of a command as JSON data, for a `Request`."""
    return command.model_dump(mode="json", exclude={"command"}, exclude_unset=True)


def problems_of(error: ValidationError) -> str:
    """All problems in one line, without what was got: that may be a password."""
    places = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(
        f"{'.'.join(map(str, place['loc'][1:])) or 'it'}: {place['msg']}" for place in places[:5]
    )
