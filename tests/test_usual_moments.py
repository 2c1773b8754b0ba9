"""What of a first minute counts, and which of its clips may show the same passer-by."""

from pipeline.stages.first_minute import FirstMinute
from pipeline.stages.widening import alike, unusual_stretches, usual_clips, usual_moments


def minute_of(usual: list[bool]) -> FirstMinute:
    minute = FirstMinute(30.0)
    minute.seconds = [number / 2 for number in range(len(usual))]
    minute.usual = usual
    return minute


def test_what_is_near_something_unusual_is_not_usual() -> None:
    minute = minute_of([True] * 10 + [False] * 5 + [True] * 5)
    assert usual_moments(minute) == [*range(8), 17, 18, 19]
    assert usual_moments(minute_of([True] * 20)) == list(range(20))


def test_what_is_unusual_again_soon_is_the_same() -> None:
    usual = [True] * 60
    for place in (4, 5, 12, 40):  # 2.0, 2.5, 6.0 and 20.0 s
        usual[place] = False
    assert unusual_stretches(minute_of(usual)) == [(2.0, 6.0), (20.0, 20.0)]
    assert unusual_stretches(minute_of([True] * 5)) == []


def test_who_crosses_the_picture_does_not_make_himself_usual() -> None:
    seconds = [float(second) for second in range(60)]
    found = alike(seconds)
    assert found[30] == list(range(20, 41))
    assert found[0] == list(range(11))
    few = alike(seconds[:20])
    assert few[10] == list(range(6, 15)), "at most a quarter on each side, or nobody is left"
    assert alike([0.0]) == [[0]]


def test_who_stays_does_not_make_himself_usual_but_who_comes_again_does() -> None:
    seconds = [float(second) for second in range(60)]
    found = alike(seconds, [(20.0, 45.0), (55.0, 57.0)])
    assert found[30] == list(range(19, 47)), "not by any of his own stretch"
    assert found[22] == list(range(12, 47))
    assert found[56] == list(range(46, 60)), "by what is in the other stretch"
    assert found[5] == list(range(16))


def test_what_is_usual_is_said_by_the_larger_part() -> None:
    seconds = [float(second) for second in range(20)]
    assert usual_clips(seconds, []) == list(range(20))
    assert usual_clips(seconds, [(5.0, 10.0)]) == [*range(4), *range(12, 20)]
    assert usual_clips(seconds, [(5.0, 14.0)]) is None
