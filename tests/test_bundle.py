import hashlib
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn import Bundle, Classifier, InputSpec
from edgecnn.bundle import MANIFEST_LIMIT, nothing_classes
from edgecnn.errors import BundleError, UsageError
from edgecnn.preprocess import Pixels
from edgecnn.shapes import CLASSES

SPEC = InputSpec(height=96, width=96)


def made(model: bytes, labels: tuple[str, ...] = CLASSES, **manifest: Any) -> Bundle:
    return Bundle.make(model, name="tiny", spec=SPEC, labels=labels, manifest=manifest)


def refusal(path: Path, data: bytes) -> BundleError:
    """The error for a file of these bytes: there has to be one, and it has to be this one."""
    path.write_bytes(data)
    with pytest.raises(BundleError) as caught:
        Bundle.read(path)
    assert caught.value.exit_code == 6
    return caught.value


def zipped(model: bytes, files: dict[str, str]) -> bytes:
    """A model and a zip behind it, as other tools write it."""
    stream = io.BytesIO()
    stream.write(model)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


def test_what_is_read_is_what_was_made(bundle: Bundle, bundle_path: Path) -> None:
    read = Bundle.read(bundle_path)
    assert read == bundle
    assert read.manifest
    assert read.manifest["model_sha256"] == hashlib.sha256(read.model).hexdigest()
    assert (read.manifest["name"], read.manifest["schema"]) == ("tiny", 1)
    assert read.unknown == ()


def test_writing_what_was_read_gives_the_same_bytes(bundle_path: Path, tmp_path: Path) -> None:
    Bundle.read(bundle_path).write(tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == bundle_path.read_bytes()


@pytest.mark.lengthy
def test_every_process_writes_the_same_bytes(int8_model: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(int8_model)
    code = """
import hashlib, sys
from edgecnn import Bundle, InputSpec
facts = {name: 1 for name in {"b", "a", "ccc", "d"}}
spec, labels = InputSpec(height=96, width=96), tuple("012345678")
bundle = Bundle.make(open(sys.argv[1], "rb").read(), name="x", spec=spec, labels=labels, manifest=facts)
print(hashlib.sha256(bundle.data).hexdigest())
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "model")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_the_model_computes_what_it_computed_before_it_was_dressed(
    bundle: Bundle, int8_model: bytes, pictures: Pixels
) -> None:
    with Classifier(bundle) as dressed, Classifier(replace(bundle, model=int8_model)) as bare:
        for picture in pictures:
            assert dressed(picture) == bare(picture)


def test_it_is_a_zip_for_everyone_else(bundle_path: Path) -> None:
    with zipfile.ZipFile(bundle_path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["labels.txt", "edgecnn.json"]
        assert archive.read("labels.txt").decode().split() == list(CLASSES)


def test_buffers_are_aligned_to_16_bytes(bundle: Bundle) -> None:
    root = schema.Model.GetRootAs(bundle.model)
    base = np.frombuffer(bundle.model, np.uint8).ctypes.data
    places = [
        buffer.DataAsNumpy().ctypes.data - base
        for index in range(root.BuffersLength())
        if (buffer := root.Buffers(index)).DataLength()
    ]
    assert len(places) > 5
    assert [place % 16 for place in places] == [0] * len(places)


@pytest.mark.native("hundreds of damaged files, many with a process of their own")
def test_a_bundle_that_was_cut_short_is_damaged_at_every_length(bundle_path: Path, tmp_path: Path) -> None:
    data = bundle_path.read_bytes()
    boundary = len(Bundle.read(bundle_path).model)
    lengths = {*range(0, boundary, 997), *range(boundary - 2, len(data), 61), *range(len(data) - 3, len(data))}
    for length in sorted(lengths):
        refusal(tmp_path / "cut.tflite", data[:length])


@pytest.mark.lengthy
def test_the_flatbuffer_alone_is_damaged_for_its_metadata_names_a_file(bundle: Bundle, tmp_path: Path) -> None:
    assert "labels.txt" in refusal(tmp_path / "bare.tflite", bundle.model).message


@pytest.mark.native("hundreds of damaged files, many with a process of their own")
def test_a_flipped_byte_is_found_wherever_it_is(bundle_path: Path, tmp_path: Path) -> None:
    data = bundle_path.read_bytes()
    random = np.random.default_rng(0)
    zip_start = len(Bundle.read(bundle_path).model)
    places = [*random.integers(0, zip_start, 150), *random.integers(zip_start, len(data), 350)]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << random.integers(8)
        refusal(tmp_path / "flipped.tflite", bytes(flipped))


@pytest.mark.native("hundreds of damaged files, many with a process of their own")
@pytest.mark.parametrize("field", range(46))
def test_no_field_of_the_zips_directory_can_be_changed(bundle_path: Path, tmp_path: Path, field: int) -> None:
    data = bundle_path.read_bytes()
    for entry in (data.find(b"PK\1\2"), data.rfind(b"PK\1\2")):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[entry + field] ^= 1 << bit
            refusal(tmp_path / "flipped.tflite", bytes(flipped))


@pytest.mark.parametrize("garbage", [b"\0", b"PK", b"\0" * 22, b"garbage" * 20_000])
@pytest.mark.lengthy
def test_something_behind_a_bundle_is_damage(bundle_path: Path, tmp_path: Path, garbage: bytes) -> None:
    refusal(tmp_path / "longer.tflite", bundle_path.read_bytes() + garbage)


def test_another_manifest_in_the_zip_is_damage(bundle: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    for manifest in ("[]", "{}", "not JSON", files["edgecnn.json"].replace('"height":96', '"height":"96"')):
        refusal(tmp_path / "other.tflite", zipped(bundle.model, {**files, "edgecnn.json": manifest}))
    refusal(tmp_path / "packed.tflite", zipped(bundle.model, files))  # right in content, not ours in form


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", b"text, not a model", bytes(4) + b"TFL3", bytes(4) + b"TFL3" + bytes(99)]
)
@pytest.mark.lengthy
def test_what_is_no_tflite(tmp_path: Path, data: bytes) -> None:
    refusal(tmp_path / "none.tflite", data)


def test_a_file_that_is_not_there_is_a_wrong_usage(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.tflite", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            Bundle.read(path)


def test_a_manifest_of_4096_bytes_is_the_largest(int8_model: bytes, tmp_path: Path) -> None:
    empty = made(int8_model, note="")._files()["edgecnn.json"]
    largest = made(int8_model, note="x" * (MANIFEST_LIMIT - len(empty)))
    largest.write(tmp_path / "largest.tflite")
    assert Bundle.read(tmp_path / "largest.tflite") == largest
    with pytest.raises(BundleError, match="too large"):
        made(int8_model, note="x" * (MANIFEST_LIMIT - len(empty) + 1))


@pytest.mark.parametrize(
    "labels",
    [
        ("a b", " c ", "grüne Äpfel", "猫", "🍎", "\tx", 'quo"te', "[red]", "é"),
        ("\u2028", "a\u2028b", "a\x0cb", "a\x85b", "\r", "", "x", "y", "z"),
        tuple(f"class {number}" for number in range(1000)),
    ],
    ids=["odd", "line breaks of other alphabets", "1000"],
)
def test_labels_come_back_as_they_were(int8_model: bytes, tmp_path: Path, labels: tuple[str, ...]) -> None:
    made(int8_model, labels).write(tmp_path / "odd.tflite")
    assert Bundle.read(tmp_path / "odd.tflite").labels == labels


@pytest.mark.lengthy
def test_a_whole_foreign_file_is_welcome_and_what_is_unknown_is_said(foreign_path: Path) -> None:
    bundle = Bundle.read(foreign_path)
    assert bundle.manifest is None
    assert bundle.input == SPEC
    assert bundle.labels == tuple("012345678")
    assert bundle.normalization == ((0.0,), (255.0,))
    assert len(bundle.unknown) == 4
    assert any("names of its classes" in what for what in bundle.unknown)
    assert any("range of its pixels" in what for what in bundle.unknown)


@pytest.mark.native("hundreds of damaged files, many with a process of their own")
def test_a_foreign_file_that_was_cut_short_is_refused(foreign_path: Path, tmp_path: Path) -> None:
    data = foreign_path.read_bytes()
    for length in [*range(0, len(data), 701), len(data) - 1]:
        refusal(tmp_path / "cut.tflite", data[:length])


@pytest.mark.lengthy
def test_a_foreign_files_metadata_is_believed(bundle: Bundle, tmp_path: Path) -> None:
    data = zipped(bundle.model, {"labels.txt": "\n".join(CLASSES)})
    (tmp_path / "foreign.tflite").write_bytes(data)
    read = Bundle.read(tmp_path / "foreign.tflite")
    assert read.manifest is None
    assert read.labels == CLASSES
    assert read.normalization == ((128.0,), (128.0,))
    assert [what.partition(" ")[0] for what in read.unknown] == ["how", "what"]


@pytest.mark.lengthy
def test_labels_that_do_not_fit_the_scores_are_indices(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "foreign.tflite").write_bytes(zipped(bundle.model, {"labels.txt": "one\ntwo\n"}))
    read = Bundle.read(tmp_path / "foreign.tflite")
    assert read.labels == tuple("012345678")
    assert any("names of its classes" in what for what in read.unknown)


@pytest.mark.lengthy
def test_a_foreign_file_is_described_and_written_again_as_it_is(bundle: Bundle, tmp_path: Path) -> None:
    data = zipped(bundle.model, {"labels.txt": "\n".join(CLASSES)})
    (tmp_path / "foreign.tflite").write_bytes(data)
    read = Bundle.read(tmp_path / "foreign.tflite")
    described = read.describe()
    assert (described["size_bytes"], described["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    read.write(tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == data


def edited(model: bytes, change: Any) -> bytes:
    """A flatbuffer after a change of its tree."""
    tree = schema.ModelT.InitFromPackedBuf(model)
    change(tree)
    builder = schema.flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.lengthy
def test_a_foreign_file_without_an_output_is_no_bug_of_ours(foreign_model: bytes, tmp_path: Path) -> None:
    def forget_outputs(tree: Any) -> None:
        tree.subgraphs[0].outputs = []

    (tmp_path / "odd.tflite").write_bytes(edited(foreign_model, forget_outputs))
    bundle = Bundle.read(tmp_path / "odd.tflite")
    assert bundle.describe()["outputs"] == []
    with pytest.raises(BundleError, match="not a classifier"):
        Classifier(bundle)


@pytest.mark.lengthy
def test_a_foreign_file_without_an_input_is_no_bug_of_ours(foreign_model: bytes, tmp_path: Path) -> None:
    def forget_inputs(tree: Any) -> None:
        tree.subgraphs[0].inputs = []

    (tmp_path / "odd.tflite").write_bytes(edited(foreign_model, forget_inputs))
    bundle = Bundle.read(tmp_path / "odd.tflite")
    assert bundle.input is None
    with pytest.raises(BundleError, match="not a classifier"):
        Classifier(bundle)


@pytest.mark.lengthy
def test_a_tensor_whose_name_is_no_text_is_refused(foreign_model: bytes, tmp_path: Path) -> None:
    def spoil_name(tree: Any) -> None:
        tree.subgraphs[0].tensors[tree.subgraphs[0].inputs[0]].name = b"\xff\xfe"

    refusal(tmp_path / "odd.tflite", edited(foreign_model, spoil_name))


def test_a_foreign_file_that_crashes_the_interpreter_is_refused_and_does_not_crash_us(
    foreign_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(crashing))
    assert "crashes" in refusal(foreign_path, foreign_path.read_bytes()).message


@pytest.mark.lengthy
def test_what_the_scores_are_worth_is_said_by_a_file_that_knows(bundle: Bundle, foreign_path: Path) -> None:
    assert (bundle.temperature, bundle.threshold) == (None, None)  # as in files of before there were any
    knowing = replace(
        bundle, manifest={**(bundle.manifest or {}), "confidence": {"temperature": 1.5, "threshold": 0.5}}
    )
    assert (knowing.temperature, knowing.threshold) == (1.5, 0.5)
    foreign = Bundle.read(foreign_path)
    assert (foreign.temperature, foreign.threshold) == (None, None)


def test_classes_that_say_that_there_is_nothing() -> None:
    assert nothing_classes(("nothing", "cat", "Unknown", "OTHER", "another")) == (0, 2, 3)
