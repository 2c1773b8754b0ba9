"""Cost of illumination changes: time without alerts, and false alarms.

    python -m benchmarks.light_changes --seeds 3 0
    python -m benchmarks.light_changes --seeds 0 3 5 --lights

A synthetic street is scored by the whole pipeline with its defaults, once as shipped and once with
`adapt.on_light_change: ignore`: it switches to simulated infrared and back; dusk falls slowly. All
of it is normal, so every event is a false alarm. Times are those of the stream.

With --lights: how a scene of the day, calibrated for a minute, scores the same street in other
lights; the range of the medians of nine frames half a second apart, as in the evaluation of a
candidate scene.
"""

import argparse
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.recordings import write_video
from cameras.simulation import SyntheticStreet
from models import SceneScorer
from models.calibration import provisional
from models.calibrator import Calibrator, CalibratorSettings
from pipeline.config import Config
from pipeline.events.event import Event
from pipeline.events.score_record import ScoreRecord
from pipeline.runtime.local_engine import local_service
from pipeline.scenes.scene_history import SceneHistory
from pipeline.storage.score_log import ScoreLog
from pipeline.storage.store import EventStore
from pipeline.telemetry.logs import Redactor, set_up_logging
from pipeline.transport.messages import SceneState

Pixels = npt.NDArray[np.uint8]
Look = Callable[[Pixels, int], Pixels]
"""Maps a drawn frame and its index to the camera's image."""
SIZE_HW = (240, 320)
FRAMES_PER_SECOND = 10
DARKEST = 0.2
_NOISES = np.random.default_rng(0).normal(0, 1, (7, *SIZE_HW, 1))


def day(drawn: Pixels, index: int, gain: float = 1.0) -> Pixels:
    """The drawn frame, brighter or darker, with a little noise."""
    return _seen(gain * drawn + _NOISES[index % 7])


def infrared(drawn: Pixels, index: int) -> Pixels:
    """The frame as after a switch to infrared: grey, darker, noisier."""
    grey = drawn.mean(-1, keepdims=True)
    return np.repeat(_seen(6 + 0.3 * grey + 2.0 * _NOISES[index % 7]), 3, axis=2)


def _seen(picture: npt.NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def there_and_back(dusk: float, dawn: float) -> Look:
    """Infrared between two times, in seconds."""

    def look(drawn: Pixels, index: int) -> Pixels:
        return (infrared if dusk <= index / FRAMES_PER_SECOND < dawn else day)(drawn, index)

    return look


def slow_dusk(begin: float, end: float) -> Look:
    """Exponential decrease to a fifth of the light."""

    def look(drawn: Pixels, index: int) -> Pixels:
        part = (index / FRAMES_PER_SECOND - begin) / (end - begin)
        return day(drawn, index, DARKEST ** min(1.0, max(0.0, part)))

    return look


def write_film(path: Path, look: Look, seconds: float, seed: int) -> None:
    """Encode a street."""
    street = SyntheticStreet(seed, SIZE_HW, frames_per_second=FRAMES_PER_SECOND)
    numbers = range(round(seconds * FRAMES_PER_SECOND))
    pictures = (look(street.render(number).pixels, number) for number in numbers)
    write_video(path, pictures, FRAMES_PER_SECOND)


@dataclass(frozen=True, slots=True)
class WatchedFilm:
    """Results of a film."""

    scores: tuple[ScoreRecord, ...]
    events: tuple[Event, ...]
    reasons: tuple[str, ...]
    """Reason of each of its scenes, oldest first."""

    def course(self) -> list[tuple[SceneState, float, float]]:
        """Each state with its start and end, in seconds."""
        runs = [
            (state, [score.pts_seconds for score in scores])
            for state, scores in groupby(self.scores, key=lambda score: score.state)
        ]
        ends = [seconds[0] for _, seconds in runs[1:]] + [runs[-1][1][-1]]
        return [(state, seconds[0], end) for (state, seconds), end in zip(runs, ends, strict=True)]


def watch(
    film: Path, data_folder: Path, log_level: str = "ERROR", **sections: object
) -> WatchedFilm:
    """Run the whole pipeline on a film, without pacing.

    Args:
        film: Its path.
        data_folder: Data folder of the pipeline.
        log_level: Least level of what the workers log.
        sections: Of the configuration.

    Raises:
        RuntimeError: a worker failed.
    """
    config = Config.model_validate(
        {
            "metrics": {"port": 0},
            "scoring": {"device": "cpu"},
            "cameras": {"street": {"source": {"url": str(film), "pace": "fast"}}},
            **sections,
        }
    )
    with local_service(config, data_folder, log_level) as supervisor:
        failed = supervisor.run(threading.Event()).failed
    if failed:
        raise RuntimeError(f"the pipeline failed: {failed}")
    with ScoreLog(data_folder / "scores", "street") as log:
        scores = tuple(log.after(None))
    with EventStore.for_reading(None, data_folder) as store:
        events = tuple(store.events("street"))
    history = SceneHistory(data_folder / "scenes").scenes("street")
    return WatchedFilm(scores, events, tuple(one.reason for one in reversed(history)))


def lights_table(seed: int, scorer: SceneScorer) -> Table:
    """A scene of the day in other lights; draws and scores 100 seconds of a street."""
    street = SyntheticStreet(seed, SIZE_HW, frames_per_second=FRAMES_PER_SECOND)
    drawn = [street.render(index).pixels for index in range(1000)]
    looks: dict[str, Look] = {
        f"{gain:g} of the light": partial(day, gain=gain) for gain in (1, 1.3, 0.8, 0.65, 0.5, 0.35)
    }
    looks["infrared"] = infrared

    def clip(look: Look, index: int) -> torch.Tensor:
        return torch.from_numpy(
            np.stack([look(drawn[one], one) for one in range(index - 4, index + 1)])
        )

    def energy(look: Look, index: int) -> float:
        return float(scorer.score(clip(look, index)[None], [scene]).energies[0])

    scene = scorer.adapt(torch.stack([clip(day, index) for index in range(10, 110, 10)]))
    calibrator = Calibrator(CalibratorSettings(), provisional(scene.support_energies))
    for index in range(120, 760):
        calibrator.read(index / FRAMES_PER_SECOND, energy(day, index))
    score = calibrator.calibration.score
    table = Table("light", "typical scores", "frames above 1", title=f"street {seed}", box=None)
    for name, look in looks.items():
        energies = [energy(look, index) for index in range(775, 1000, 5)]
        typical = [score(float(np.median(energies[at : at + 9]))) for at in range(0, 45, 9)]
        above = np.mean([score(one) >= 1 for one in energies])
        table.add_row(name, f"{min(typical):.2f} … {max(typical):.2f}", f"{above:.0%}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 0], help="which streets")
    parser.add_argument("--lights", action="store_true", help="only score other lights")
    options = parser.parse_args()
    console = Console(width=140)
    if options.lights:
        scorer = SceneScorer.load("vedette")
        for seed in options.seeds:
            console.print(lights_table(seed, scorer))
        return
    set_up_logging("bench", Redactor(), level="ERROR")
    films: dict[str, tuple[Look, float]] = {
        "infrared and back": (there_and_back(120, 280), 400),
        "slow dusk": (slow_dusk(120, 600), 720),
    }
    for seed in options.seeds:
        for name, (look, seconds) in films.items():
            with tempfile.TemporaryDirectory(prefix="vedette-bench-") as folder:
                film = Path(folder) / "film.mp4"
                write_film(film, look, seconds, seed)
                for answer in ("switch", "ignore"):
                    adapt = {"on_light_change": answer}
                    watched = watch(film, Path(folder) / answer, adapt=adapt)
                    show(f"street {seed}, {name}, {answer}", watched, console)


def show(title: str, watched: WatchedFilm, console: Console) -> None:
    """Print one film."""
    table = Table("state", "from", "to", "seconds", title=title, title_justify="left", box=None)
    for state, begin, end in watched.course():
        table.add_row(state, f"{begin:.1f}", f"{end:.1f}", f"{end - begin:.1f}")
    console.print(table)
    judged = [one for one in watched.scores if one.state in ("calibrating", "ready")]
    above = sum(one.score is not None and one.score >= 1 for one in judged)
    console.print(f"scenes: {', '.join(watched.reasons)}")
    console.print(f"judged frames above the threshold: {above} of {len(judged)}")
    console.print(f"events: {len(watched.events)}, of {_seconds(watched.events):.1f} s\n")


def _seconds(events: Iterable[Event]) -> float:
    return sum(event.duration_seconds for event in events)


if __name__ == "__main__":
    main()
