"""What the scoring worker is asked to do with one camera: adapt, restore, remember, show."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from pipeline.scenes.scene_history import NoSceneError
from pipeline.scoring.camera_set import CameraSet
from pipeline.transport.commands import (
    AcceptAsNormal,
    AcceptRecurring,
    AdaptCamera,
    CommandError,
    GetPicture,
    ListScenes,
    Restore,
    RevokeNormal,
    read_command,
)
from pipeline.transport.messages import Answer, FrameMessage, Request


@dataclass(frozen=True, slots=True, eq=False)
class NewestFrame:
    """The newest frame of a camera."""

    frame: FrameMessage
    score: float | None
    anomaly_map: npt.NDArray[np.float32] | None
    """float32 (h, w) in units of the score; None while there is no energy."""


class CommandHandler:
    """Carries out what concerns the camera scorers of the scoring worker."""

    def __init__(
        self,
        camera_scorers: CameraSet,
        seen: Mapping[str, NewestFrame],
        newest: Mapping[str, NewestFrame] | None = None,
        want_pictures: Callable[[str], None] = lambda camera: None,
    ) -> None:
        """Prepare.

        Args:
            camera_scorers: The cameras.
            seen: Newest frame with a picture of each camera.
            newest: Newest frame of each camera; None: the same.
            want_pictures: Called with a camera whose frames shall all have pictures for a while.
        """
        self._camera_scorers = camera_scorers
        self._seen = seen
        self._newest = seen if newest is None else newest
        self._want_pictures = want_pictures

    def carry_out(self, request: Request) -> Answer:
        """Do what is asked for, and say what became of it."""
        try:
            command = read_command(request.command, request.arguments)
        except CommandError as error:
            return Answer(request.id, "invalid", problem=str(error))
        match command:
            case AdaptCamera(name=name) if name in self._camera_scorers:
                self._camera_scorers[name].adapt_anew("asked for")
                return Answer(request.id, "ok")
            case GetPicture(name=name) if name in self._camera_scorers:
                return self._show(request, command)
            case ListScenes(name=name) if name in self._camera_scorers:
                scenes = [
                    asdict(scene) for scene in self._camera_scorers.builder.history.scenes(name)
                ]
                return Answer(request.id, "ok", {"scenes": scenes})
            case Restore(name=name, scene=scene) if name in self._camera_scorers:
                return self._restore(request, name, scene)
            case AcceptRecurring(name=name) if name in self._camera_scorers:
                span, spans = (command.begin, command.end), command.earlier
                alike = self._camera_scorers.feedback.alike(
                    name, self._camera_scorers[name], span, spans
                )
                return Answer(request.id, "ok", {"alike": alike})
            case AcceptAsNormal() | RevokeNormal():
                return self._learn(request, command)
            case (
                AdaptCamera(name=name)
                | GetPicture(name=name)
                | ListScenes(name=name)
                | Restore(name=name)
                | AcceptRecurring(name=name)
            ):
                problem = f"camera {name}: the scorer does not know it yet"
                return Answer(request.id, "unavailable", problem=problem)
            case _:
                problem = f"{command.command}: the scorer does not serve it"
                return Answer(request.id, "invalid", problem=problem)

    def _restore(self, request: Request, name: str, scene: str) -> Answer:
        try:
            self._camera_scorers.builder.history.restore(name, scene)
        except NoSceneError as error:
            return Answer(request.id, "unknown", problem=f"camera {name}: {error}")
        except OSError as error:
            problem = f"camera {name}: cannot be restored: {error.strerror}"
            return Answer(request.id, "failed", problem=problem)
        self._camera_scorers.reopen(name)
        return Answer(request.id, "ok")

    def _learn(self, request: Request, command: AcceptAsNormal | RevokeNormal) -> Answer:
        name, event = command.name, command.event
        try:
            if isinstance(command, RevokeNormal):
                self._camera_scorers.feedback.forget(name, event)
                remembered = False
            else:
                span = command.begin, command.end
                feedback, newest = self._camera_scorers.feedback, command.newest
                remembered = feedback.remember(name, event, *span, newest=newest)
        except OSError as error:
            problem = f"camera {name}: its memory cannot be written: {error.strerror}"
            return Answer(request.id, "failed", problem=problem)
        return Answer(request.id, "ok", {"remembered": remembered})

    def _show(self, request: Request, command: GetPicture) -> Answer:
        name = command.name
        if command.detail == "full":
            self._want_pictures(name)
        seen = (self._newest if command.detail == "small" else self._seen).get(name)
        if seen is None:
            return Answer(request.id, "unavailable", problem=f"camera {name}: no frame so far")
        body: dict[str, object] = {
            "captured_at": seen.frame.captured_at,
            "age_seconds": time.monotonic() - seen.frame.sent_at,
            "score": seen.score,
        }
        return Answer(
            request.id,
            "ok",
            body,
            anomaly_map=seen.anomaly_map,
            pixels=seen.frame.pixels,
            source_hw=seen.frame.source_hw,
            picture=seen.frame.picture,
        )
