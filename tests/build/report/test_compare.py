"""Builds beside each other."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgecnn.build.report.compare import compare, rendered
from edgecnn.cli import main
from edgecnn.errors import UsageError
from tests.build.report.conftest import MARKUP, NAME


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def other(facts: dict[str, Any], tmp_path: Path) -> Path:
    """A build that is smaller, worse, of other settings and on another host."""
    facts["recipe"] = "<other>"
    facts["model"] |= {"size_bytes": 1234, "gzip_bytes": 1000}
    facts["int8"] |= {"accuracy": 0.1, "accuracy_interval": [0.05, 0.2], "p50_ms": 0.001}
    facts["int8"]["per_class"][MARKUP[1]] = {"accuracy": 0.0, "accuracy_interval": [0.0, 0.1], "n": 10}
    facts["settings"]["stages"][0]["epochs"] = 77
    facts["settings"]["augment"] = facts["settings"]["augment"][:1]
    facts["board"]["processor"] = "another"
    (tmp_path / "report.json").write_text(json.dumps(facts))
    return tmp_path / "report.json"


def test_folders_and_files_are_compared_in_their_order(built: Path, other: Path) -> None:
    document = compare([built, other])
    first, second = document["builds"]
    report = json.loads((built / "report.json").read_text())
    assert [first["name"], second["name"]] == [NAME, "<other>"]
    assert first["size_bytes"] == report["model"]["size_bytes"]
    assert first["accuracy"] == report["int8"]["accuracy"]
    assert (first["kept"], first["gates"]) == (1, 2)
    assert document["settings"] == [
        {"setting": "augment", "values": [["Flip", "Crop"], ["Flip"]]},
        {"setting": "stages.Train.epochs", "values": [2, 77]},
    ]
    accuracies = {each["class"]: each["accuracies"] for each in document["classes"]}
    assert accuracies[MARKUP[1]] == [report["int8"]["per_class"][MARKUP[1]]["accuracy"], 0.0]
    assert document["warnings"] == ["The latencies are of different hosts: do not compare them."]
    html = rendered(document)
    assert "&lt;other&gt;" in html
    assert "<other>" not in html
    assert "1,234" in html
    assert "<script" not in html


def test_one_recipe_twice_goes_by_its_folders(built: Path, other: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    (again / "report.json").write_bytes((built / "report.json").read_bytes())
    assert [each["name"] for each in compare([built, again])["builds"]] == ["out", "again"]


def test_the_command_writes_a_page_and_prints_a_table(built: Path, other: Path, tmp_path: Path) -> None:
    done = run("report", built, other, "--out", tmp_path / "both.html")
    assert done.exit_code == 0, done.output
    assert "<other>" in done.stdout
    assert "1,234" in done.stdout
    assert "different hosts" in done.stdout
    assert "What accuracy costs" in (tmp_path / "both.html").read_text()
    done = run("report", built, other, "--out", tmp_path / "both.html", "--json")
    assert json.loads(done.stdout) == compare([built, other])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("no json", "is no report"),
        ("[]", "is no report"),
        ('{"schema": 1}', "is no report"),
        ('{"schema": 1, "recipe": "a"}', "is no report"),
        ('{"schema": 1, "recipe": "a", "failed": {"at": "train", "message": "why"}}', "This build failed"),
    ],
)
def test_what_is_no_report_is_refused(built: Path, tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        compare([built, tmp_path])


def test_the_card_of_a_file_is_printed(built: Path) -> None:
    done = run("show", "--card", built / f"{NAME}.tflite")
    assert done.exit_code == 0
    assert done.stdout.startswith("# Model card: ")
    assert max(map(len, done.stdout.splitlines())) > 100  # as it is, not broken to the width of a terminal
    assert json.loads(run("show", "--card", built / f"{NAME}.tflite", "--json").stdout)["card"] == done.stdout


def test_a_foreign_file_has_no_card(foreign_path: Path) -> None:
    assert run("show", "--card", foreign_path).exit_code == 6
