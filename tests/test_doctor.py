import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn import doctor
from edgecnn.doctor import Check, as_json, examine
from tests.test_cli import document, run


def named(checks: tuple[Check, ...] | list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def board(root: Path, *, throttled: str, millidegrees: int, governor: str) -> Path:
    """What a Pi's ``/sys`` says."""
    for place, text in (
        ("devices/platform/soc/soc:firmware/get_throttled", throttled),
        ("class/thermal/thermal_zone0/temp", str(millidegrees)),
        ("devices/system/cpu/cpu0/cpufreq/scaling_governor", governor),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(f"{text}\n")
    return root


@pytest.mark.tensorflow
def test_this_installation_works_and_each_line_says_what_to_do() -> None:
    result = run("doctor", "--json")
    found = document(result)
    assert result.exit_code == 0, result.stdout
    assert found["ok"]
    checks = {check["name"]: check for check in found["checks"]}
    assert {"Python", "system", "edgecnn", "litert", "OpenCV", "build", "cameras", "cache", "disk", "ssh"} <= set(
        checks
    )
    assert checks["litert"]["found"].endswith("runs a model")
    assert importlib.metadata.version("tf-keras") in checks["build"]["found"]
    for check in found["checks"]:
        assert (check["level"] == "ok") == (check["advice"] is None), check


@pytest.mark.lengthy
@pytest.mark.parametrize("package", ["cv2", "numpy"])
def test_a_package_that_cannot_be_imported_is_said(package: str, tmp_path: Path) -> None:
    (tmp_path / f"{package}.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    for options in (["--json"], ["--quiet"]):
        command = [sys.executable, "-m", "edgecnn", "doctor", *options]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 2, done.stderr
        assert "libGL.so.1" in done.stdout


@pytest.mark.lengthy
def test_tensorflow_is_not_imported() -> None:
    program = "import sys; from edgecnn.doctor import examine; examine(); print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "'tensorflow'" not in modules
    assert "'tf_keras'" not in modules


@pytest.mark.lengthy
def test_a_runtime_that_is_broken_is_said_and_one_that_works_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package := tmp_path / "tflite_runtime").mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text("raise ImportError('numpy 2 is too new')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    checks = named(doctor._runtimes())
    assert (checks["litert"].level, checks["tflite-runtime"].level) == ("ok", "warn")
    assert "edgecnn[tflite-runtime]" in str(checks["tflite-runtime"].advice)


@pytest.mark.native("a crash of the emulator")
def test_a_runtime_that_crashes_is_said_and_without_another_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_TRIAL", "import os; os.kill(os.getpid(), 11)")
    checks = named(doctor._runtimes())
    assert checks["litert"].level == "fail"
    assert "exit code -11" in checks["litert"].found
    result = run("doctor", "--json")
    assert result.exit_code == 2
    assert not document(result)["ok"]


@pytest.mark.lengthy
def test_a_board_that_suffers_is_said(tmp_path: Path) -> None:
    ill = board(tmp_path / "ill", throttled="50005", millidegrees=84_000, governor="powersave")
    checks = named(examine(system=ill, devices=tmp_path))
    assert checks["throttling"].found == "under-voltage, throttled"
    assert {checks[name].level for name in ("throttling", "temperature", "governor")} == {"warn"}
    well = board(tmp_path / "well", throttled="0", millidegrees=51_000, governor="ondemand")
    checks = named(examine(system=well, devices=tmp_path))
    assert {checks[name].level for name in ("throttling", "temperature", "governor")} == {"ok"}


def test_a_camera_that_this_user_may_not_open_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "video0").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: "video" not in str(path))
    assert "usermod -aG video" in str(named(list(doctor._cameras(tmp_path)))["group video"].advice)


def test_a_build_that_cannot_go_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"tensorflow": "2.21.0", "tf-keras": "2.19.0", "tensorflow-model-optimization": "0.8.1"}
    monkeypatch.setattr(doctor, "_version", installed.get)
    assert named(list(doctor._build()))["build"].level == "fail"
    del installed["tf-keras"]
    assert "not tf-keras" in named(list(doctor._build()))["build"].found
    installed.clear()
    assert named(list(doctor._build()))["build"].level == "ok"  # a device
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    installed |= {"tensorflow": "2.21.0", "tf-keras": "2.21.0", "tensorflow-model-optimization": "0.8.1"}
    assert named(list(doctor._build()))["Keras"].level == "warn"
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path / "file" / "cache"))
    assert named(list(doctor._places()))["cache"].level == "fail"


def test_one_failure_is_enough() -> None:
    bad = Check(name="Python", level="fail", found="3.8", advice="take a newer one")
    assert not as_json((bad,))["ok"]
    assert as_json((Check(name="ssh", level="warn", found="none", advice="install it"),))["ok"]
