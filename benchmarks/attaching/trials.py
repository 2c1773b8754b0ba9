"""Attach cameras to a running service, restart it, and change the views of its cameras."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.attaching.findings import (
    Attached,
    Restarted,
    ViewChange,
    before_stale,
    events_of,
    first,
    is_judged,
    rates,
)
from benchmarks.attaching.station import Station
from benchmarks.chaos.checks import back_at
from benchmarks.views import FAULTS, Projector

ANSWERS = ("ask", "readapt")
QUIET_SECONDS = 20.0
"""Time for which the rate of the other camera is measured before and after."""
_KINDS = ("moved", "covered", "defocused")
_FAULT_SECONDS = 3.0
_LINGER_SECONDS = 10.0
_CALM_SECONDS = 5.0


def ready(station: Station, camera: str, since: float) -> float:
    """Wait until a camera is calibrated; when that was seen, Unix seconds."""
    return station.wait_for_score("ready", camera, since, lambda one: one.state == "ready")[0]


def attach(
    station: Station, way: str, camera: str, url: str, other: str, *, calibrated: bool
) -> Attached:
    """Attach a camera, and measure its times and the rates of another camera.

    Args:
        station: Running.
        way: "REST", else `vedette camera add`, from the start of that command.
        camera: Its name.
        url: Its address.
        other: Name of a camera that is already scored.
        calibrated: Whether to wait until it is ready, too.

    Raises:
        TimeoutError: it is not scored in time.
    """
    begins_at = time.time()
    time.sleep(QUIET_SECONDS)
    asked_at = time.time()
    if way.startswith("REST"):
        station.ask("POST", "/cameras", {"name": camera, "camera": {"source": {"url": url}}})
    else:
        station.command("add", camera, url)
    states: dict[str, float] = {}

    def is_watched() -> bool:
        states.setdefault(station.states().get(camera, ""), time.time() - asked_at)
        return "watching" in states

    station.wait_for(f"{camera} to be watched", is_watched)
    seen_at, _ = station.wait_for_score(
        "score", camera, asked_at, lambda one: one.score is not None
    )
    calibrated_at = ready(station, camera, asked_at) if calibrated else None
    ends_at = seen_at + QUIET_SECONDS
    time.sleep(max(0.0, ends_at + 1.0 - time.time()))  # the last scores are still in transit
    first_frame = first(station.service.seen, camera, asked_at, lambda _: True)
    assert first_frame is not None  # it has a score
    return Attached(
        way,
        first_frame=first_frame[1].captured_at - asked_at,
        adapting=states.get("adapting"),
        first_score=seen_at - asked_at,
        watching=states["watching"],
        ready=None if calibrated_at is None else calibrated_at - asked_at,
        rates=rates(station.records(other), begins_at, asked_at, seen_at, ends_at),
    )


def detach(station: Station, camera: str) -> None:
    """Detach a camera."""
    station.ask("DELETE", f"/cameras/{camera}")
    station.wait_for(f"{camera} to go", lambda: camera not in station.states())


def restart(station: Station, cameras: Sequence[str]) -> Restarted:
    """Stop the service, start it again, and wait for scores of all cameras.

    Raises:
        TimeoutError: they do not come.
    """
    since = station.restart()

    def at(camera: str) -> float | None:
        return back_at(station.service.seen, [camera], since)

    station.wait_for("scores", lambda: all(at(camera) is not None for camera in cameras))
    time.sleep(_CALM_SECONDS)  # so that heartbeats have updated all counters
    count = partial(station.metric, "vedette_adaptations_total")
    return Restarted(
        {camera: (at(camera) or since) - since for camera in cameras},
        {camera: count(camera=camera, result="resumed") for camera in cameras},
        {camera: count(camera=camera, result="ok") for camera in cameras},
    )


class ViewTrial:
    """Cameras with the same view and different settings of `on_view_change`."""

    def __init__(self, station: Station, projector: Projector, known: str, other: str) -> None:
        """Prepare a trial.

        Args:
            station: Running, with a camera for each setting, named after it.
            projector: Shows the known view to all of them.
            known: Its film.
            other: Film of another view.
        """
        self._station = station
        self._projector = projector
        self._known = known
        self._other = other

    def run(self, say: Callable[[str], None]) -> list[ViewChange]:
        """Cover the known view, take it out of focus, and turn to the other one.

        Raises:
            TimeoutError: the cameras are not ready, or have open events.
        """
        for camera in ANSWERS:
            ready(self._station, camera, 0.0)
        found = []
        for fault in FAULTS:
            say(f"{self._known} is {fault} …")
            found += self._change(fault)
        say(f"{self._known} gives way to {self._other} …")
        return found + self._change("moved")

    def _change(self, kind: str) -> list[ViewChange]:
        """Change the view, and collect the reaction."""
        self._station.wait_for("the end of all events", self._is_calm)
        counted = {camera: self._counts(camera) for camera in ANSWERS}
        changed_at = self._projector.show(self._other if kind == "moved" else kind)
        stale = {camera: self._stale_at(camera, changed_at) for camera in ANSWERS}
        returned_at: float | None = None
        if kind in FAULTS:
            time.sleep(_FAULT_SECONDS)
            returned_at = self._projector.show(self._known)
        elif stale["ask"] is not None:
            self._station.ask("POST", "/cameras/ask/adapt")
        since = {camera: returned_at or stale_at for camera, stale_at in stale.items()}
        judged = {camera: self._judged_at(camera, since[camera]) for camera in ANSWERS}
        time.sleep(_LINGER_SECONDS)
        until = time.time()
        found = []
        for camera in ANSWERS:
            stale_at, judged_at = stale[camera], judged[camera]
            reported = self._counts(camera)
            reported.subtract(counted[camera])
            marks = changed_at, stale_at or until, judged_at or until, until
            found.append(
                ViewChange(
                    scenes=f"{self._known}, then {self._other}",
                    kind=kind,
                    answer=camera,
                    scenes_made=reported.pop("scenes"),
                    reported=dict(reported),
                    stale_seconds=_between(changed_at, stale_at),
                    before=before_stale(self._station.records(camera), changed_at),
                    judged_seconds=_between(since[camera], judged_at),
                    events=events_of(self._station.events(), camera, *marks),
                )
            )
        return found

    def _is_calm(self) -> bool:
        """Whether no event goes on, and the newest frames of all cameras are judged and low."""
        if any(event.ended_at is None for event in self._station.events()):
            return False
        since = time.time() - _CALM_SECONDS
        for camera in ANSWERS:
            newest = [
                one for one in self._station.records(camera)[-100:] if one.captured_at > since
            ]
            if not newest or not all(is_judged(one) and (one.score or 0) < 1 for one in newest):
                return False
        return True

    def _counts(self, camera: str) -> Counter[str]:
        count = partial(self._station.metric, camera=camera)
        counts = Counter({kind: count("vedette_view_changes_total", kind=kind) for kind in _KINDS})
        counts["scenes"] = count("vedette_adaptations_total", result="ok")
        return counts

    def _stale_at(self, camera: str, since: float) -> float | None:
        try:
            found = self._station.wait_for_score(
                "stale", camera, since, lambda one: one.state == "stale"
            )
        except TimeoutError:
            return None
        return found[1].captured_at

    def _judged_at(self, camera: str, since: float | None) -> float | None:
        if since is None:
            return None
        try:
            found = self._station.wait_for_score("judged", camera, since, is_judged)
        except TimeoutError:
            return None
        return found[1].captured_at


def _between(begin: float | None, end: float | None) -> float | None:
    return None if begin is None or end is None else end - begin
