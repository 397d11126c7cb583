"""The report: the page has the facts of the JSON, and neither is anything but text and pictures of its own."""

import json
import re
from base64 import b64decode
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import Bundle, Classifier, shapes
from edgecnn.build import Card, pipeline
from edgecnn.build.cache import Cache
from edgecnn.build.report import files_of, page
from edgecnn.build.report.examine import confusion, layers, reliability
from edgecnn.build.report.looks import look, matrix_picture, overlay, picture
from edgecnn.card import card, plain
from edgecnn.errors import DataError, ModelError
from edgecnn.evaluation import Evaluation
from edgecnn.preprocess import Pixels
from tests.build.report.conftest import MARKUP, NAME, recipe_of

MOST_BYTES = 3_000_000


class Page(HTMLParser):
    """The texts of the cells and headings, the addresses, and how often each element is there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {"td": [], "th": [], "dd": [], "h1": [], "h2": [], "h3": []}
        self.elements = Counter[str]()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag in self.texts:
            self.texts[tag].append("")
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data

    @property
    def cells(self) -> set[str]:
        return {" ".join(text.split()) for kind in ("td", "th", "dd") for text in self.texts[kind]}


@pytest.fixture
def html(built: Path) -> str:
    return (built / "report.html").read_text()


def test_the_page_has_the_figures_of_the_json(facts: dict[str, Any], html: str) -> None:
    cells = Page(html).cells
    for step in facts["steps"]:
        low, high = step["accuracy_interval"]
        assert f"{step['accuracy']:.4f} {low:.3f}\N{EN DASH}{high:.3f}" in cells
        assert {f"{step['size_bytes']:,}", f"{step['gzip_bytes']:,}", str(step["p50_ms"])} <= cells
    for gate in facts["gates"]:
        assert str(gate["value"]) in cells
    assert {"✓ kept", "✗ missed"} <= cells
    assert "A promise was missed: size_bytes" in html
    for layer in facts["layers"]:
        assert layer["name"] in cells
        assert f"{layer['size_bytes']:,}" in cells
    for each in facts["int8"]["per_class"].values():
        assert f"{each['accuracy']:.4f}" in cells
    for bin_ in facts["reliability"]:
        assert {f"{bin_['score']:.4f}", f"{bin_['right']:.4f}"} <= cells
    for stage in facts["stages"]:
        assert str(stage["seconds"]) in cells
    for version in facts["versions"].values():
        assert version in cells


def test_what_was_examined_agrees_with_what_was_verified(facts: dict[str, Any]) -> None:
    pairs = facts["confusion"]["pairs"]
    assert sum(number for *_, number in pairs) == facts["data"]["test"]
    right = sum(number for truth, answer, number in pairs if truth == answer)
    assert round(right / facts["data"]["test"], 6) == facts["int8"]["accuracy"]
    bins = facts["reliability"]
    assert sum(each["n"] for each in bins) == facts["data"]["test"]
    error = sum(each["n"] * abs(each["score"] - each["right"]) for each in bins) / facts["data"]["test"]
    assert abs(error - facts["confidence"]["ece"]) < 1e-5
    wrong = {(MARKUP.index(each["truth"]), MARKUP.index(each["answer"])) for each in facts["pictured"]}
    assert wrong <= {(truth, answer) for truth, answer, _ in pairs if truth != answer}
    assert wrong
    scores = [each["score"] for each in facts["pictured"]]
    assert scores == sorted(scores, reverse=True)
    assert [len(each["epochs"]) for each in facts["training"]] == [2]
    assert facts["data"]["digests"] == Bundle.read(Path(facts["model"]["path"])).manifest["splits"]["digests"]  # type: ignore[index]


def test_the_page_is_one_file_that_asks_for_nothing_and_runs_nothing(facts: dict[str, Any], html: str) -> None:
    found = Page(html)
    assert len(html.encode()) < MOST_BYTES
    assert all(address.startswith(("data:image/", "#")) for address in found.addresses)
    assert not found.elements["script"]
    assert not found.handlers
    assert "url(" not in html
    assert found.elements["img"] == 1 + 2 * len(facts["pictured"]) - html.count('class="blank"')  # and the samples


def test_labels_and_names_that_are_markup_are_text(html: str) -> None:
    found = Page(html)
    assert found.texts["h1"] == [NAME]
    assert set(MARKUP) <= {text.strip() for text in found.texts["th"]}
    assert not found.elements["i"]
    assert "7*7" in html
    assert found.elements["b"] == html.count("<b>") + html.count('<b class="bad">')
    assert not re.search(r"<b>(?=bold)", html)


def test_headings_do_not_skip_a_level(html: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_is_made_again_from_the_cache_without_the_images(built: Path, tmp_path: Path, progress: Any) -> None:
    recipe = recipe_of(built.parent / "photos")
    pipeline.run(recipe, out=tmp_path, progress=progress, cache=Cache(built.parent / "cache"))
    assert {note for *_, note in progress.updates} == {"looking at the images"}  # none was decoded, no answer given
    again, first = (json.loads((folder / "report.json").read_text()) for folder in (tmp_path, built))
    for name in ("confusion", "reliability", "pictured", "layers", "advice", "warnings", "training", "steps"):
        assert again[name] == first[name]


def thousand(facts: dict[str, Any]) -> dict[str, Any]:
    """The report of as many classes, of which some were never answered and each has one test image."""
    labels = [f"a rather long name of a class, such as ImageNet has, number {number}" for number in range(1000)]
    pairs = [[number, number * 7 % 1000, 1] for number in range(1000)]
    one = {"accuracy": 1.0, "accuracy_interval": [0.2, 1.0], "n": 1}
    facts["data"]["classes"] = labels
    facts["int8"]["per_class"] = dict.fromkeys(labels, one)
    facts["confusion"] = {"pairs": pairs, "never_answered": labels[:700]}
    facts["pictured"] = []
    return facts


def test_a_thousand_classes_make_no_longer_page_than_one_can_read(facts: dict[str, Any]) -> None:
    html = page.render(thousand(facts))
    assert len(html.encode()) < MOST_BYTES
    assert "and 690 more" in html
    before_details = re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL)
    assert before_details.count("<tr") < 150
    assert before_details.count("a rather long name") < 150
    assert 'class="matrix"' not in html


def test_images_without_labels_have_no_accuracy_and_their_differences_are_shown(facts: dict[str, Any]) -> None:
    for figures in (facts["float"], facts["ptq"], facts["int8"], *facts["steps"]):
        figures |= {"accuracy": None, "accuracy_interval": None}
    for each in facts["candidates"]:
        each["val_accuracy"] = None
    facts |= {"confusion": None, "reliability": None, "training": [], "gates": [], "samples": None}
    facts["pictured"] = [{"float_answer": "a", "answer": "b", "score": 0.5, "sha256": "", "largest_fall": 0.0}]
    html = page.render(facts, [{"picture": "data:image/png;base64,", "looked": ""}])
    assert "Where int8 and float differ" in html
    assert "None" not in html
    assert "Nothing was promised" in html
    assert "No part by itself decides it" in html


def test_no_mistake_at_all(facts: dict[str, Any]) -> None:
    assert "every test image was answered rightly" in page.render({**facts, "pictured": []})


def test_a_build_that_fails_says_where_and_why_and_leaves_nothing_half_written(
    built: Path, tmp_path: Path, progress: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = "The <layer> cannot be int8."

    def fails(*_: Any) -> None:
        raise ModelError(cause, received="<b>", accepted="others", remedy="write another")

    monkeypatch.setattr("edgecnn.build.convert.Convert.run", fails)
    recipe = recipe_of(built.parent / "photos", seed=5)
    (tmp_path / f"{NAME}.tflite").write_bytes(b"of an earlier build")
    with pytest.raises(ModelError):
        pipeline.run(recipe, out=tmp_path, progress=progress, cache=Cache(tmp_path / "cache"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(
        [f"{NAME}.tflite", "report.html", "report.json"]
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["failed"] == {
        "at": "convert", "code": "model", "message": cause, "received": "<b>", "accepted": "others",
        "remedy": "write another", "earlier_model": f"{NAME}.tflite",
    }  # fmt: skip
    assert [stage["name"] for stage in report["stages"]] == ["train"]
    assert len(report["training"][0]["epochs"]) == 2
    found = Page((tmp_path / "report.html").read_text())
    assert {"<b>", "others", "write another"} <= found.cells
    assert not found.elements["b"] + found.elements["layer"]
    assert any("report.html" in line for line in progress.lines)


@pytest.mark.parametrize("changed", [{"stages": ()}, {"data": None}])
def test_what_is_wrong_before_it_began_leaves_no_report(built: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    recipe = recipe_of(built.parent / "photos")
    recipe = replace(recipe, **changed) if changed.get("data", 0) == 0 else recipe_of(tmp_path / "nowhere")
    with pytest.raises((DataError, Exception)):
        pipeline.run(recipe, out=tmp_path / "out", cache=Cache(tmp_path / "cache"))
    assert not (tmp_path / "out").exists()


def test_images_that_cannot_be_split_are_said_in_a_report(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    for name in MARKUP[:2]:
        (folder / name).mkdir(parents=True)
        path = built.parent / "photos" / name / "0.png"
        (folder / name / "0.png").write_bytes(path.read_bytes())
    with pytest.raises(DataError):
        pipeline.run(recipe_of(folder), out=tmp_path / "out", cache=Cache(tmp_path / "cache"))
    failed = json.loads((tmp_path / "out" / "report.json").read_text())["failed"]
    assert (failed["at"], failed["code"]) == ("the images, before train", "data")


def test_a_bug_is_reported_too(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("by <zero>")

    monkeypatch.setattr("edgecnn.build.train.Train.run", fails)
    with pytest.raises(ZeroDivisionError):
        pipeline.run(recipe_of(built.parent / "photos", seed=6), out=tmp_path, cache=Cache(tmp_path / "cache"))
    assert json.loads((tmp_path / "report.json").read_text())["failed"]["message"] == "ZeroDivisionError: by <zero>"
    assert "by &lt;zero&gt;" in (tmp_path / "report.html").read_text()


def answers(truth: list[int], answered: list[int], scores: list[float]) -> Evaluation:
    arrays = np.array(truth), np.array(answered), np.array(scores, np.float32)
    return Evaluation(labels=("a", "b", "c"), truth=arrays[0], answers=arrays[1], scores=arrays[2])


def test_a_class_that_is_never_answered_is_named_and_one_without_images_is_not() -> None:
    found = confusion(answers([0, 0, 1], [0, 0, 0], [0.5, 0.9, 1.0]))
    assert found == {"pairs": [[0, 0, 2], [1, 0, 1]], "never_answered": ["b"]}


def test_bins_without_images_are_left_out_and_the_last_one_has_its_end() -> None:
    found = reliability(answers([0, 0, 1], [0, 0, 0], [0.1875, 0.1875, 1.0]))
    assert [(each["from"], each["to"], each["n"], each["right"]) for each in found] == [
        (0.133333, 0.2, 2, 1.0),
        (0.933333, 1.0, 1, 0.0),
    ]


def test_the_bytes_and_the_work_of_the_layers_are_those_of_the_file(bundle: Bundle, bundle_path: Path) -> None:
    found = layers(bundle, bundle_path)["layers"]
    assert len({each["name"] for each in found}) > 5
    assert 0.1 * len(bundle.model) < sum(each["size_bytes"] for each in found) < len(bundle.model)
    stem = next(each for each in found if each["kind"] == "CONV_2D")
    assert stem["macs"] % (3 * 3 * 3) == 0 < stem["macs"]
    assert sum(each["ms"] for each in found) > 0


def test_what_was_looked_at_follows_the_image(bundle: Bundle, pictures: Pixels) -> None:
    with Classifier(bundle, threads=1) as classifier:
        classifier.invoke(classifier.preprocess(pictures[0]))
        answer = int(classifier.scores().argmax())
        seen = look(classifier, pictures[0], answer)
        assert seen.map.shape == (96, 96)
        assert seen.map.max() == 1
        assert seen.largest is not None
        assert 0 < seen.largest <= 1
        flat = np.full((96, 96, 3), 90, np.uint8)  # hiding any part of it changes nothing
        assert not look(classifier, flat, answer).map.any()


@pytest.mark.parametrize("classes", [21, 1000])
def test_a_matrix_of_any_number_of_classes_is_a_picture(classes: int) -> None:
    assert matrix_picture([[classes - 1, 0, 3]], classes).startswith("data:image/png;base64,")


def test_the_card_is_of_facts_and_names_what_nobody_has_said(built: Path, facts: dict[str, Any]) -> None:
    text = (built / "MODEL_CARD.md").read_text()
    bundle = Bundle.read(built / f"{NAME}.tflite")
    assert bundle.manifest is not None
    assert text.startswith(f"# Model card: {plain(NAME)}\n")
    for heading in ("Intended use", "Data", "Figures", "Limits", "Licence", "How it was made"):
        assert f"\n## {heading}\n" in text
    for label in MARKUP:
        assert plain(label) in text
    assert "<svg" not in re.sub(r"\\.", "", text)
    for value in bundle.manifest["accuracy"].values():
        assert f"{value:.4f}" in text
    low, high = facts["int8"]["accuracy_interval"]
    assert f"{low:.3f} to {high:.3f}" in text
    assert "Nobody has stated one" in text
    of_the_file = card(bundle)
    assert f"{bundle.manifest['accuracy']['int8']:.4f}" in of_the_file
    assert "p50" not in of_the_file  # a manifest holds no time


def test_what_only_people_know_stands_in_the_file(built: Path, tmp_path: Path, progress: Any) -> None:
    said = Card(intended_use="Sorting <screws>.", licence="CC-BY-4.0", limits=("Not for nails.",))
    recipe = recipe_of(built.parent / "photos", card=said)
    report = pipeline.run(recipe, out=tmp_path, progress=progress, cache=Cache(built.parent / "cache"))
    assert [stage["cached"] for stage in report["stages"]] == [True, True, False]
    counted = [(done, total) for done, total, note in progress.updates if note.startswith("verify: ")]
    assert counted[-1][0] == counted[-1][1] > 0  # all that was counted on was done, and nothing else
    assert [done for done, _ in counted] == sorted({done for done, _ in counted})
    text = card(Bundle.read(tmp_path / f"{NAME}.tflite"))
    assert "Sorting \\<screws\\>." in text
    assert "\n## Licence\n\nCC-BY-4.0\n" in text
    assert "- Not for nails." in text
    assert Card(intended_use="x" * 600).problems()


def test_both_files_are_made_before_one_is_written(facts: dict[str, Any]) -> None:
    assert sorted(files_of({**facts, "pictured": []})) == ["report.html", "report.json"]
    with pytest.raises(Exception, match="zip"):
        files_of(facts)  # pictures are missing: neither is there


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3), (96, 96, 1), (224, 224, 3)])
def test_images_of_any_size_and_colour_are_pictures(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    where = np.zeros(shape[:2], np.float32)
    where[: shape[0] // 2] = 1
    for address in (picture(image), overlay(where, image)):
        kind, _, data = address.partition(";base64,")
        assert kind in ("data:image/png", "data:image/jpeg")
        decoded = cv2.imdecode(np.frombuffer(b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
        assert decoded is not None
        assert decoded.shape[0] * shape[1] == decoded.shape[1] * shape[0]


def given_splits(folder: Path, *tested: int) -> Path:
    """Three classes whose user gave the splits, with so many test images of each."""
    for label, (name, test) in enumerate(zip(("disc", "box", "ring"), tested, strict=True)):
        for split, numbers in (("train", range(40)), ("test", range(40, 40 + test))):
            (folder / split / name).mkdir(parents=True)
            for number in numbers:
                image = shapes.render(label, np.random.default_rng((label, number)), (32, 32))
                cv2.imwrite(str(folder / split / name / f"{number}.png"), image)
    return folder


def test_a_single_test_image_of_each_class(tmp_path: Path, progress: Any) -> None:
    recipe = recipe_of(given_splits(tmp_path / "photos", 1, 1, 1), name="few", gates=())
    pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    facts = json.loads((tmp_path / "out" / "report.json").read_text())
    assert facts["data"]["test"] == 3
    assert [each["n"] for each in facts["int8"]["per_class"].values()] == [1, 1, 1]
    found = Page(html := (tmp_path / "out" / "report.html").read_text())
    for each in facts["int8"]["per_class"].values():
        low, high = each["accuracy_interval"]
        assert high - low > 0.75  # one image says next to nothing, and the page says that
        assert any(cell.endswith(f"{low:.3f}\N{EN DASH}{high:.3f}") for cell in found.cells)
    assert not {"nan", "None", "inf"} & set(re.findall(r"\b\w+\b", re.sub(r'(src|d|points)="[^"]*"', "", html)))


def test_a_test_split_without_an_image_is_taken_from_those_of_training(tmp_path: Path, progress: Any) -> None:
    recipe = recipe_of(given_splits(tmp_path / "photos", 0, 0, 0), name="none", gates=())
    pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    data = json.loads((tmp_path / "out" / "report.json").read_text())["data"]
    assert data["test"] > 0
    assert sum(data[split] for split in ("train", "validation", "calibration", "test")) == 3 * 40


def test_where_a_class_has_no_test_image_the_page_says_so(tmp_path: Path, progress: Any) -> None:
    recipe = recipe_of(given_splits(tmp_path / "photos", 0, 1, 1), name="none", gates=())
    with pytest.raises(DataError, match="the class disc has no test image"):
        pipeline.run(recipe, out=tmp_path / "out", progress=progress, cache=Cache(tmp_path / "cache"))
    found = Page(html := (tmp_path / "out" / "report.html").read_text())
    assert "The build failed at the images, before train" in html
    assert "the class disc has no test image" in html
    assert any(cell.startswith("mend these, and run the command again") for cell in found.cells)
