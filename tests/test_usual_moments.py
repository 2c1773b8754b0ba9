"""What of a first minute counts, and which of its clips may show the same passer-by."""

from pipeline.stages.first_minute import FirstMinute
from pipeline.stages.widening import alike, usual_moments


def minute_of(usual: list[bool]) -> FirstMinute:
    minute = FirstMinute(30.0)
    minute.seconds = [number / 2 for number in range(len(usual))]
    minute.usual = usual
    return minute


def test_the_larger_part_of_a_minute_is_normal() -> None:
    minute = minute_of([True] * 10 + [False] * 5 + [True] * 5)
    # What is within a second of something unusual does not count either.
    assert usual_moments(minute) == {*range(8), 17, 18, 19}
    assert usual_moments(minute_of([True] * 20)) == set(range(20))
    mostly = minute_of([True] * 9 + [False] * 11)
    assert usual_moments(mostly) == set(range(20))


def test_what_comes_again_all_the_time_is_normal() -> None:
    """A fifth of the moments, but hardly one is a second away from all of them."""
    minute = minute_of([number % 5 != 0 for number in range(60)])
    assert usual_moments(minute) == set(range(60))
    rarely = minute_of([number % 15 != 7 for number in range(60)])
    assert len(usual_moments(rarely)) == 40


def test_who_crosses_the_picture_does_not_make_himself_usual() -> None:
    seconds = [float(second) for second in range(60)]
    found = alike(seconds)
    assert found[30] == list(range(20, 41))
    assert found[0] == list(range(11))
    few = alike(seconds[:20])
    assert few[10] == list(range(6, 15)), "at most a quarter on each side, or nobody is left"
    assert alike([0.0]) == [[0]]
