import numpy as np

from edgecnn.device import Answer, Frame
from edgecnn.device.pictures import Synthetic
from edgecnn.device.summary import KEPT_FRAMES, Ring, Tally
from edgecnn.inference import Prediction

LABELS = ("mug", "nothing")


def answer(truth: str | None, best: int, shown: int | None) -> Answer:
    def prediction(index: int) -> Prediction:
        return Prediction(index=index, label=LABELS[index], score=0.9)

    frame = Frame(number=0, image=np.zeros((4, 4, 3), np.uint8), captured_ns=0, capture_ns=0, truth=truth)
    return Answer(
        frame=frame,
        predictions=(prediction(best),),
        steady=(prediction(best),),
        shown=None if shown is None else prediction(shown),
        phases_ns=(1, 1, 1, 1),
        answered_ns=0,
        dropped=0,
    )


def test_unknown_is_right_where_there_is_nothing_and_wrong_where_there_is_something() -> None:
    tally = Tally(LABELS, nothing=(1,))
    for truth, best, shown in (("mug", 0, 0), ("mug", 0, None), ("nothing", 1, None), ("nothing", 0, 0)):
        tally.add(answer(truth, best, shown))
    tally.add(answer("dog", 0, 0))  # no class of the model's
    tally.add(answer(None, 0, 0))
    found = tally.summary(Synthetic((48, 64)), "none", 1, captured=6, age=None)
    assert (found.frames, found.truth) == (6, (3 / 4, 2 / 4, 4))


def test_a_ring_keeps_the_last() -> None:
    ring = Ring(2)
    assert ring.stats() == [None, None]
    for number in range(KEPT_FRAMES + 5):
        ring.add((number * 10**6, 7 * 10**6))
    first, second = ring.stats()
    assert first is not None
    assert second is not None
    assert (first.n, first.min_ms, second.p99_ms) == (KEPT_FRAMES, 5.0, 7.0)
