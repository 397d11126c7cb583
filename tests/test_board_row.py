"""The command of docs/boards.md that fills a row."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lengthy
ROOT = Path(__file__).parent.parent


def printed(document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "board_row.py")]
    return subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def measured(bundle_path: Path) -> Any:
    command = [sys.executable, "-m", "edgecnn", "bench", str(bundle_path), "--threads", "1,2", "--runs", "2", "--json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_what_bench_says_is_a_row_of_the_table(measured: dict[str, Any]) -> None:
    here = {**measured["host"], "processor": "a chip", "board": None}
    done = printed({**measured, "host": here, "warnings": ["It is hot."]})
    header = next(line for line in (ROOT / "docs" / "boards.md").read_text().splitlines() if line.startswith("| board"))
    assert (done.stdout.count("|"), done.stdout.count("\n")) == (header.count("|"), 1)
    for cell in ("| a chip |", "| tiny.tflite |", "| 1: ", "; 2: "):
        assert cell in done.stdout
    assert done.stderr == "It is hot.\n"


def test_each_runtime_has_a_row(measured: dict[str, Any]) -> None:
    other = [{**run, "runtime": "another 1.0", "memory_mb": None} for run in measured["runs"]]
    here = {**measured["host"], "processor": "a chip", "board": None}
    first, second = printed({**measured, "host": here, "runs": [*measured["runs"], *other]}).stdout.splitlines()
    assert "| ai-edge-litert " in first
    assert "| another 1.0 |" in second
    assert second.endswith("| not known |")


def test_an_emulated_board_gets_no_row(measured: dict[str, Any]) -> None:
    emulated = {**measured["host"], "processor": "QEMU, as Raspberry Pi 4"}
    done = printed({**measured, "host": emulated})
    assert (done.returncode, done.stdout) == (1, "")
    assert "emulated" in done.stderr


def test_a_bench_that_failed_is_no_row() -> None:
    done = printed({"schema": 1, "error": {"message": "pi does not answer."}})
    assert (done.returncode, done.stdout) == (1, "")
    assert "bench failed: pi does not answer." in done.stderr
