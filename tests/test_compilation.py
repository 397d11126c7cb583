import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgecnn import Bundle, Classifier, compilation
from edgecnn.cli import main
from edgecnn.compilation import CompileFor
from edgecnn.errors import UsageError
from edgecnn.operators import operators
from edgecnn.targets import TARGETS
from edgecnn.targets.agreement import IMAGES

pytest.importorskip("ethosu", reason="pip install '.[ethos]'")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def compiled(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compiled") / "tiny.ethos-u55.tflite"
    code, stdout, _ = run("compile", bundle_path, "--target", "ethos-u55", "--macs", "64", "--out", out, "--json")
    document = json.loads(stdout)
    assert (code, document["path"], document["settings"]["macs"]) == (0, str(out), 64)
    assert document["operator_share"] == 1
    return out


def test_a_compiled_file_is_a_whole_bundle_with_the_manifest_of_its_source(compiled: Path, bundle: Bundle) -> None:
    found = Bundle.read(compiled)
    assert (found.labels, found.input, found.threshold) == (bundle.labels, bundle.input, bundle.threshold)
    assert found.manifest is not None
    assert bundle.manifest is not None
    assert found.compiled_for == "ethos-u55"
    assert found.manifest["compiled"]["from_sha256"] == bundle.manifest["model_sha256"]
    assert found.manifest["provenance"] == bundle.manifest["provenance"]
    assert found.data == compiled.read_bytes()


def test_show_takes_it_and_what_would_run_it_says_where_it_runs(compiled: Path, tmp_path: Path) -> None:
    code, stdout, _ = run("show", compiled)
    assert code == 0
    lines = [line.split() for line in stdout.splitlines()]
    assert ["target", "ethos-u55"] in lines[lines.index(["compiled"]) :]
    document = json.loads(run("show", compiled, "--json")[1])
    assert document["inputs"][0]["shape"] == [1, 96, 96, 3]
    assert document["runtime"] == "none here: it was compiled for ethos-u55"
    for arguments in (("bench", compiled), ("demo", compiled, "--camera", "synthetic", "--frames", "1")):
        code, _, stderr = run(*arguments)
        assert code == 2
        assert "board alone" in stderr
    with pytest.raises(UsageError, match="board alone"):
        Classifier(Bundle.read(compiled))


def test_what_the_file_was_compiled_for_runs_it(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an Edge TPU would: its target is chosen without being named."""
    monkeypatch.setitem(TARGETS, "edgetpu", TARGETS["litert"])
    asked = bundle.compiled(bundle.model, {"target": "edgetpu", "tool": "a stand-in"})
    with Classifier(asked) as classifier:
        assert classifier.runtime.startswith("ai-edge-litert")
    assert asked.describe()["runtime"].startswith("ai-edge-litert")


def test_a_foreign_file_is_compiled_and_keeps_the_labels_behind_it(bundle: Bundle, tmp_path: Path) -> None:
    source, out = tmp_path / "foreign.tflite", tmp_path / "out.tflite"
    source.write_bytes(bundle.model)
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("labels.txt", "\n".join(bundle.labels))
    assert run("compile", source, "--target", "ethos-u65", "--out", out)[0] == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.read("labels.txt").decode().split() == list(bundle.labels)
    assert operators(out.read_bytes())[0].type == "ethos-u"


def test_a_screen_writes_nothing_and_is_no_success(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    code, stdout, stderr = run("compile", bundle_path, "--target", "edgetpu", "--out", tmp_path / "x.tflite")
    assert code == 2
    assert "this is a screen" in stderr
    assert "screened" in stdout
    assert not (tmp_path / "x.tflite").exists()


def test_micro_leaves_a_folder_and_is_named_beside_the_model(bundle_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    code, stdout, _ = run("compile", bundle_path, "--target", "micro", "--out", tmp_path / "c")
    assert code == 0
    assert sorted(each.name for each in (tmp_path / "c").iterdir()) == ["main.cc", "model.c", "model.h", "preprocess.h"]
    assert "arena" in stdout
    places = [compilation.place_for(Path("a/x.tflite"), CompileFor(target=name)) for name in ("micro", "ethos-u85")]
    assert places == [Path("a/x-micro"), Path("a/x.ethos-u85.tflite")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "onnx"), "no such target"),
        (("--target", "litert"), "nothing to compile"),
        (("--target", "ethos-u55", "--tool", "nowhere/vela"), "no such tool"),
        (("--target", "edgetpu", "--macs", "128"), "edgetpu has no such option"),
        (("--target", "ethos-u85", "--macs", "100"), "ethos-u85 has no such --macs"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], said: str, bundle_path: Path, tmp_path: Path) -> None:
    code, _, stderr = run("compile", bundle_path, *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert said in " ".join(stderr.split())


def test_a_float_file_exits_with_5(foreign_path: Path) -> None:
    code, stdout, _ = run("compile", foreign_path, "--target", "ethos-u55", "--json")
    assert code == 5
    assert "in float" in json.loads(stdout)["error"]["message"]


def test_every_target_is_listed_with_what_is_here_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    code, stdout, _ = run("targets", "--json")
    rows = {row["target"]: row for row in json.loads(stdout)["targets"]}
    assert code == 0
    assert list(rows) == list(TARGETS)
    assert rows["litert"] == {
        "target": "litert", "runs": {"able": True, "note": "ai-edge-litert"}, "compiles": None
    }  # fmt: skip
    assert rows["ethos-u55"]["runs"] is None
    assert rows["ethos-u55"]["compiles"] == {"able": True, "note": "vela"}
    assert "2.5.0.post1" in rows["edgetpu"]["runs"]["note"]
    assert all(name in run("targets")[1] for name in TARGETS)


def test_the_table_of_a_model_has_every_target(bundle_path: Path) -> None:
    code, stdout, _ = run("targets", bundle_path, "--json")
    rows: dict[str, dict[str, Any]] = {row["target"]: row for row in json.loads(stdout)["targets"]}
    assert code == 0
    assert list(rows) == list(TARGETS)
    assert rows["litert"]["status"] == "runs"
    assert rows["litert"]["p50_ms"] > 0
    assert rows["litert"]["agreement"]["images"] == IMAGES
    for name in ("ethos-u55", "ethos-u65", "ethos-u85"):
        assert rows[name]["status"] == "compiled"
        assert rows[name]["inferences_per_second"] > 0
    assert rows["edgetpu"]["status"] in ("screened: nothing against it", "compiled")


def test_a_float_model_is_refused_in_its_rows_and_runs_elsewhere(foreign_path: Path) -> None:
    code, stdout, _ = run("targets", foreign_path)
    assert code == 0
    assert "ethos-u55: This file is in float" in stdout
    assert "runs" in stdout


def test_what_a_recipe_asks_for_is_checked_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CompileFor(target="ethos-u55").problems() == []
    assert "not 'litert'" in CompileFor(target="litert").problems()[0]
    CompileFor(target="ethos-u55").check_installed()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="Nothing here compiles for edgetpu"):
        CompileFor(target="edgetpu").check_installed()
