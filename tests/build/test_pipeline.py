"""Whole builds in processes of their own: the contract, the cache, and what survives a kill -9."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edgecnn import Bundle
from edgecnn.evaluation import wilson

TINY = Path(__file__).with_name("tiny_recipe.py")
STAGES = ["teach", "train", "prune-channels", "sparsify", "quantize", "convert", "verify"]
LEFT = ["MODEL_CARD.md", "report.html", "report.json", "samples.png", "tiny.tflite"]
COMMAND = (sys.executable, "-m", "edgecnn", "build", str(TINY))


class Build:
    """One `edgecnn build` of the tiny recipe, its stderr read line by line while it runs."""

    def __init__(self, out: Path, cache: Path, *options: str) -> None:
        environment = {**os.environ, "EDGECNN_CACHE": str(cache)}
        self.process = subprocess.Popen(
            (*COMMAND, "--out", str(out), *options),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def until(self, beginning: str) -> None:
        """Read stderr up to a line that begins like this."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.strip())
            if line.startswith(beginning):
                return
        raise AssertionError(f"no line {beginning!r} in:\n" + "\n".join(self.lines))

    def finish(self) -> str:
        """Wait for the end; its stdout."""
        stdout, stderr = self.process.communicate()
        self.lines += stderr.splitlines()
        return stdout

    def end(self, number: signal.Signals) -> None:
        """Send a signal, and wait."""
        self.process.send_signal(number)
        self.finish()

    @property
    def code(self) -> int:
        return self.process.returncode


def build(out: Path, cache: Path, *options: str) -> Build:
    started = Build(out, cache, *options)
    started.stdout = started.finish()  # type: ignore[attr-defined]
    return started


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """An uninterrupted build: where it was written, its cache, and its JSON."""
    folder = tmp_path_factory.mktemp("finished")
    done = build(folder / "out", folder / "cache", "--json")
    assert done.code == 0, "\n".join(done.lines)
    return folder / "out", folder / "cache", done.stdout  # type: ignore[attr-defined]


def test_a_build_leaves_one_bundle_and_its_report(finished: tuple[Path, Path, str]) -> None:
    out, _, stdout = finished
    assert sorted(path.name for path in out.iterdir()) == LEFT
    assert json.loads(stdout) == json.loads((out / "report.json").read_text())


def test_the_report_keeps_its_contract(finished: tuple[Path, Path, str]) -> None:
    out, _, stdout = finished
    report = json.loads(stdout)
    data = (out / "tiny.tflite").read_bytes()
    assert set(report) >= {
        "schema", "recipe", "model", "page", "card", "samples", "float", "ptq", "int8", "data", "gates", "stages",
        "host", "versions", "confidence", "confusion", "reliability", "pictured", "layers", "advice", "warnings",
        "training",
    }  # fmt: skip
    assert set(report["confidence"]) == {
        "temperature", "temperature_note", "ece_before", "ece", "answers_changed", "threshold", "right_accepted",
        "wrong_accepted", "out_of_set_accepted",
    }  # fmt: skip
    assert report["model"]["path"] == str((out / "tiny.tflite").resolve())
    assert report["model"]["size_bytes"] == len(data)
    for name in ("float", "ptq"):
        assert set(report[name]) == {"accuracy", "accuracy_interval", "size_bytes", "gzip_bytes", "p50_ms"}
    for figures in (report["float"], report["ptq"], report["int8"], *report["steps"]):
        right = round(figures["accuracy"] * report["data"]["test"])
        assert figures["accuracy_interval"] == list(wilson(right, report["data"]["test"]))
    assert {"accuracy", "agreement", "sparsity", "p50_ms", "method"} <= set(report["int8"])
    assert report["int8"]["method"] in ("ptq", "qat")
    assert {each["method"] for each in report["candidates"]} == {"ptq", "qat"}
    assert {"train", "validation", "calibration", "test", "classes"} <= set(report["data"])
    assert [stage["name"] for stage in report["stages"]] == STAGES
    assert not any(stage["cached"] for stage in report["stages"])
    assert report["gates"][0].keys() == {"name", "limit", "value", "passed"}


def test_the_page_of_samples_is_where_the_report_says(finished: tuple[Path, Path, str]) -> None:
    page = cv2.imread(json.loads(finished[2])["samples"])
    assert page is not None
    assert page.shape[1] > page.shape[0] / 2 > 100


def test_the_zeros_of_pruning_are_zeros_of_the_file(finished: tuple[Path, Path, str]) -> None:
    assert json.loads(finished[2])["int8"]["sparsity"] >= 0.5


def test_the_manifest_is_small_and_holds_no_time_and_no_path(finished: tuple[Path, Path, str]) -> None:
    out, cache, _ = finished
    manifest = Bundle.read(out / "tiny.tflite").manifest
    text = json.dumps(manifest)
    assert len(text) < 4096
    assert "seconds" not in text
    assert "p50" not in json.dumps({**manifest, "recipe": None})  # there it is a setting: a budget, or none
    assert str(cache.parent) not in text


def test_a_finished_build_is_not_run_again_and_loads_no_tensorflow(
    finished: tuple[Path, Path, str], tmp_path: Path
) -> None:
    out, cache, _ = finished
    code = (
        "import atexit, sys; from edgecnn.cli import main\n"
        "atexit.register(lambda: sys.stderr.write(f'tensorflow: {\"tensorflow\" in sys.modules}'))\n"
        f"main(['build', {str(TINY)!r}, '--out', {str(tmp_path)!r}, '--json'])"
    )
    environment = {**os.environ, "EDGECNN_CACHE": str(cache)}
    again = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert again.stderr.endswith("tensorflow: False")
    assert all(stage["cached"] for stage in json.loads(again.stdout)["stages"])
    for name in ("tiny.tflite", "samples.png"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_a_changed_stage_runs_again_and_those_before_it_do_not(
    finished: tuple[Path, Path, str], tmp_path: Path
) -> None:
    _, cache, _ = finished
    recipe = tmp_path / "changed.py"
    recipe.write_text(TINY.read_text().replace("Verify(runs=5)", "Verify(runs=6)"))
    environment = {**os.environ, "EDGECNN_CACHE": str(cache)}
    command = [sys.executable, "-m", "edgecnn", "build", str(recipe), "--out", str(tmp_path / "out"), "--json"]
    changed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert [stage["cached"] for stage in json.loads(changed.stdout)["stages"]] == [True] * 6 + [False]


def epochs_in(lines: list[str]) -> Counter[str]:
    return Counter(match[0] for line in lines if (match := re.match(r"[\w-]+: epoch \d+/\d+", line)))


def assert_resumes(finished: tuple[Path, Path, str], folder: Path, ends: list[Callable[[Build], None]]) -> None:
    """End builds one after the other, each in its way, then finish: same bytes, and no epoch was trained twice."""
    lines = []
    for end in ends:
        started = Build(folder / "out", folder / "cache")
        end(started)
        lines += started.lines
    last = build(folder / "out", folder / "cache")
    assert last.code == 0, "\n".join(last.lines)
    assert (folder / "out" / "tiny.tflite").read_bytes() == (finished[0] / "tiny.tflite").read_bytes()
    assert sorted(path.name for path in (folder / "out").iterdir()) == LEFT
    assert max(epochs_in(lines + last.lines).values()) == 1


def kill_after(beginning: str, number: signal.Signals = signal.SIGKILL) -> Callable[[Build], None]:
    def end(started: Build) -> None:
        started.until(beginning)
        started.end(number)

    return end


def test_a_build_that_was_stopped_goes_on_and_ends_in_the_same_bytes(
    finished: tuple[Path, Path, str], tmp_path: Path
) -> None:
    """By Ctrl-C, which is exit code 130 and leaves nothing; and then by kill -9, again and again."""

    def interrupt(started: Build) -> None:
        kill_after("teach: epoch 1/2", signal.SIGINT)(started)
        assert started.code == 130
        assert not (tmp_path / "out").exists()

    kills = [
        kill_after(f"{line} 1/2")
        for line in ("train: epoch", "prune-channels: step", "sparsify: epoch", "quantize: epoch")
    ]
    assert_resumes(finished, tmp_path, [interrupt, *kills])


def test_without_quantize_the_file_is_quantized_after_training(
    finished: tuple[Path, Path, str], tmp_path: Path
) -> None:
    _, cache, _ = finished
    recipe = tmp_path / "ptq.py"
    recipe.write_text(re.sub(r" +(Sparsify|Quantize)\(.*\n", "", TINY.read_text()))
    environment = {**os.environ, "EDGECNN_CACHE": str(cache)}
    command = [sys.executable, "-m", "edgecnn", "build", str(recipe), "--out", str(tmp_path / "out"), "--json"]
    report = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert report["int8"]["method"] == "ptq"
    assert [each["method"] for each in report["candidates"]] == ["ptq"]
    cached = {stage["name"]: stage["cached"] for stage in report["stages"]}
    assert cached == {"teach": True, "train": True, "prune-channels": True, "convert": False, "verify": False}


def test_the_report_says_what_each_stage_changed(finished: tuple[Path, Path, str]) -> None:
    """Channel pruning shrinks file and download, zeros the download alone."""
    steps = {(each["stage"], each["method"]): each for each in json.loads(finished[2])["steps"]}
    trained, pruned, sparse = (steps[stage, "ptq"] for stage in ("train", "prune-channels", "sparsify"))
    assert pruned["size_bytes"] < 0.95 * trained["size_bytes"]
    assert pruned["gzip_bytes"] < 0.95 * trained["gzip_bytes"]
    assert abs(sparse["size_bytes"] / pruned["size_bytes"] - 1) < 0.02
    assert sparse["gzip_bytes"] < 0.97 * pruned["gzip_bytes"]
    assert all(each["p50_ms"] > 0 for each in steps.values())


@pytest.mark.slow
def test_a_build_survives_kills_at_any_moment(finished: tuple[Path, Path, str], tmp_path: Path) -> None:
    def kill_at(seconds: float) -> Callable[[Build], None]:
        def end(started: Build) -> None:
            time.sleep(seconds)
            started.end(signal.SIGKILL)

        return end

    assert_resumes(finished, tmp_path, [kill_at(3 + 0.73 * number) for number in range(20)])


def test_two_builds_on_one_key_wait_for_each_other(finished: tuple[Path, Path, str], tmp_path: Path) -> None:
    first = Build(tmp_path / "a", tmp_path / "cache")
    first.until("teach: epoch 1/2")
    second = Build(tmp_path / "b", tmp_path / "cache")
    second.until("another build is at work")
    first.finish()
    second.finish()
    assert (first.code, second.code) == (0, 0)
    assert (tmp_path / "a" / "tiny.tflite").read_bytes() == (tmp_path / "b" / "tiny.tflite").read_bytes()
    assert max(epochs_in(first.lines + second.lines).values()) == 1


def test_a_missed_gate_exits_with_3_and_leaves_the_model_and_its_report(
    finished: tuple[Path, Path, str], tmp_path: Path
) -> None:
    _, cache, _ = finished
    recipe = tmp_path / "strict.py"
    recipe.write_text(TINY.read_text().replace('"size_bytes", limit=100_000', '"size_bytes", limit=10'))
    environment = {**os.environ, "EDGECNN_CACHE": str(cache)}
    command = [sys.executable, "-m", "edgecnn", "build", str(recipe), "--out", str(tmp_path / "out"), "--json"]
    missed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert missed.returncode == 3
    assert [gate["passed"] for gate in json.loads(missed.stdout)["gates"]] == [True, False]
    assert "size_bytes" in missed.stderr
    assert (tmp_path / "out" / "tiny.tflite").exists()


def test_the_targets_of_a_recipe_are_compiled_beside_the_file_and_held_to_their_gate(
    finished: tuple[Path, Path, str], tmp_path: Path
) -> None:
    pytest.importorskip("ethosu", reason="pip install '.[ethos]'")
    out, cache, _ = finished
    recipe = tmp_path / "compiled.py"
    more = 'Gate(name="accelerated", limit=1)),\n        targets=(CompileFor(target="ethos-u55"),),'
    text = TINY.read_text().replace("limit=100_000)),", f"limit=100_000), {more}")
    recipe.write_text(text.replace("    Convert,\n", "    CompileFor,\n    Convert,\n", 1))
    command = [sys.executable, "-m", "edgecnn", "build", str(recipe), "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(
        command, env={**os.environ, "EDGECNN_CACHE": str(cache)}, capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    assert all(stage["cached"] for stage in report["stages"])
    assert report["gates"][-1] == {"name": "accelerated", "limit": 1, "value": 1.0, "passed": True}
    (found,) = report["targets"]
    assert (found["target"], found["operator_share"]) == ("ethos-u55", 1.0)
    assert Bundle.read(found["path"]).compiled_for == "ethos-u55"
    assert (tmp_path / "out" / "tiny.tflite").read_bytes() == (out / "tiny.tflite").read_bytes()


def may_mount() -> bool:
    """Whether this user may have a mount of its own, for a disk that is really full."""
    try:
        return not subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False).returncode
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_mount(), reason="needs unshare (util-linux) and user namespaces")
def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {tmp_path}/small && "
        f"EDGECNN_CACHE={tmp_path}/small {' '.join(COMMAND)} --out {tmp_path}/out --json"
    )
    full = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    assert full.returncode == 7, full.stderr
    assert json.loads(full.stdout)["error"]["code"] == "device"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["failed"]["code"] == "device"
