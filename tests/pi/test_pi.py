"""The device side on an emulated Raspberry Pi: it works there, and answers with the bytes of this machine.

qemu-user runs the aarch64 wheels that a Pi would install, with the instructions of its core. That proves results, and
says nothing of how long they take.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from edgecnn import Bundle
from edgecnn.preprocess import Pixels
from edgecnn.targets.session import Array
from tests.pi.arm64 import NEEDED, Pi
from tests.pi.wheels import installed_size, requirements

HERE = Path(__file__).parent
TESTS = HERE.parent
NOT_THERE = (
    *("tensorflow", "native", "slow", "qemu", "matrix"),
    *("chromium", "gst_rtsp_server", "mosquitto", "sshd", "systemd"),  # programs of the host
)
NO_TESTS_OF_IT = (  # of the build, and of what is made there: compilers, and networks of single operators
    *("build", "pi", "remote", "targets", "test_compilation.py", "test_packaging.py"),
    *("test_operators.py", "bench/test_operator_times.py"),
)
IN_CI = Pi(core="cortex-a72", python="3.11")
ALL = [
    Pi(core=core, python=python, runtime=runtime)
    for core in ("cortex-a53", "cortex-a72", "cortex-a76")
    for python, runtime in (("3.11", "litert"), ("3.11", "tflite-runtime"), ("3.13", "litert"))
]


def on(pis: list[Pi]) -> pytest.MarkDecorator:
    """Run a test on each of these; `make test` takes one alone, and `make pi` all."""
    marks = {pi: [pytest.mark.qemu] if pi == IN_CI else [pytest.mark.qemu, pytest.mark.matrix] for pi in pis}
    cases = [pytest.param(pi, id="-".join(astuple(pi)), marks=marks[pi]) for pi in pis]
    return pytest.mark.parametrize("pi", cases, indirect=True, scope="module")


@pytest.fixture(scope="module")
def pi(request: pytest.FixtureRequest) -> Pi:
    """A kind of Pi."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def python(pi: Pi, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its Python."""
    if missing := [package for package, program in NEEDED.items() if not shutil.which(program)]:
        pytest.skip(f"apt install --no-install-recommends {' '.join(missing)}")
    return pi.make(tmp_path_factory.mktemp("pi") / pi.core)


@pytest.fixture(scope="session")
def models(
    int8_model: bytes, foreign_model: bytes, square_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What the build side makes for the tests, handed over as files."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "int8.tflite").write_bytes(int8_model)
    (folder / "float.tflite").write_bytes(foreign_model)
    (folder / "squares.tflite").write_bytes(square_bundle.data)
    return folder


@pytest.fixture(scope="session")
def inputs(pictures: Pixels, models: Path) -> Path:
    """Shapes and noise: 48 inputs."""
    noise = np.random.default_rng(1).integers(0, 256, (30, *pictures.shape[1:]), np.uint8)
    np.save(models / "inputs.npy", np.concatenate([pictures, noise]))
    return models / "inputs.npy"


def outputs(python: Path, models: Path, inputs: Path, *targets: str) -> tuple[dict[str, Array], str]:
    """What each target answers to the inputs in that Python, by "target, kernels"; and what it said on stderr."""
    command = [python, HERE / "outputs.py", models / "int8.tflite", inputs, models / "outputs.npz", *targets]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(models / "outputs.npz") as found:
        return dict(found), done.stderr


@pytest.fixture(scope="session")
def here(models: Path, inputs: Path) -> dict[str, Array]:
    """The answers of LiteRT on this machine, by kernels."""
    found, _ = outputs(Path(sys.executable), models, inputs, "litert")
    return {name.removeprefix("litert, "): answers for name, answers in found.items()}


@on(ALL)
def test_it_answers_with_the_bytes_of_this_machine(
    python: Path, models: Path, inputs: Path, here: dict[str, Array]
) -> None:
    there, said = outputs(python, models, inputs, "litert")
    assert "Created TensorFlow Lite XNNPACK delegate for CPU" in said
    for kernels, answers in here.items():
        assert np.array_equal(there[f"litert, {kernels}"], answers), kernels
    assert len({answer.tobytes() for answer in here["fast"]}) > 30  # answers differ, and so do kernels
    assert not np.array_equal(here["fast"], here["reference"])


@on([pi for pi in ALL if pi.runtime == "tflite-runtime"])
def test_the_older_interpreter_answers_as_litert_does(
    python: Path, models: Path, inputs: Path, here: dict[str, Array]
) -> None:
    """To the bit on the reference kernels; on its own, which no other machine has, within two steps."""
    there, _ = outputs(python, models, inputs, "tflite-runtime")
    assert np.array_equal(there["tflite-runtime, reference"], here["reference"])
    for kernels in ("fast", "fast, 2 threads"):
        difference = there[f"tflite-runtime, {kernels}"].astype(int) - here["reference"]
        assert np.abs(difference).max() <= 2


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one whose path is short: below it are sockets, and their paths have 107 characters at most."""
    return tmp_path_factory.mktemp("t")


@on([IN_CI])
def test_the_tests_of_the_device_side_pass(python: Path, models: Path, folder: Path) -> None:
    run_tests(python, models, folder, without=(*NOT_THERE, "lengthy"))


@pytest.mark.matrix
@on(ALL)
def test_all_tests_of_the_device_side_pass(pi: Pi, python: Path, models: Path, folder: Path) -> None:
    older = () if pi.runtime == "litert" else ("opencv_5",)
    run_tests(python, models, folder, without=(*NOT_THERE, *older))


def run_tests(python: Path, models: Path, folder: Path, *, without: tuple[str, ...]) -> None:
    """Run the tests in that Python, in two halves at once, for they wait a lot; says how many passed."""
    halves = {
        "d": [TESTS / "device"],
        "o": [TESTS, *(f"--ignore={TESTS / name}" for name in ("device", *NO_TESTS_OF_IT))],
    }
    environment = {**os.environ, "EDGECNN_TEST_MODELS": str(models), "EDGECNN_FAIL_ON_SKIP": "1"}
    started = {}
    for half, arguments in halves.items():
        options = ["-q", "-p", "no:cacheprovider", "--basetemp", folder / half, "-m", f"not ({' or '.join(without)})"]
        with (folder / f"{half}.txt").open("w") as said:
            command = [python, "-m", "pytest", *options, *arguments]
            started[half] = subprocess.Popen(command, env=environment, stdout=said)
    codes = {half: process.wait() for half, process in started.items()}
    reports = {half: (folder / f"{half}.txt").read_text() for half in halves}
    for half, report in reports.items():
        sys.stdout.write(f"{half}: {report.splitlines()[-1]}\n")
    assert set(codes.values()) == {0}, "\n".join(reports[half] for half, code in codes.items() if code)


@on([pi for pi in ALL if pi.core == IN_CI.core])
@pytest.mark.usefixtures("python")
def test_an_installation_takes_at_most_210_mb(pi: Pi) -> None:
    """As unpacked, OpenCV among it; the byte code that pip makes unless it is told not to is not counted."""
    size = installed_size(pi.site(), pi.python, pi.runtime)
    assert 150e6 < size <= 210e6


@pytest.mark.parametrize(("python_version", "runtime"), sorted({(pi.python, pi.runtime) for pi in ALL}))
def test_a_pi_gets_what_is_locked_and_nothing_of_the_build(python_version: str, runtime: str) -> None:
    pins = requirements(python_version, runtime)
    names = {line.partition("==")[0] for line in pins.splitlines() if "==" in line}
    assert {"ai-edge-litert", "numpy", "opencv-python-headless", "uvicorn", "pytest"} <= names
    assert not names & {"tensorflow", "tf-keras", "keras", "h5py", "selenium", "colorama"}
    assert (";" in pins, pins.count("--hash=sha256:") > len(names)) == (False, True)
