"""Commands to the scoring worker for one camera: adapt, restore, accept as normal, show."""

from dataclasses import asdict

from pipeline.scenes.scene_history import NoSceneError
from pipeline.scenes.scene_paths import SUPPORT
from pipeline.scoring.camera_set import CameraSet
from pipeline.scoring.feedback import accept_as_normal, revoke_normal
from pipeline.transport.commands import (
    AcceptAsNormal,
    AcceptRecurring,
    AdaptCamera,
    CommandError,
    GetPicture,
    GetTargetScores,
    ListScenes,
    Restore,
    RevokeNormal,
    read_command,
)
from pipeline.transport.messages import Answer, Request


class CommandHandler:
    """Handles the commands that concern the scenes of cameras."""

    def __init__(self, cameras: CameraSet) -> None:
        self._cameras = cameras

    def handle(self, request: Request) -> Answer:
        """Do what is requested; the answer says with what result."""
        try:
            command = read_command(request.command, request.arguments)
        except CommandError as error:
            return Answer(request.id, "invalid", problem=str(error))
        match command:
            case AdaptCamera(name=name) if name in self._cameras:
                return self._adapt(request, name, set(command.replace))
            case GetPicture(name=name) if name in self._cameras:
                return self._show(request, command)
            case ListScenes(name=name) if name in self._cameras:
                history = self._cameras.shared.store.history
                scenes = [
                    {
                        **asdict(scene),
                        "has_support": (history.place(name, scene) / SUPPORT).is_file(),
                    }
                    for scene in history.scenes(name)
                ]
                return Answer(request.id, "ok", {"scenes": scenes})
            case GetTargetScores(name=name) if name in self._cameras:
                adaptation = self._cameras[name].adaptation
                scores = [adaptation.score_at_rate(rate) for rate in command.rates]
                return Answer(request.id, "ok", {"scores": None if None in scores else scores})
            case Restore(name=name, scene=scene) if name in self._cameras:
                return self._restore(request, name, scene)
            case AcceptRecurring(name=name) if name in self._cameras:
                span = command.begin, command.end
                alike = self._cameras[name].feedback.alike(span, command.earlier)
                return Answer(request.id, "ok", {"alike": alike})
            case AcceptAsNormal() | RevokeNormal():
                return self._change_feedback(request, command)
            case (
                AdaptCamera(name=name)
                | GetPicture(name=name)
                | ListScenes(name=name)
                | GetTargetScores(name=name)
                | Restore(name=name)
                | AcceptRecurring(name=name)
            ):
                problem = f"camera {name}: the scorer has no such camera yet"
                return Answer(request.id, "unavailable", problem=problem)
            case _:
                problem = f"{command.command}: the scorer has no such command"
                return Answer(request.id, "invalid", problem=problem)

    def _adapt(self, request: Request, name: str, replace: set[int]) -> Answer:
        scorer = self._cameras[name]
        if not replace:
            scorer.stepper.adapt_again("asked for")
            return Answer(request.id, "ok")
        support = None
        if scorer.is_stored:
            size_hw = scorer.settings.detect.size_hw
            support = self._cameras.shared.store.load_support(name, size_hw)
        if support is None:
            problem = f"camera {name}: the clips of its scene are not stored; adapt without them"
            return Answer(request.id, "conflict", problem=problem)
        kept = [number for number in range(len(support.clips)) if number not in replace]
        if len(kept) + len(replace) != len(support.clips):
            problem = f"replace: want numbers below {len(support.clips)}, got {max(replace)}"
            return Answer(request.id, "invalid", problem=problem)
        scorer.stepper.adapt_again("frames replaced", support.selected(kept) if kept else None)
        return Answer(request.id, "ok")

    def _restore(self, request: Request, name: str, scene: str) -> Answer:
        try:
            self._cameras.shared.store.history.restore(name, scene)
        except NoSceneError as error:
            return Answer(request.id, "unknown", problem=f"camera {name}: {error}")
        except OSError as error:
            problem = f"camera {name}: cannot be restored: {error.strerror}"
            return Answer(request.id, "failed", problem=problem)
        self._cameras[name].reopen()
        return Answer(request.id, "ok")

    def _change_feedback(self, request: Request, command: AcceptAsNormal | RevokeNormal) -> Answer:
        name, event, shared = command.name, command.event, self._cameras.shared
        scorer = self._cameras.get(name)  # None: the camera was removed, its events were not
        try:
            if isinstance(command, RevokeNormal):
                changed = revoke_normal(shared, name, event)
                accepted = False
            else:
                if scorer is not None:
                    scorer.feedback.store_pending()
                span = command.begin, command.end
                changed = accepted = accept_as_normal(shared, name, event, span, command.newest)
        except OSError as error:
            problem = f"camera {name}: its accepted events cannot be written: {error.strerror}"
            return Answer(request.id, "failed", problem=problem)
        if changed and scorer is not None:
            scorer.feedback.reload()
        return Answer(request.id, "ok", {"remembered": accepted})

    def _show(self, request: Request, command: GetPicture) -> Answer:
        name, camera = command.name, self._cameras[command.name]
        if command.detail == "full":
            camera.request_pictures()
        newest = camera.latest if command.detail == "small" else camera.newest
        if newest is None:
            return Answer(request.id, "unavailable", problem=f"camera {name}: no frame so far")
        frame = newest.frame
        body: dict[str, object] = {
            "captured_at": frame.captured_at,
            "age_seconds": self._cameras.shared.clock.monotonic() - frame.sent_at,
            "score": newest.judgement.score,
        }
        return Answer(
            request.id,
            "ok",
            body,
            anomaly_map=newest.anomaly_map,
            pixels=frame.pixels,
            source_hw=frame.source_hw,
            picture=frame.picture,
        )
