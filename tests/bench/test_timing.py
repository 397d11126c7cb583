"""The rules, on times that are made up: no test asserts how long something took."""

import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from edgecnn.bench import timing
from edgecnn.bench.timing import Pace, timed, warm_up


class Clock:
    """Stands still until somebody sleeps or invokes."""

    def __init__(self) -> None:
        self.now = 0
        self.slept: list[float] = []

    def perf_counter_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1e9

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += round(seconds * 1e9)


class Session:
    """Each invoke takes the next of these times, in ns; the last for ever."""

    def __init__(self, clock: Clock, name: str, times: list[int], calls: list[str]) -> None:
        self._clock, self._name, self._times, self._calls = clock, name, times, calls

    def invoke(self) -> None:
        self._calls.append(self._name)
        self._clock.now += self._times.pop(0) if len(self._times) > 1 else self._times[0]


def loader(clock: Clock, name: str, times: list[int], calls: list[str]) -> Any:
    return lambda: Session(clock, name, times, calls)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(timing, "time", made := Clock())
    return made


def rounds(*times: list[int]) -> Any:
    """One round after another, of one time a model; the last for ever."""

    def endless() -> Iterator[tuple[int, ...]]:
        place = 0
        while True:
            yield tuple(each[min(place, len(each) - 1)] for each in times)
            place += 1

    return endless().__next__


def test_times_that_are_steady_need_three_blocks() -> None:
    assert warm_up(rounds([100])) == timing.WarmUp(discarded=24, settled=True, levels_ns=(100.0,))


def test_slow_first_times_are_left_out() -> None:
    falling = [1000, 500] * 8 + [200] * 8 + [100]
    assert warm_up(rounds(falling)).discarded == 48  # three blocks are slow, and then there are three alike


def test_all_models_have_to_settle() -> None:
    assert warm_up(rounds([100], [300] * 40 + [100])).discarded == 24
    assert warm_up(rounds([100], [900] * 12 + [100])).discarded == 40


def test_one_slow_invoke_in_a_block_is_no_reason_to_go_on() -> None:
    assert warm_up(rounds([100] * 20 + [9000] + [100])).discarded == 24


def test_times_that_never_settle_are_given_up() -> None:
    rising = [round(100 * 1.05**step) for step in range(300)]
    given_up = warm_up(rounds(rising))
    assert (given_up.discarded, given_up.settled) == (200, False)


def test_after_another_load_one_block_at_the_known_level_is_enough() -> None:
    assert warm_up(rounds([104]), known=[100.0]).discarded == 8
    assert warm_up(rounds([104], [300]), known=[100.0, 200.0]).discarded == 24  # steady, and elsewhere
    assert warm_up(rounds([200] * 8 + [104]), known=[100.0]).discarded == 16
    rising = [round(200 * 1.05**step) for step in range(300)]
    assert warm_up(rounds(rising), known=[100.0]).discarded == 24


def test_a_slow_model_is_given_up_after_five_seconds(clock: Clock) -> None:
    found = timed([loader(clock, "slow", [2_000_000_000], [])], runs=2)
    assert (found.discarded, found.settled) == (3, False)
    assert found.samples_ns.tolist() == [[[2_000_000_000, 2_000_000_000]]]


def test_models_take_turns_and_each_keeps_its_times(clock: Clock) -> None:
    calls: list[str] = []
    loaders = [loader(clock, "a", [9] * 24 + [1, 2, 3], calls), loader(clock, "b", [50] * 24 + [10, 20, 30], calls)]
    found = timed(loaders, runs=3)
    assert calls == ["a", "b"] * 27
    assert found.samples_ns.tolist() == [[[1, 2, 3]], [[10, 20, 30]]]
    assert clock.slept == []


def test_each_load_begins_with_another_model(clock: Clock) -> None:
    calls: list[str] = []
    loaders = [loader(clock, name, [time], calls) for name, time in (("a", 100), ("b", 200), ("c", 300))]
    told: list[tuple[int, int]] = []
    found = timed(loaders, runs=31, on_run=lambda done, total: told.append((done, total)))
    first = 3 * (24 + 11)
    assert [calls[start] for start in (0, first, first + 3 * (8 + 11))] == ["a", "b", "c"]
    assert found.samples_ns.shape == (3, 3, 11)
    assert found.samples_ns[:, :, 0].tolist() == [[100] * 3, [200] * 3, [300] * 3]
    assert (found.discarded, found.settled) == (24 + 8 + 8, True)
    assert told == [(11, 33), (22, 33), (33, 33)]


def test_a_model_is_gone_before_it_is_loaded_again(clock: Clock) -> None:
    alive: weakref.WeakSet[Session] = weakref.WeakSet()
    seen: list[int] = []

    def load() -> Any:
        seen.append(len(alive))
        made = Session(clock, "a", [1], [])
        alive.add(made)
        return made

    timed([load], runs=100)
    assert seen == [0] * 10


def test_at_a_pace_it_sleeps_until_the_next_frame_and_the_sleep_is_not_counted(clock: Clock) -> None:
    calls: list[str] = []
    found = timed([loader(clock, "a", [4_000_000], calls)], runs=5, rate=100)
    assert found.samples_ns.tolist() == [[[4_000_000] * 5]]
    assert found.late == 0
    assert clock.slept[1:] == [0.006] * (len(calls) - 1)
    assert clock.now == len(calls) * 10_000_000 + 4_000_000


def test_a_frame_that_is_overdue_is_taken_at_once_and_the_pace_goes_on_from_there(clock: Clock) -> None:
    pace = Pace(100)
    clock.now = 35_000_000  # three frames came meanwhile; a camera's program takes the newest
    pace.wait()
    assert (pace.late, clock.slept) == (1, [])
    pace.wait()
    assert (pace.late, clock.slept) == (1, [0.01])
