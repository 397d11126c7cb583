import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, targets
from edgecnn.errors import BundleError, UsageError
from edgecnn.targets import TARGETS
from edgecnn.targets.tflite import TfliteTarget

WORKSTATION = ("tensorflow", "tf_keras", "keras", "tensorflow_model_optimization", "filelock", "platformdirs")
DEVICE_SIDE = (
    "edgecnn", "edgecnn.cli", "edgecnn.bench", "edgecnn.bundle", "edgecnn.console", "edgecnn.device",
    "edgecnn.device.terminal", "edgecnn.bench.distribution",
    "edgecnn.evaluation", "edgecnn.images", "edgecnn.inference", "edgecnn.shapes",
    "edgecnn.targets",
)  # fmt: skip


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        targets.choose("onnx")
    assert caught.value.accepted == ", ".join(TARGETS)


def test_a_target_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "tflite-runtime", TfliteTarget("tflite-runtime", "no_such_module.interpreter"))
    with pytest.raises(UsageError, match="tflite-runtime is not installed") as caught:
        targets.choose("tflite-runtime")
    assert caught.value.received == "tflite-runtime"
    assert "litert" in str(caught.value.accepted)
    assert ".[tflite-runtime]" in caught.value.remedy


def test_what_is_missing_is_said_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = {name: target.running() for name, target in TARGETS.items()}
    for name, extra in (("litert", "."), ("tflite-runtime", "'.[tflite-runtime]'"), ("tensorflow", "'.[build]'"),
                        ("openvino", "'.[openvino]'"), ("micro", "'.[micro]'")):  # fmt: skip
        ability = said[name]
        assert ability is not None
        assert not ability.able
        assert f": pip install {extra}" in ability.note


@pytest.mark.tensorflow
def test_without_a_name_the_first_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = TfliteTarget("nowhere", "no_such_module.interpreter")
    assert targets.choose() is TARGETS["litert"]
    monkeypatch.setitem(TARGETS, "litert", nowhere)
    monkeypatch.setitem(TARGETS, "tflite-runtime", nowhere)
    assert targets.choose() is TARGETS["tensorflow"]
    monkeypatch.setitem(TARGETS, "tensorflow", nowhere)
    monkeypatch.setitem(TARGETS, "openvino", nowhere)
    with pytest.raises(UsageError, match="No interpreter"):
        targets.choose()


def test_a_32_bit_system_is_told_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.maxsize", 2**31 - 1)
    monkeypatch.setitem(TARGETS, "litert", TfliteTarget("litert", "no_such_module.interpreter"))
    with pytest.raises(UsageError, match="32-bit system") as caught:
        targets.choose("litert")
    assert "64-bit Raspberry Pi OS" in caught.value.remedy


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.installed()])
def test_every_installed_target_runs_the_model_alike(name: str, bundle: Bundle) -> None:
    session = targets.choose(name).load(bundle.model, threads=1)
    (image,), (scores,) = session.inputs, session.outputs
    assert (image.shape, image.dtype, image.scale, image.zero_point) == ((1, 96, 96, 3), np.uint8, 1 / 128, 128)
    assert (scores.shape, scores.dtype, scores.scale, scores.zero_point) == ((1, 9), np.uint8, 1 / 256, 0)
    litert = targets.choose("litert").load(bundle.model, threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
    answers = []
    for each in (session, litert):
        each.set_input(pixels)
        each.invoke()
        answers.append(each.output().astype(int))
    assert np.abs(answers[0] - answers[1]).max() <= 2
    assert session.runtime.startswith(TARGETS[name].package)  # type: ignore[attr-defined]


def test_a_package_under_another_name_still_says_its_version(bundle: Bundle) -> None:
    session = TfliteTarget("litert-by-another-name", "ai_edge_litert.interpreter").load(bundle.model, threads=1)
    assert session.runtime.startswith("ai-edge-litert 2.")


def test_what_is_inside_is_json(bundle: Bundle) -> None:
    session = targets.choose().load(bundle.model, threads=1)
    described: dict[str, Any] = json.loads(json.dumps(session.inputs[0].as_json()))
    assert (described["shape"], described["dtype"]) == ([1, 96, 96, 3], "uint8")


def test_loading_is_silent_and_a_refusal_says_why(
    bundle: Bundle, bundle_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    targets.choose().load(bundle.model, threads=1)
    with pytest.raises(BundleError) as caught:
        targets.choose().load(bundle.model[:3000], threads=1)
    assert caught.value.received
    assert capfd.readouterr() == ("", "")


@pytest.mark.lengthy
def test_the_device_side_needs_nothing_of_the_workstations(bundle_path: Path) -> None:
    code = f"""
import importlib, sys
for name in {WORKSTATION}:
    sys.modules[name] = None
for name in {DEVICE_SIDE}:
    importlib.import_module(name)
import numpy
from edgecnn import Bundle, Classifier
with Classifier(Bundle.read({str(bundle_path)!r}), threads=1) as classifier:
    print(len(classifier(numpy.zeros((50, 60, 3), numpy.uint8))))
"""
    assert run_python(code) == "5\n"


def test_importing_edgecnn_and_its_help_load_nothing_heavy() -> None:
    code = """
import sys
from click.testing import CliRunner
import edgecnn
from edgecnn.cli import main
for arguments in (["--help"], ["--version"], ["build", "--help"], ["demo", "--help"]):
    assert CliRunner().invoke(main, arguments).exit_code == 0
print(*{"numpy", "cv2", "rich", "tensorflow", "ai_edge_litert", "flatbuffers"} & set(sys.modules))
"""
    assert run_python(code) == "\n"


@pytest.mark.lengthy
def test_reading_a_recipe_loads_no_tensorflow() -> None:
    code = """
import sys
from edgecnn.build import recipes
for name in recipes.names():
    recipes.find(name, data=None, quick=True).check()
print("tensorflow" in sys.modules, "tf_keras" in sys.modules)
"""
    assert run_python(code) == "False False\n"
