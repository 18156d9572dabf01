"""Pacing by a clock that stands still until somebody sleeps: how long one waits, and how fast it
goes after each answer.
"""

from __future__ import annotations

import itertools

import pytest

from reverse_etl import pacing


class Clock:
    """Seconds that pass only in sleep; `during` is done in the middle of a sleep, `wakes`
    interrupts it.
    """

    def __init__(self) -> None:
        self.now, self.wakes = 100.0, False
        self.during: list = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        self.now += seconds
        while self.during:
            self.during.pop()()
        return self.wakes


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bucket(rate: float, clock: Clock) -> pacing.Bucket:
    return pacing.Bucket(rate, clock, clock.sleep)


@pytest.mark.parametrize("rate", [0, -1.0])
def test_a_target_without_a_rate_is_refused_with_the_setting_to_look_at(rate: float) -> None:
    with pytest.raises(
        ValueError,
        match=f"cannot be written to at {rate} calls a second; check its writes_per_minute",
    ):
        pacing.Bucket(rate)


@pytest.mark.parametrize(("rate", "saved"), [(40.0, 8), (5.0, 1), (0.5, 1)])
def test_a_fifth_of_a_second_is_saved_up_and_never_less_than_one_call(
    clock: Clock, rate: float, saved: int
) -> None:
    full = bucket(rate, clock)
    clock.now += 3600  # an idle hour saves no more
    assert [full.take() for _ in range(saved)] == [0.0] * saved
    assert full.take() == pytest.approx(1 / (0.95 * rate))
    assert full.take() == pytest.approx(1 / (0.95 * rate))


def test_a_batch_may_take_more_than_there_is_and_the_next_pays_for_it(clock: Clock) -> None:
    full = bucket(10.0, clock)
    assert full.take(21) == pytest.approx(19 / 9.5)
    assert full.take(1) == pytest.approx(1 / 9.5)
    clock.now += 2 / 9.5
    assert full.take(2) == 0.0


def test_a_throttle_takes_fifteen_in_a_hundred_once_a_second_down_to_a_twentieth(
    clock: Clock,
) -> None:
    one = bucket(100.0, clock)
    assert one.rate == pytest.approx(95.0)
    one.throttled()
    assert one.rate == pytest.approx(95 * 0.85)
    clock.now += 0.999
    one.throttled()
    assert one.rate == pytest.approx(95 * 0.85)
    clock.now += 0.001
    one.throttled()
    assert one.rate == pytest.approx(95 * 0.85**2)
    for _ in range(40):
        clock.now += 1
        one.throttled()
    assert one.rate == pytest.approx(5.0)


def test_good_answers_give_the_pace_back_slowly_up_to_the_cap(clock: Clock) -> None:
    one = bucket(100.0, clock)
    one.throttled()
    clock.now += 0.999
    one.succeeded()
    assert one.rate == pytest.approx(80.75)
    clock.now += 0.001
    one.succeeded()
    one.succeeded()  # the same moment teaches once
    assert one.rate == pytest.approx(80.75 * 1.005)
    clock.now += 7
    one.succeeded()
    assert one.rate == pytest.approx(80.75 * 1.005**8)
    one.throttled()
    before = one.rate
    clock.now += 600
    one.throttled()  # falls again: 600 seconds without an answer are no proof
    clock.now += 600
    one.succeeded()
    assert one.rate == pytest.approx(min(98.0, before * 0.85 * 1.005**60))
    clock.now += 60
    one.succeeded()
    assert one.rate == pytest.approx(98.0)


def test_a_retry_after_stops_everybody_and_what_was_saved_up_is_gone(clock: Clock) -> None:
    one = bucket(10.0, clock)
    one.throttled(30.0)
    one.throttled(10.0)  # the longest said counts
    rate = one.rate
    assert one.take() == pytest.approx(30.0)
    assert one.take() == pytest.approx(2 / rate, abs=1 / rate)
    assert one.take() == pytest.approx(1 / rate)  # no burst


def test_a_throttle_without_a_time_leaves_what_was_saved_up(clock: Clock) -> None:
    one = bucket(10.0, clock)
    one.throttled()
    assert [one.take(), one.take()] == [0.0, 0.0]


def test_nothing_is_saved_up_while_everybody_waits(clock: Clock) -> None:
    one = bucket(10.0, clock)
    one.throttled(30.0)
    clock.now += 30.0
    assert one.take() == pytest.approx(1 / one.rate)
    two = bucket(10.0, clock)
    two.throttled(30.0)
    clock.now += 30.0 + 1 / two.rate
    assert two.take() == pytest.approx(0.0)
    assert two.take() == pytest.approx(1 / two.rate)


def test_who_waits_waits_on_when_another_was_told_to(clock: Clock) -> None:
    one = bucket(10.0, clock)
    one.take(2)
    clock.during = [lambda: one.throttled(5.0)]
    assert one.take(1) == pytest.approx(1 / 9.5 + 5.0)


def test_who_is_stopped_waits_no_longer(clock: Clock) -> None:
    one = bucket(10.0, clock)
    clock.wakes = True
    clock.during = [lambda: one.throttled(5.0)]
    assert one.take(3) == pytest.approx(1 / 9.5)


@pytest.mark.parametrize(
    ("calls", "rate", "seconds"),
    [
        (1, 40.0, 0.0),
        (8, 40.0, 0.0),
        (9, 40.0, 1 / 38),
        (46, 40.0, 1.0),
        (2, 1.0, 1 + 0.05 / (0.95 * 1.005)),
        (8 + 38 + 40 * 0.95 * 1.005 + 20, 40.0, 2 + 20 / (40 * 0.95 * 1.005**2)),
    ],
)
def test_an_estimate_counts_the_burst_and_the_pace_that_grows(
    calls: float, rate: float, seconds: float
) -> None:
    assert pacing.seconds(calls, rate) == pytest.approx(seconds)  # type: ignore[arg-type]


def test_a_long_push_is_estimated_at_the_cap() -> None:
    assert pacing.seconds(10**6 + 3920, 40.0) - pacing.seconds(10**6, 40.0) == pytest.approx(100.0)


def test_pauses_double_to_a_minute_and_are_between_half_and_whole() -> None:
    assert [pacing.pause(n, lambda: 1.0) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [pacing.pause(n, lambda: 0.0) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert all(0.5 <= pacing.pause(1) <= 1.0 for _ in range(50))


def test_how_often_and_how_fast_is_as_documented() -> None:
    assert (
        pacing.START,
        pacing.CAP,
        pacing.FLOOR,
        pacing.AFTER_THROTTLE,
        pacing.RECOVERY_PER_SECOND,
        pacing.ATTEMPTS,
    ) == (0.95, 0.98, 0.05, 0.85, 1.005, 6)
    back = next(n for n in itertools.count() if 0.85 * pacing.RECOVERY_PER_SECOND**n >= 1)
    assert 25 <= back <= 35  # half a minute after one throttle it is as before
