"""Normal video scored like a live camera: after adaptation and calibration every event is false.

A short video is repeated, and the counts say how much of it was new: repeated video shows the
effect of the threshold on known content, and nothing about other content.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

from cameras import SourceOptions, open_source
from cameras.folders import folders_in, images_in, videos_in
from models import SceneScorer
from models.calibration import Calibration, provisional
from models.calibrator import Calibrator, CalibratorSettings, calibrate_afterwards
from pipeline.config import AdaptSection
from pipeline.datasets.layout import DatasetError
from pipeline.evaluation.replay import replay
from pipeline.events.event_settings import EventSettings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import ScoreRecord
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.calibration_window import STEP_SECONDS
from pipeline.training.scenes import clips_in

FRAMES_PER_SECOND = 10.0
_FAST = SourceOptions(pace="fast")
ONE_SCENE = AdaptSection(on_light_change="ignore")
"""For measurements of one scene, which no other one takes over."""
_STEP_SECONDS = 1 / FRAMES_PER_SECOND
_SUPPORT_SHARE = 1 / 3
_PATIENCE = 10.0
"""Factor of the wanted time after which a scene that never finishes its calibration is given up."""


@dataclass(frozen=True, slots=True)
class Part:
    """One uninterrupted stretch of scored frames."""

    times: tuple[float, ...]
    """Rising, seconds of its own."""
    energies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class WatchedVideo:
    """Energies of a scene's normal video after its adaptation."""

    name: str
    support_energies: tuple[float, ...]
    parts: tuple[Part, ...]
    """In order; without a refit the frames of the support are not among them."""
    video_seconds: float
    """Length of the whole video."""
    minute: Part | None = None
    """Calibration samples of a refit scene; None: there was no refit."""
    minute_step_seconds: float = STEP_SECONDS
    """Time between two of these samples, where none is left out."""
    rest: tuple[Part, ...] = ()
    """The rest of the video after the refit, in the first pass."""


@dataclass(frozen=True, slots=True)
class Realised:
    """False alarms of one scene."""

    events: int
    watched_seconds: float
    """After the calibration."""
    new_seconds: float
    """Of these, the first pass of the video."""

    @property
    def per_day(self) -> float:
        """Events in 24 h of scored video; 0 where there is none."""
        return self.events / self.watched_seconds * 86_400 if self.watched_seconds else 0.0


def normal_videos(paths: Sequence[Path]) -> dict[str, list[str]]:
    """Scenes and their recordings, as addresses.

    Args:
        paths: Each a video file; a folder of images; a folder of such folders or of video files,
            which are recordings of one camera; or a folder of scenes, each of them such a folder of
            video files.

    Raises:
        DatasetError: there is no video in a path, or two scenes have one name.
    """
    scenes: dict[str, list[str]] = {}
    for path in paths:
        for name, recordings in _scenes_in(path).items():
            if name in scenes:
                raise DatasetError(f"{path}: want scenes of different names, got {name} twice")
            scenes[name] = [str(recording) for recording in recordings]
    return scenes


def _scenes_in(path: Path) -> dict[str, list[Path]]:
    if path.is_file():
        return {path.stem: [path]}
    if not path.is_dir():
        raise DatasetError(f"{path}: want a video or a folder of videos, got nothing")
    if images_in(path) or videos_in(path):
        return {path.name: clips_in(path)}
    scenes: dict[str, list[Path]] = {}
    images: list[Path] = []
    for folder in folders_in(path):
        if images_in(folder):
            images.append(folder)
        elif videos := videos_in(folder):
            scenes[folder.name] = videos
    if images:  # as UCSD's Train: one camera, a folder a recording
        name = path.parent.name if path.name.lower() == "train" else path.name
        scenes[name] = images
    if not scenes:
        raise DatasetError(f"{path}: want videos or folders of images in it, found none")
    return scenes


def watch(
    name: str,
    recordings: Sequence[str],
    scorer: SceneScorer,
    shots: int = 10,
    on_frame: Callable[[], None] = lambda: None,
    calibrate_seconds: float = 0.0,
    wide: int = 0,
    again: bool = True,
) -> WatchedVideo:
    """Adapt to a scene's first normal clips, and score the rest, once.

    The support is taken one clip a second; closer together where it would need more than a third of
    the video. With `wide` the scene is refit after the calibration window, for which a short video
    is repeated.

    Args:
        name: Of the scene.
        recordings: Addresses.
        scorer: The model.
        shots: K.
        on_frame: Called after each frame.
        calibrate_seconds: Length of the calibration window.
        wide: Support clips of the refit; 0: no refit.
        again: Score all of the video in the refit scene, not only the rest of it.

    Raises:
        DatasetError: the video is too short for a support.
        SourceError: a recording cannot be decoded.
    """
    seconds = sum(map(_length_seconds, recordings))
    interval = min(1.0, seconds * _SUPPORT_SHARE / shots)
    settings = AdaptationSettings(
        shots,
        max(interval, _STEP_SECONDS),
        calibrator=CalibratorSettings(calibrate_seconds if wide else 0.0),
        refit=wide,
    )
    adaptation = Adaptation(settings)
    parts = _play(recordings, scorer, adaptation, on_frame)
    if adaptation.scene is None or not (parts or adaptation.refit_result):
        raise DatasetError(
            f"{name}: want more normal video than {shots} support clips, got {seconds:.1f} s"
        )
    if not settings.can_refit(settings.candidates):
        return WatchedVideo(name, adaptation.scene.support_energies, tuple(parts), seconds)
    rest = parts if adaptation.refit_result is not None else []
    for _ in range(math.ceil(_PATIENCE * calibrate_seconds / seconds)):
        if adaptation.refit_result is not None:
            break
        parts = _play(recordings, scorer, adaptation, on_frame)
    if adaptation.refit_result is None:
        raise DatasetError(f"{name}: no refit scene after {calibrate_seconds:g} s")
    if again:
        parts = _play(recordings, scorer, adaptation, on_frame)
    minute = Part(adaptation.refit_result.seconds, adaptation.refit_result.energies)
    energies = adaptation.scene.support_energies
    step = adaptation.refit_result.step_seconds
    return WatchedVideo(name, energies, tuple(parts), seconds, minute, step, tuple(rest))


def _play(
    recordings: Sequence[str],
    scorer: SceneScorer,
    adaptation: Adaptation,
    on_frame: Callable[[], None],
) -> list[Part]:
    """Energies of all frames that were scored in the scene in use at the end."""
    parts: list[Part] = []
    wider = adaptation.refit_result
    for recording in recordings:
        times: list[float] = []
        energies: list[float] = []
        adaptation.connected()
        with open_source(recording, _FAST) as source:
            for frame in replay(source, scorer, adaptation, FRAMES_PER_SECOND, adapt=ONE_SCENE):
                on_frame()
                if adaptation.refit_result is not wider:
                    wider = adaptation.refit_result
                    parts, times, energies = [], [], []
                if frame.judgement.energy is not None:
                    times.append(frame.pts_seconds)
                    energies.append(frame.judgement.energy)
        if adaptation.refit_result is not wider:  # by the last frame
            wider = adaptation.refit_result
            parts, times, energies = [], [], []
        if times:
            parts.append(Part(tuple(times), tuple(energies)))
    return parts


def count_false_alarms(
    watched: WatchedVideo, settings: CalibratorSettings, seconds: float = 0.0
) -> Realised:
    """Calibrate like a camera, then count the events that raise an alert.

    The video is scored once, and then repeated until enough was scored; the calibration does not
    count; a refit scene is calibrated on its calibration samples. A seam between recordings is
    another connection.

    Args:
        watched: The scene.
        settings: Settings of the calibration with the target rate of alarms.
        seconds: Time to be scored after the calibration; 0: the video once.
    """
    calibration: Calibration | None = provisional(watched.support_energies)
    first = watched.parts
    if watched.minute is not None:
        first = watched.rest
        minute = watched.minute
        calibration = calibrate_afterwards(
            settings,
            watched.support_energies,
            minute.times,
            minute.energies,
            watched.minute_step_seconds,
        )
    assert calibration is not None  # otherwise there is no refit scene
    calibrator = Calibrator(settings, calibration)
    tracker = EventTracker(EventSettings(cooldown_seconds=0.0))
    events, counted, new, clock = 0, 0.0, 0.0, 0.0
    limit = _PATIENCE * (settings.calibrate_seconds + seconds)
    order = chain(
        ((part, False) for part in first), ((part, True) for part in cycle(watched.parts))
    )
    for connection, (part, again) in enumerate(order):
        if again and (counted >= seconds or clock > limit):
            break
        calibrator.connected()
        before = None
        for index, (time, energy) in enumerate(zip(part.times, part.energies, strict=True)):
            if again and counted >= seconds:
                break
            step = _STEP_SECONDS if before is None else time - before
            before, clock = time, clock + step
            ready = calibrator.done
            score = calibrator.read(time, energy).score
            if not ready:
                continue
            counted += step
            new += 0.0 if again else step
            record = ScoreRecord(watched.name, connection, index, time, clock, score, "ready")
            events += sum(change.kind == "new" for change in tracker.update(record))
    return Realised(events, counted, new)


def _length_seconds(recording: str) -> float:
    """From the first picture to the last, and one step."""
    with open_source(recording, _FAST) as source:
        info = source.info
        if info.frame_count is not None and info.frames_per_second:
            return info.frame_count / info.frames_per_second
        times = [picture.pts_seconds for picture in source]
    return times[-1] - times[0] + _STEP_SECONDS if times else 0.0
