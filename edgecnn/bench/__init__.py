"""Latency that one can trust: how long a file takes, how well that is known, and where the time goes."""

from edgecnn.bench.candidates import prepare
from edgecnn.bench.measure import Bench, bench, interleaved

__all__ = ["Bench", "bench", "interleaved", "prepare"]
