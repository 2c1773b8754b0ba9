"""Time until an attached camera is scored, and the reaction to a changed view.

    VEDETTE_DATA=FOLDER python -m benchmarks.attaching

`vedette run` as a process of its own, with the settings of a new user, and RTSP cameras on the
loopback interface. Cameras are attached by REST and by the command line beside one that is watched;
the service is started again; cameras are covered, blurred, and turned from one scene to another.
VEDETTE_DATA names a folder with real scenes in `scenes/`; without it the cameras show synthetic
streets. The exit status is 1 where the other camera was slowed down, a stored scene was not used,
or a change of the view was reported as another kind or raised an alert afterwards.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.attaching.findings import Attached, Restarted, ViewChange, spread
from benchmarks.attaching.station import AUTHENTICATION, Station, address
from benchmarks.attaching.trials import ANSWERS, ViewTrial, attach, detach, ready, restart
from benchmarks.three_cameras import table
from benchmarks.views import Projector, write_faults, write_scene
from cameras.simulation.rtsp_server import RtspServer
from cameras.source import SourceError
from pipeline.datasets.layout import DatasetError

WATCHED, ATTACHED = "corner", "gate"
KEPT = "REST, kept scene"
WAYS = ("REST", "command line", KEPT)
REAL_PAIRS = (
    ("kraten_road", "vehicle_surveillance_ahm"),
    ("pets2009_s2l1_view1", "cdnet_office"),
    ("cdnet_office", "ubnormal_normal_scene_6_scenario_5"),
)
MADE_PAIRS = (("street1", "street2"),)
_WIDTH = 130


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="cameras attached in each way")
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument(
        "--pair", nargs=2, action="append", metavar="SCENE", help="a view, and the one after it"
    )
    parser.add_argument("--part", choices=("attach", "views"), help="only this")
    parser.add_argument("--fps", type=float, default=10.0, help="scored a second, as detect.fps")
    parser.add_argument("--weights", default="vedette", help="shipped name or path")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same as one object")
    options = parser.parse_args()
    if options.repeats < 1 or options.restarts < 1:
        parser.error("want one repeat and one restart at least")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))  # never without stopping the service
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    root = os.environ.get("VEDETTE_DATA")
    collection = None if root is None else Path(root) / "scenes"
    pairs = options.pair or (MADE_PAIRS if collection is None else REAL_PAIRS)
    scenes = "real scenes" if collection else "synthetic streets, as VEDETTE_DATA is not set"
    console.print(
        f"Cameras show {scenes}, {options.fps:g} frames a second are to be scored of each. "
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} before this began."
    )
    with tempfile.TemporaryDirectory(prefix="vedette-attaching-") as folder:
        bench = Bench(Path(folder), collection, options, console)
        problem = None
        try:
            if options.part != "views":
                bench.attach(pairs[0])
            if options.part != "attach":
                for pair in pairs:
                    bench.change_views(pair)
        except (DatasetError, SourceError, TimeoutError) as error:
            problem = str(error)
        except KeyError as error:
            problem = f"no scene {error} in {collection}"
    report(console, bench.attached, bench.restarts, bench.changes)
    if options.json:
        shown = {
            "attached": [*map(asdict, bench.attached)],
            "restarts": [*map(asdict, bench.restarts)],
            "changes": [*map(asdict, bench.changes)],
        }
        options.json.write_text(json.dumps(shown, indent=1) + "\n")
    if problem is not None:
        raise SystemExit(f"attaching: {problem}")
    sys.exit(0 if bench.is_well else 1)


class Bench:
    """Films, cameras and services of the measurements."""

    def __init__(
        self,
        folder: Path,
        collection: Path | None,
        options: argparse.Namespace,
        console: Console,
    ) -> None:
        self._folder = folder
        self._collection = collection
        self._options = options
        self._console = console
        self.attached: list[Attached] = []
        self.restarts: list[Restarted] = []
        self.changes: list[ViewChange] = []

    @property
    def is_well(self) -> bool:
        """Whether rates held, all stored scenes were used, and all changes were reported."""
        return (
            all(one.rates.holds for one in self.attached)
            and all(one.adapting is None for one in self.attached if one.way == KEPT)
            and all(one.kept for one in self.restarts)
            and all(one.right for one in self.changes)
        )

    def attach(self, scenes: Sequence[str]) -> None:
        """Attach cameras repeatedly; then restart the service repeatedly."""
        shown = dict(zip((WATCHED, ATTACHED), scenes, strict=True))
        projectors = {name: Projector(self._films(scene), scene) for name, scene in shown.items()}
        mounts = {name: projector.mount for name, projector in projectors.items()}
        name = ""
        with RtspServer(mounts, authentication=AUTHENTICATION) as server:
            url = address(server, ATTACHED)
            cameras = {WATCHED: {"source": address(server, WATCHED)}}
            with self._station("attach", cameras) as station:
                self._say(f"{WATCHED} shows {shown[WATCHED]}, and is adapted to …")
                ready(station, WATCHED, 0.0)
                for number in range(self._options.repeats):
                    for way in WAYS:
                        kept = way == KEPT  # under the name of the one before
                        name = name if kept else f"{ATTACHED}-{number}-{WAYS.index(way)}"
                        self._say(f"attaching {name}, {way} …")
                        self.attached.append(
                            attach(station, way, name, url, WATCHED, calibrated=not kept)
                        )
                        if number < self._options.repeats - 1 or not kept:
                            detach(station, name)
                for _ in range(self._options.restarts):
                    self._say("starting again …")
                    self.restarts.append(restart(station, [WATCHED, name]))

    def change_views(self, scenes: Sequence[str]) -> None:
        """Show the cameras of one service other content than they are adapted to."""
        known, other = scenes
        films = self._films(known, other)
        films |= write_faults(films[known])
        projector = Projector(films, known)
        with RtspServer({"view": projector.mount}, authentication=AUTHENTICATION) as server:
            source = address(server, "view")
            cameras = {
                answer: {"source": source, "adapt": {"on_view_change": answer}}
                for answer in ANSWERS
            }
            with self._station(f"views{len(self.changes)}", cameras) as station:
                self._say(f"two cameras are adapted to {known} …")
                self.changes += ViewTrial(station, projector, known, other).run(self._say)

    def _station(self, folder: str, cameras: Mapping[str, object]) -> Station:
        options = self._options
        return Station(self._folder / folder, cameras, options.weights, options.fps)

    def _films(self, *scenes: str) -> dict[str, Path]:
        paths = {scene: self._folder / f"{scene}.mp4" for scene in scenes}
        for scene, path in paths.items():
            if not path.exists():
                self._say(f"filming {scene} …")
                write_scene(self._folder, scene, self._collection)
        return paths

    def _say(self, what: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')}  {what}", highlight=False, markup=False)


def report(
    console: Console,
    attached: Sequence[Attached],
    restarts: Sequence[Restarted],
    changes: Sequence[ViewChange],
) -> None:
    """Print the results."""
    if attached:
        ways = {way: [one for one in attached if one.way == way] for way in WAYS}
        console.print("\nSeconds from the request, median (lowest to highest)")
        console.print(attached_table(ways))
        console.print("\nScores a second of the camera that was watched already")
        console.print(rates_table(ways))
    if restarts:
        console.print("\nSeconds from the start of the service to the first score")
        console.print(restarts_table(restarts))
    for scenes in dict.fromkeys(one.scenes for one in changes):
        console.print(f"\n{scenes}", highlight=False, markup=False)
        console.print(changes_table([one for one in changes if one.scenes == scenes]))
    if changes:
        console.print(
            "\nStale: seconds from the change. Judged again: seconds from the return of the known "
            "view, or from stale to the first score of the new scene. Events: before the camera "
            "was stale, until it was judged again, and in the ten seconds after."
        )


def attached_table(ways: Mapping[str, Sequence[Attached]]) -> Table:
    """One row a way."""
    heads = "way", "first frame", "collecting", "first score", "watching", "ready"
    return table(heads, [
        (
            way,
            spread(one.first_frame for one in found),
            spread(one.adapting for one in found),
            spread(one.first_score for one in found),
            spread(one.watching for one in found),
            spread(one.ready for one in found),
        )
        for way, found in ways.items()
    ])  # fmt: skip


def rates_table(ways: Mapping[str, Sequence[Attached]]) -> Table:
    """One row a way."""
    heads = "way", "before", "until the first score", "after", "longest gap, s", "went on"
    return table(heads, [
        (
            way,
            spread((one.rates.before for one in found), 2),
            spread((one.rates.during for one in found), 2),
            spread((one.rates.after for one in found), 2),
            spread((one.rates.gap_seconds for one in found), 2),
            f"{sum(one.rates.holds for one in found)} of {len(found)}",
        )
        for way, found in ways.items()
    ])  # fmt: skip


def restarts_table(restarts: Sequence[Restarted]) -> Table:
    """One row a camera."""
    heads = "camera", "first score", "scenes resumed", "scenes built"
    return table(heads, [
        (
            camera,
            spread(one.scores[camera] for one in restarts),
            "+".join(str(one.resumed[camera]) for one in restarts),
            "+".join(str(one.made[camera]) for one in restarts),
        )
        for camera in restarts[0].scores
    ])  # fmt: skip


def changes_table(changes: Sequence[ViewChange]) -> Table:
    """One row a camera and change."""
    heads = (
        "shown", "on_view_change", "reported as", "stale", "before: suppressed", "highest score",
        "judged again", "events", "as promised",
    )  # fmt: skip
    rows = []
    for one in changes:
        reported = ", ".join(f"{kind} ×{n}" for kind, n in one.reported.items() if n) or "nothing"
        highest = "–" if one.before.highest is None else f"{one.before.highest:.2f}"
        rows.append((
            one.kind, one.answer, reported, spread([one.stale_seconds]),
            f"{one.before.suppressed} of {one.before.frames}", highest,
            spread([one.judged_seconds]),
            " + ".join(map(str, one.events)), "yes" if one.right else "NO",
        ))  # fmt: skip
    return table(heads, rows)


if __name__ == "__main__":
    main()
