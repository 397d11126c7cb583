"""Counting, and how often it is told."""

from typing import Any

from edgecnn.progress import Count


def test_each_item_is_a_step_and_the_end_is_always_told(progress: Any) -> None:
    count = Count(progress, 1000, "working")
    assert list(count.over(range(999))) == list(range(999))
    count.step()
    assert progress.updates[0] == (1, 1000, "working")
    assert progress.updates[-1] == (1000, 1000, "working")
    assert len(progress.updates) < 500
