"""Builds the scenes of all cameras, one after the other."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from queue import Empty, PriorityQueue, SimpleQueue

import cv2

from models import SceneScorer
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.build_results import BuiltScene, RefitRequest, RefitResult
from pipeline.scenes.refit import refit_scene
from pipeline.scenes.support_clips import encode
from pipeline.scenes.support_selection import build_scene

LOG = logging.getLogger(__name__)

_END, _FIRST_SCENE, _REFIT = range(3)
"""Ranks in the queue: the frames of a camera wait for its first scene."""


@dataclass(slots=True, eq=False)
class SceneBuild:
    """A scene that is to be built, and the result."""

    camera: str
    adaptation: Adaptation
    """For which the scene is built; when it is abandoned, the build is left out."""
    another: bool
    """Whether it becomes another scene of the camera, not a refit of the one in use."""
    apply: Callable[["SceneBuild"], None]
    """Takes the result, in the thread that calls `SceneBuilder.apply_results`."""
    refit: RefitRequest | None = None
    """What the scene is built of; None: the candidates of the adaptation."""
    built: BuiltScene | None = None
    support: bytes | None = None
    """The clips that the scene is built of, to be stored; None: they are stored already."""
    refitted: RefitResult | None = None
    """None also where too little of the request is usable."""
    failure: Exception | None = None
    seconds: float = 0.0
    """How long it took."""


@dataclass(frozen=True, slots=True, order=True)
class _QueuedBuild:
    rank: int
    number: int
    build: SceneBuild | None = field(compare=False, default=None)
    """None: the end of the queue."""


class SceneBuilder:
    """A queue of builds, and a thread that works on it, so that no camera waits for another one.

    First scenes come before refits, for which no frame waits.
    """

    def __init__(
        self, scorer: SceneScorer, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with an empty queue and without the thread.

        Args:
            scorer: The model.
            monotonic: Clock in seconds, for the durations.
        """
        self._scorer = scorer
        self._monotonic = monotonic
        self._requested: PriorityQueue[_QueuedBuild] = PriorityQueue()
        self._numbers = count()
        self._finished: SimpleQueue[SceneBuild] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="adaptation", daemon=True)
        self._thread.start()

    def request(self, build: SceneBuild) -> None:
        """Put a build into the queue."""
        rank = _FIRST_SCENE if build.refit is None else _REFIT
        self._requested.put(_QueuedBuild(rank, next(self._numbers), build))

    def build_pending(self) -> None:
        """Build all that is in the queue; only without the thread."""
        while True:
            try:
                queued = self._requested.get_nowait()
            except Empty:
                return
            if queued.build is not None:
                self._build(queued.build)

    def apply_results(self) -> None:
        """Hand the finished builds to `SceneBuild.apply`, but for those that were abandoned."""
        while True:
            try:
                build = self._finished.get_nowait()
            except Empty:
                return
            if not build.adaptation.abandoned:
                build.apply(build)

    def close(self) -> None:
        """Wait for the build in work, as the interpreter must not end while torch computes.

        The builds in the queue are left out.
        """
        if self._thread is not None:
            self._requested.put(_QueuedBuild(_END, next(self._numbers)))
            self._thread.join()

    def _run(self) -> None:
        while (build := self._requested.get().build) is not None:
            self._build(build)

    def _build(self, build: SceneBuild) -> None:
        if build.adaptation.abandoned:
            return
        begin = self._monotonic()
        try:
            if build.refit is None:
                build.built = build_scene(self._scorer, build.adaptation, build.camera)
                build.support = _encoded_support(build)
            else:
                build.refitted = refit_scene(self._scorer, build.refit, build.camera)
        except Exception as error:
            build.failure = error
        build.seconds = self._monotonic() - begin
        self._finished.put(build)


def _encoded_support(build: SceneBuild) -> bytes | None:
    """The support of a scene that was built, unless it is stored already."""
    support = None if build.built is None else build.built.support
    if support is None or build.adaptation.from_stored_clips:
        return None
    try:
        return encode(support)
    except (ValueError, cv2.error) as error:
        LOG.warning("camera %s: its support cannot be stored: %s", build.camera, error)
        return None
