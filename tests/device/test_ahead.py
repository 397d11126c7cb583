import threading
from collections.abc import Iterator

import pytest

from edgecnn.device.ahead import Ahead


def test_everything_is_taken_in_order_and_one_is_made_ahead() -> None:
    made: list[int] = []

    def work() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with Ahead(work(), latest=False, name="work") as ahead:
        for number, taken in enumerate(ahead):
            assert taken == number
            assert len(made) <= number + 3  # one in the slot, one in the hand of who waits
        assert ahead.over
    assert len(made) == 100


def test_the_latest_wins() -> None:
    done = threading.Event()

    def work() -> Iterator[int]:
        yield from range(10)
        done.set()

    with Ahead(work(), latest=True, name="work") as ahead:
        assert done.wait(30)
        assert ahead.take() == 9
        assert ahead.take() is None


def test_an_error_comes_after_what_was_made_before_it_and_once() -> None:
    def work() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with Ahead(work(), latest=False, name="work") as ahead:
        assert ahead.take() == 1
        with pytest.raises(ValueError, match="broken"):
            ahead.take()
        assert ahead.over
        assert ahead.take() is None


def test_the_time_is_up_and_the_work_goes_on() -> None:
    go = threading.Event()

    def work() -> Iterator[int]:
        go.wait(30)
        yield 1

    with Ahead(work(), latest=False, name="work") as ahead:
        assert ahead.take(0.01) is None
        assert not ahead.over
        go.set()
        assert ahead.take(30) == 1


def test_nobody_waits_for_who_has_left() -> None:
    def work() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    with Ahead(work(), latest=False, name="endless work") as ahead:
        assert ahead.take() == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "endless work"]
