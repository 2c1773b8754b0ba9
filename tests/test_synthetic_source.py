"""The synthetic street as a source."""

import re
import time
from itertools import islice, pairwise

import numpy as np
import pytest

from cameras import Source, SourceOptions, open_source
from cameras.simulation import SyntheticStreet

FAST = SourceOptions(pace="fast")


def test_a_street_with_a_length_ends_like_a_file() -> None:
    source = open_source("synthetic:street?seed=3&seconds=0.8&fps=10", FAST)
    with source:
        assert isinstance(source, Source)
        assert source.info.codec == "synthetic"
        assert source.info.size_hw == (360, 640)
        assert source.info.frame_count == 8
        assert not source.info.live
        pictures = list(source)
    assert [picture.pts_seconds for picture in pictures] == pytest.approx(
        [n / 10 for n in range(8)]
    )
    drawn = SyntheticStreet(3, frames_per_second=10).render(5)
    assert np.array_equal(pictures[5].pixels, drawn.pixels)


def test_without_a_length_it_is_live_and_paced_in_real_time() -> None:
    with open_source("synthetic:street?fps=20", SourceOptions(pace="live")) as source:
        assert source.info.live
        assert source.info.frame_count is None
        started = time.monotonic()
        pictures = list(islice(source, 11))
        elapsed = time.monotonic() - started
    assert elapsed >= 0.5
    assert all(before.captured_at <= after.captured_at for before, after in pairwise(pictures))


def test_info_requires_an_open_source() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        _ = open_source("synthetic:street", FAST).info


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("synthetic:", "got the scene ''"),
        ("synthetic:harbour", "got the scene 'harbour'"),
        ("synthetic:street?speed=2", "got the parameter 'speed'"),
        ("synthetic:street?seed=-1", "seed: want a whole number >= 0, got '-1'"),
        ("synthetic:street?seed=one", "seed: want a whole number >= 0, got 'one'"),
        ("synthetic:street?seed=", "seed: want a whole number >= 0, got ''"),
        ("synthetic:street?seed=1&seed=2", "seed is given twice"),
        ("synthetic:street?seconds=0", "seconds: want a number > 0"),
        ("synthetic:street?seconds=nan", "seconds: want a number > 0"),
        ("synthetic:street?seconds=inf", "seconds: want a number > 0"),
        ("synthetic:street?occupancy_cycle=0", "occupancy_cycle: want a number > 0"),
        ("synthetic:street?fps=-5", "fps: want a number > 0"),
        ("synthetic:street?plan=fun", "plan: want demo or none, got 'fun'"),
    ],
)
def test_an_invalid_address_is_rejected_before_rendering(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        open_source(address, FAST)
