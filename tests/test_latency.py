import json

import numpy as np
import pytest

from edgecnn.latency import (
    LatencyStats,
    Stopwatch,
    available_cores,
    default_threads,
    forget_peak,
    give_back,
    host_facts,
    peak_rss_mb,
    rss_mb,
)


def test_the_statistics_of_known_samples() -> None:
    samples = np.random.default_rng(0).permutation(np.arange(101)) * 1_000_000  # 0 to 100 ms
    assert LatencyStats.of(samples.tolist()) == LatencyStats(
        n=101, min_ms=0, mean_ms=50, p50_ms=50, p90_ms=90, p99_ms=99
    )


def test_percentiles_are_interpolated() -> None:
    stats = LatencyStats.of([1_000_000, 2_000_000])
    assert (stats.p50_ms, stats.p90_ms, stats.p99_ms) == (1.5, 1.9, 1.99)


def test_one_sample_is_every_statistic() -> None:
    stats = LatencyStats.of([1_234_567])
    assert set(stats.as_json().values()) == {1, 1.2346}


def test_the_statistics_are_json() -> None:
    document = json.loads(json.dumps(LatencyStats.of([1, 2, 3]).as_json()))
    assert list(document) == ["n", "min_ms", "mean_ms", "p50_ms", "p90_ms", "p99_ms"]


def test_a_stopwatch_counts_what_it_measured() -> None:
    watch = Stopwatch()
    assert watch.stats() is None
    for _ in range(3):
        with watch:
            pass
    stats = watch.stats()
    assert stats
    assert stats.n == 3
    assert all(sample >= 0 for sample in watch.samples_ns)


def test_a_failed_phase_is_no_sample() -> None:
    watch = Stopwatch()
    with pytest.raises(RuntimeError), watch:
        raise RuntimeError
    assert watch.samples_ns == []


def test_facts_about_the_host_are_json() -> None:
    facts = json.loads(json.dumps(host_facts()))
    assert set(facts) == {"board", "processor", "machine", "cores", "system", "python"}
    assert facts["processor"]
    assert 1 <= default_threads() <= facts["cores"] == available_cores()


def test_memory_is_a_number_of_megabytes() -> None:
    before = rss_mb()
    block = np.ones(64 << 20, np.uint8)
    after = rss_mb()
    assert before is not None
    assert after is not None
    assert 50 < after - before < 200
    assert block.size


def test_the_peak_stays_until_it_is_forgotten() -> None:
    block = np.ones(64 << 20, np.uint8)
    del block
    give_back()
    high, now = peak_rss_mb(), rss_mb()
    assert high is not None
    assert now is not None
    assert high - now > 50
    assert forget_peak()
    again = peak_rss_mb()
    assert again is not None
    assert high - again > 50
