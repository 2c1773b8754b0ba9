"""What the scoring worker keeps of what stood out, and how its scenes remember and forget."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import small_scorer
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from cameras.picture_statistics import EDGES_HW
from models import FeedbackExemplar, SceneScorer
from pipeline.scenes.exemplar_paths import accepted_file, exemplar_folder
from pipeline.scenes.exemplar_store import (
    MOST_EVENTS,
    SAMPLES_PER_EVENT,
    ExemplarStore,
    StoredExemplar,
)
from pipeline.scenes.peak_samples import PeakSamples
from pipeline.scoring.command_handler import CommandHandler
from pipeline.scoring.scoring_worker import ScoringWorker
from pipeline.transport.messages import Answer, FrameMessage, Request
from pipeline.worker import RunInfo


def exemplar(number: int, model: str = "m") -> FeedbackExemplar:
    return FeedbackExemplar(
        torch.tensor([number % 48]), torch.ones(1, 64).half(), torch.zeros(1).half(), (6, 8), model
    )


def test_the_highest_of_each_window_is_kept() -> None:
    moments: PeakSamples[int] = PeakSamples()
    kept: list[int] = []
    energies = [1.0, 5.0, 2.0, 3.0, 4.0, 9.0, 1.0, 1.0]
    for number, energy in enumerate(energies):
        kept += moments.update(number / 10, energy, stands_out=True, make_sample=lambda n=number: n)
    assert kept == [1, 5]
    assert moments.update(0.8, 0.0, stands_out=False, make_sample=lambda: -1) == (6,)
    assert moments.close() == ()


def test_what_stays_for_an_hour_gives_few_moments() -> None:
    moments: PeakSamples[int] = PeakSamples()
    count = sum(
        len(moments.update(number / 10, 1.0, stands_out=True, make_sample=lambda: 0))
        for number in range(36_000)
    )
    assert 40 < count < 90
    assert len(moments.take()) == 1, "what is in hand, too"
    assert moments.take() == ()


def test_moments_are_bounded_in_number_and_bytes(tmp_path: Path) -> None:
    store = ExemplarStore(tmp_path, max_samples=10)
    for number in range(25):
        store.keep("yard", 1000.0 + number, StoredExemplar(exemplar(number), None))
    names = sorted(path.stem for path in exemplar_folder(tmp_path, "yard").iterdir())
    assert names == [str(1_000_000 + 1000 * number) for number in range(15, 25)]
    size = next(exemplar_folder(tmp_path, "yard").iterdir()).stat().st_size
    store = ExemplarStore(tmp_path, most_bytes=3 * size)
    store.keep("yard", 1030.0, StoredExemplar(exemplar(0), None))
    assert len([*exemplar_folder(tmp_path, "yard").iterdir()]) == 3


def test_samples_of_frames_that_came_at_once_are_all_stored(tmp_path: Path) -> None:
    store = ExemplarStore(tmp_path)
    for number in range(3):
        store.keep("yard", 1000.0002, StoredExemplar(exemplar(number), None))
    found = store.between("yard", 1000.0, 1000.01, newest=False)
    assert found is not None
    assert found.exemplar.cells.tolist() == [0, 1, 2]


def test_an_event_is_what_lies_in_its_span(tmp_path: Path) -> None:
    store = ExemplarStore(tmp_path)
    edges = np.random.default_rng(0).random(EDGES_HW).astype(np.float32)
    for number in range(40):
        store.keep("yard", 1000.0 + number, StoredExemplar(exemplar(number), edges))
    found = store.between("yard", 1005.0, 1008.0, newest=False)
    assert found is not None
    assert found.exemplar.cells.tolist() == [5, 6, 7, 8]
    assert found.edges == pytest.approx(edges, abs=1e-3)
    spread = store.between("yard", 1000.0, 1039.0, newest=False)
    newest = store.between("yard", 1000.0, 1039.0, newest=True)
    assert spread is not None
    assert newest is not None
    assert len(spread.exemplar.cells) == SAMPLES_PER_EVENT
    assert spread.exemplar.cells.tolist()[::15] == [0, 39]
    assert newest.exemplar.cells.tolist() == [*range(40 - SAMPLES_PER_EVENT, 40)]
    assert store.between("yard", 2000.0, 3000.0, newest=False) is None
    assert store.between("gate", 1000.0, 3000.0, newest=False) is None
    # Of two models only what the newest one saw.
    store.keep("yard", 1040.0, StoredExemplar(exemplar(0, model="other"), edges))
    mixed = store.between("yard", 1038.0, 1040.0, newest=False)
    assert mixed is not None
    assert mixed.exemplar.model_id == "other"
    assert len(mixed.exemplar.cells) == 1


def test_remembered_events_are_bounded_and_the_oldest_goes(tmp_path: Path) -> None:
    store = ExemplarStore(tmp_path)
    gone: list[str] = []
    for number in range(MOST_EVENTS + 2):
        event = f"yard-1-{number}"
        gone += store.remember("yard", event, StoredExemplar(exemplar(number), None))
        path = accepted_file(tmp_path, "yard", event)
        if path.exists():  # a clock that does not move between two files would leave the order open
            os.utime(path, (1000 + number, 1000 + number))
    assert gone == ["yard-1-0", "yard-1-1"]
    assert len(store.remembered("yard")) == MOST_EVENTS
    assert store.forget("yard", "yard-1-5")
    assert not store.forget("yard", "yard-1-5")
    accepted_file(tmp_path, "yard", "yard-1-6").write_bytes(b"damaged")
    assert len(store.remembered("yard")) == MOST_EVENTS - 2


def test_a_kill_before_the_oldest_is_deleted_leaves_no_surplus_in_use(tmp_path: Path) -> None:
    roomy = ExemplarStore(tmp_path)
    for number in range(MOST_EVENTS):
        roomy.remember("yard", f"yard-1-{number}", StoredExemplar(exemplar(number), None))
        path = accepted_file(tmp_path, "yard", f"yard-1-{number}")
        os.utime(path, (1000 + number, 1000 + number))
    newest = accepted_file(tmp_path, "yard", "yard-1-99")
    newest.write_bytes(path.read_bytes())  # as after its writing, and before the deletion
    os.utime(newest, (2000, 2000))
    store = ExemplarStore(tmp_path)
    cells = [int(kept.exemplar.cells[0]) for kept in store.remembered("yard")]
    assert cells == [*range(1, MOST_EVENTS), MOST_EVENTS - 1]
    assert store.remember("yard", "yard-1-100", StoredExemplar(exemplar(7), None)) == [
        "yard-1-0",
        "yard-1-1",
    ]


_KEEPS_ON = """
import sys
from pathlib import Path
sys.path[:0] = ["tests"]
from test_feedback import ExemplarStore, StoredExemplar, exemplar
store = ExemplarStore(Path(sys.argv[1]), max_samples=30)
number = 0
while True:
    store.keep("yard", 1000.0 + number, StoredExemplar(exemplar(number), None))
    store.remember("yard", f"yard-1-{number % 40}", StoredExemplar(exemplar(number), None))
    number += 1
    print(number, flush=True)
"""


def test_a_kill_leaves_whole_files(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    for wanted in (7, 60, 133):
        command = [sys.executable, "-c", _KEEPS_ON, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            while int(process.stdout.readline() or "-1") < wanted:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        store = ExemplarStore(tmp_path, max_samples=30)
        store.keep("yard", 1e6, StoredExemplar(exemplar(0), None))
        moments = [*exemplar_folder(tmp_path, "yard").glob("*.safetensors")]
        assert min(wanted, 25) <= len(moments) <= 30
        for path in moments:
            at = int(path.stem) / 1000
            assert store.between("yard", at, at, newest=False) is not None, path
        assert len(store.remembered("yard")) == min(wanted, MOST_EVENTS) or wanted == 7
        left = [path.name for path in tmp_path.rglob("*.tmp")]
        assert len(left) <= 1, "nothing piles up"
        (exemplar_folder(tmp_path, "yard") / "1000000000.safetensors").unlink()


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


def passing(connection: int, begin: int = 0, count: int = 40) -> list[FrameMessage]:
    """Normal life, into which a dark and bright flickering square comes at frame 20 for a while."""
    frames = noise_frames("street", begin + count, seed=connection, connection=connection)
    base = noise_frames("street", 1, seed=0)[0].pixels
    found = []
    for frame in frames[begin:]:
        pixels = base.copy()
        pixels += np.random.default_rng(frame.index).integers(0, 6, pixels.shape, dtype=np.uint8)
        if 20 <= frame.index - begin < 32:
            square = np.indices((20, 20)).sum(0) // 4 % 2 ^ (frame.index % 2)
            pixels[20:40, 8:28] = 250 * square[..., None].astype(np.uint8)
        found.append(replace(frame, pixels=pixels, captured_at=time.time()))
    return found


def orders_of(worker: ScoringWorker) -> CommandHandler:
    return CommandHandler(worker.cameras)


def told(worker: ScoringWorker, command: str, **arguments: object) -> Answer:
    body = {"name": "street", "event": "street-2-20", **arguments}
    return orders_of(worker).handle(Request("1", command, body, 0.0))


def peak(sink: CollectingSink, connection: int) -> float:
    return max(one.energy or 0.0 for one in sink.scores if one.connection == connection)


def test_a_running_scene_remembers_over_restarts_and_adaptations_and_forgets(
    run: RunInfo, scorer: SceneScorer
) -> None:
    config = small_config(["street"], of_each={"alert": {"light_hold": 0}})
    with CollectingSink(run) as sink:
        with scoring(worker_context("score", config, run), scorer) as worker:
            send_all(run, passing(1, count=18))
            before = time.time()
            send_all(run, passing(2))
            assert told(worker, "accept_as_normal", begin=1.0, end=2.0).body == {
                "remembered": False
            }
            answer = told(worker, "accept_as_normal", begin=before, end=time.time())
            assert (answer.status, answer.body) == ("ok", {"remembered": True})
            send_all(run, passing(3))
        alert, again = peak(sink, 2), peak(sink, 3)
        normal = max(one.energy or 0.0 for one in sink.scores if one.connection == 1)
        assert again < normal + 0.5 * (alert - normal)

        context = worker_context("score", config, run, incarnation=2)
        with scoring(context, scorer) as worker:
            send_all(run, passing(4))
            assert peak(sink, 4) == pytest.approx(again, rel=0.05)
            gauge = context.metrics.registry.get_sample_value
            assert gauge("vedette_events_accepted_as_normal", {"camera": "street"}) == 1
            assert told(worker, "revoke_normal").body == {"remembered": False}
            send_all(run, passing(5))
            assert peak(sink, 5) == pytest.approx(alert, rel=0.05)
            assert gauge("vedette_events_accepted_as_normal", {"camera": "street"}) == 0
            scene = worker.cameras["street"].adaptation.scene
            assert worker.cameras["street"].scene().exemplars is None

            told(worker, "accept_as_normal", begin=before, end=time.time())
            command_handler = orders_of(worker)
            assert (
                command_handler.handle(Request("1", "adapt", {"name": "street"}, 0.0)).status
                == "ok"
            )
            send_all(run, passing(6, count=18))
            send_all(run, passing(7))
            adapted = worker.cameras["street"].adaptation.scene
            assert adapted is not None
            assert adapted is not scene
            remembering = worker.cameras["street"].scene()
            assert remembering.exemplars is not None, (
                "another scene of the same view remembers, too"
            )
            assert adapted.exemplars is None, "and what is kept of it does not"


def test_another_view_or_model_is_not_given_what_it_cannot_use(
    run: RunInfo, scorer: SceneScorer, caplog: pytest.LogCaptureFixture
) -> None:
    config = small_config(["street"])
    store = ExemplarStore(run.data_folder / "scenes")
    other_view = np.random.default_rng(5).random(EDGES_HW).astype(np.float32) * 60
    fits = replace(exemplar(3), model_id=scorer.model_id)
    store.remember("street", "street-1-1", StoredExemplar(fits, other_view))
    store.remember("street", "street-1-2", StoredExemplar(exemplar(3, model="another"), None))
    store.remember("street", "street-1-3", StoredExemplar(replace(fits, grid_hw=(2, 24)), None))
    caplog.set_level("INFO")
    with CollectingSink(run), scoring(worker_context("score", config, run), scorer) as worker:
        send_all(run, noise_frames("street", 40, seed=0))
        assert worker.cameras["street"].scene().exemplars is None
        assert "3 events are accepted as normal, 0 of them of this view and model" in caplog.text
        store.remember("street", "street-1-4", StoredExemplar(fits, None))
        told(worker, "revoke_normal", event="street-1-1")
        memory = worker.cameras["street"].scene().exemplars
        assert memory is not None
        assert memory.cells.numel() == 28, "four rows at the border, seven columns"


def test_an_event_of_a_camera_that_is_gone(run: RunInfo, scorer: SceneScorer) -> None:
    config = small_config(["street"])
    scenes = run.data_folder / "scenes"
    ExemplarStore(scenes).keep("gate", 1000.0, StoredExemplar(exemplar(1), None))
    with scoring(worker_context("score", config, run), scorer) as worker:
        gate = {"name": "gate", "event": "gate-1-1"}
        answer = told(worker, "accept_as_normal", **gate, begin=999.0, end=1001.0)
        assert answer.body == {"remembered": True}
        assert accepted_file(scenes, "gate", "gate-1-1").is_file()
        assert told(worker, "revoke_normal", **gate).status == "ok"
        assert not accepted_file(scenes, "gate", "gate-1-1").exists()
        assert told(worker, "accept_as_normal", begin=-1.0).status == "invalid"
