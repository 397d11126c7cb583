import ctypes
import dataclasses
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kernels
import numpy as np
import pytest
from one_operator import T, model

from edgecnn import Bundle, Classifier, InputSpec, shapes
from edgecnn.compilation import CompileFor, compile_bundle
from edgecnn.errors import BundleError, ModelError, UsageError
from edgecnn.operators import operators
from edgecnn.preprocess import Pixels
from edgecnn.targets import TARGETS
from edgecnn.targets.compiling import CompileOptions, Model
from edgecnn.targets.micro_export import export

pytest.importorskip("tflite_micro", reason="pip install '.[micro]'")
ASKED = CompileFor(target="micro")
SHIM = (
    '#include "preprocess.h"\n'
    "int shim(const uint8_t*, int, int, uint8_t*);\n"
    "int shim(const uint8_t* f, int h, int w, uint8_t* o) { return edgecnn_preprocess(f, h, w, o); }\n"
)
SPEC = InputSpec(height=96, width=96)
PAGE = 4096
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")


@pytest.fixture(scope="module")
def exported(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("micro")
    for name, data in compile_bundle(bundle, ASKED, name="tiny").files.items():
        (folder / name).write_bytes(data)
    return folder


def built(folder: Path, source: str, *flags: str, compiler: str = "gcc") -> ctypes.CDLL:
    library = folder / f"{source}.so"
    command = [compiler, *STRICT, *flags, "-shared", "-fPIC", "-O1", source, "-o", str(library)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return ctypes.CDLL(str(library))


def test_the_arena_is_measured_and_the_outputs_are_those_of_the_reference(bundle: Bundle) -> None:
    made = compile_bundle(bundle, ASKED, name="tiny")
    assert made.method == "exported"
    assert made.figures["agreement"]["largest_step"] <= 1
    assert made.figures["agreement"]["same_class"] == 1
    assert 10_000 < made.figures["arena_bytes"] < 1_000_000
    assert sorted(made.files) == ["main.cc", "model.c", "model.h", "preprocess.h"]


@pytest.mark.parametrize(("compiler", "standard"), [("gcc", "-std=c99"), ("g++", "-std=c++17"), ("gcc", "-std=c11")])
def test_the_c_array_compiles_and_is_the_model(compiler: str, standard: str, exported: Path, bundle: Bundle) -> None:
    language = ("-x", "c++") if compiler == "g++" else ()
    library = built(exported, "model.c", standard, *language, compiler=compiler)
    size = ctypes.c_uint.in_dll(library, "edgecnn_model_size").value
    data = (ctypes.c_ubyte * size).in_dll(library, "edgecnn_model")
    assert bytes(data) == bundle.model
    assert ctypes.addressof(data) % 16 == 0
    labels = (ctypes.c_char_p * len(bundle.labels)).in_dll(library, "edgecnn_labels")
    assert tuple((label or b"").decode() for label in labels) == bundle.labels


def test_the_array_runs_in_the_kernels_of_microcontrollers(exported: Path, bundle: Bundle) -> None:
    library = built(exported, "model.c")
    size = ctypes.c_uint.in_dll(library, "edgecnn_model_size").value
    array = bytes((ctypes.c_ubyte * size).in_dll(library, "edgecnn_model"))
    frame = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    with (
        Classifier(dataclasses.replace(bundle, model=array), target="micro") as micro,
        Classifier(bundle, target="litert", reference=True) as reference,
    ):
        assert micro.runtime.startswith("tflite-micro ")
        answers = [each(frame) for each in (micro, reference)]
    assert answers[0][0].label == answers[1][0].label
    assert abs(answers[0][0].score - answers[1][0].score) <= 1 / 256


CROSS = {"gcc": (), "arm-none-eabi-gcc": ("-mcpu=cortex-m4", "-mthumb")}


@pytest.mark.parametrize("compiler", [each for each in CROSS if shutil.which(each)])
def test_it_needs_no_library_of_c(compiler: str, exported: Path) -> None:
    """Debian's arm-none-eabi-gcc, where it is installed, makes the object file of a Cortex-M."""
    command = [compiler, *STRICT, *CROSS[compiler], "-ffreestanding", "-c", "model.c", "-o", "model.o"]
    subprocess.run(command, cwd=exported, check=True, capture_output=True)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
@pytest.mark.skipif(not shutil.which("arm-none-eabi-g++"), reason="apt install libstdc++-arm-none-eabi-dev")
def test_the_program_compiles_for_a_microcontroller(core: str, exported: Path) -> None:
    kernels.headers(exported)
    command = ["arm-none-eabi-g++", "-std=c++17", "-Wall", "-Werror", f"-mcpu={core}", "-mthumb", "-fno-exceptions"]
    done = subprocess.run(
        [*command, "-I.", "-c", "main.cc", "-o", "main.o"], cwd=exported, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("frame_size", [(96, 96), (120, 160), (97, 211), (480, 640), (192, 192)])
@pytest.mark.parametrize("resize", ["stretch", "center_crop"])
@pytest.mark.parametrize("channels", [3, 1])
def test_the_preprocessing_in_c_is_that_of_training(
    frame_size: tuple[int, int], resize: str, channels: int, bundle: Bundle, tmp_path: Path
) -> None:
    spec = InputSpec(height=90, width=64, channels=channels, resize=resize)  # type: ignore[arg-type]
    asked = Model(flatbuffer=bundle.model, name="tiny", labels=bundle.labels, input=spec)
    for name, data in export(asked, operators(bundle.model), arena_bytes=1).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "shim.c").write_text(SHIM)
    frame = np.random.default_rng(0).integers(0, 256, (*frame_size, 3), np.uint8)
    ours = np.zeros(spec.shape, np.uint8)
    pointers = [each.ctypes.data_as(ctypes.c_char_p) for each in (frame, ours)]
    assert built(tmp_path, "shim.c", "-std=c99").shim(pointers[0], *frame_size, pointers[1]) == 0
    assert np.abs(ours.astype(int) - spec.apply(frame)).max() <= 1
    too_small = built(tmp_path, "shim.c", "-std=c99").shim(pointers[0], 50, 50, pointers[1])
    assert too_small == -1


def read_frames(folder: Path) -> None:
    """``main.cc`` with a ``read_frame`` that reads a file, as its user would put a camera there: ``mine.cc``."""
    text = (folder / "main.cc").read_text()
    mine = """void read_frame(uint8_t* rgb) {
  std::FILE* file = std::fopen("frame", "rb");
  if (file == nullptr || std::fread(rgb, 1, sizeof(frame), file) != sizeof(frame)) std::printf("no frame\\n");
  if (file != nullptr) std::fclose(file);
}
"""
    changed = re.sub(r"^void read_frame.*?^}\n", lambda _: mine, text, flags=re.MULTILINE | re.DOTALL)
    assert changed != text
    (folder / "mine.cc").write_text(changed)


def expected(bundle: Bundle, folder: Path, frame: "np.ndarray") -> str:
    """What the program has to print, from the kernels' own Python package."""
    (folder / "shim.c").write_text(SHIM)
    session = TARGETS["micro"].load(bundle.model, threads=1)
    pixels = np.zeros(session.inputs[0].shape, np.uint8)
    pointers = [each.ctypes.data_as(ctypes.c_char_p) for each in (frame, pixels)]
    assert built(folder, "shim.c", "-std=c99").shim(pointers[0], *frame.shape[:2], pointers[1]) == 0
    session.set_input(pixels)
    session.invoke()
    place = min(range(len(session.outputs)), key=lambda i: len(session.outputs[i].shape))
    scores, best = session.output(place)[0], int(session.output(place)[0].argmax())
    score = np.float32(int(scores[best]) - session.outputs[place].zero_point) * np.float32(session.outputs[place].scale)
    label = "unknown" if score < (bundle.threshold or 0) else bundle.labels[best]
    return f"{label} {int(score * np.float32(1000))}/1000"


def written(bundle: Bundle, folder: Path) -> Path:
    for name, data in compile_bundle(bundle, ASKED, name="tiny").files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def two_outputs(float_model: Any, pictures: Pixels) -> Bundle:
    """A classifier with class maps."""
    from edgecnn.build import class_maps, converter

    file = converter.ptq_file(class_maps.added(float_model), SPEC, pictures)
    return Bundle(model=file, input=SPEC, labels=shapes.CLASSES, manifest=None)


@pytest.mark.parametrize("which", ["bundle", "square_bundle", "two_outputs"])
def test_the_program_runs_in_the_real_kernels_and_says_what_they_say(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Unchanged, and with images: in its own arena, with its own resolver, which has no more room than it needs."""
    bundle = request.getfixturevalue(which)
    folder = written(bundle, tmp_path)
    types = len({each.type for each in operators(bundle.model)})
    resolver = f"resolver {types} of {types}, used {types}"
    rows, columns = (
        int(number) for number in re.findall(r"kFrame(?:Height|Width) = (\d+)", (folder / "main.cc").read_text())
    )
    y, x, c = np.mgrid[:rows, :columns, :3]
    gradient = ((x + y * c) & 255).astype(np.uint8)
    done = kernels.run(folder)
    assert done.stdout.splitlines() == [expected(bundle, folder, gradient), resolver], done.stderr
    read_frames(folder)
    for seed in range(3):
        frame = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)
        (folder / "frame").write_bytes(frame.tobytes())
        done = kernels.run(folder, "mine.cc")
        assert done.stdout.splitlines() == [expected(bundle, folder, frame), resolver], done.stderr


def test_a_smaller_arena_and_a_missing_operator_fail_in_the_real_interpreter(bundle: Bundle, tmp_path: Path) -> None:
    folder = written(bundle, tmp_path)
    header, main = (folder / "model.h").read_text(), (folder / "main.cc").read_text()
    size = re.search(r"ARENA_BYTES (\d+)", header)
    assert size
    (folder / "model.h").write_text(header.replace(size[1], str(int(size[1]) - PAGE)))
    assert kernels.run(folder).returncode == 2
    (folder / "model.h").write_text(header)
    (folder / "main.cc").write_text(main.replace("  resolver.AddSoftmax();\n", ""))
    assert kernels.run(folder).returncode == 2


def test_labels_that_c_would_misread_arrive_whole(bundle: Bundle, tmp_path: Path) -> None:
    labels = ('say "cheese"', "back\\slash", "Käse 9", "??/", "a\tb", "*/", "100 %", *bundle.labels[7:])
    asked = Model(flatbuffer=bundle.model, name="*/ nasty \\", labels=labels, input=bundle.input)
    for name, data in export(asked, operators(bundle.model), arena_bytes=1).items():
        (tmp_path / name).write_bytes(data)
    found = (ctypes.c_char_p * len(labels)).in_dll(built(tmp_path, "model.c", "-std=c99"), "edgecnn_labels")
    assert tuple((label or b"").decode() for label in found) == labels


def test_a_float_file_is_refused(foreign_path: Path) -> None:
    with pytest.raises(ModelError, match="in float"):
        compile_bundle(Bundle.read(foreign_path), ASKED, name="float")


def test_an_operator_that_microcontrollers_do_not_have_is_named() -> None:
    file = model("GELU", [T((1, 8, 8, 4))], [T((1, 8, 8, 4))])
    asked = Bundle(model=file, input=None, labels=(), manifest=None)
    with pytest.raises(ModelError, match="no kernel for GELU") as caught:
        compile_bundle(asked, ASKED, name="gelu")
    assert caught.value.received == "GELU of layer0"
    assert "ReLU6" in caught.value.remedy


def test_one_that_its_kernels_do_not_take_is_said(bundle: Bundle) -> None:
    file = model("RELU", [T((1, 8, 8, 4), "uint8")], [T((1, 8, 8, 4), "uint8")])
    with pytest.raises(ModelError, match="tflite-micro"):
        compile_bundle(dataclasses.replace(bundle, model=file), ASKED, name="relu")


def test_no_classifier_is_refused_and_options_of_others_too(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="not a classifier"):
        compile_bundle(dataclasses.replace(bundle, labels=("one", "two")), ASKED, name="tiny")
    with pytest.raises(UsageError, match="micro has no such option"):
        compile_bundle(bundle, CompileFor(target="micro", options=CompileOptions(macs=128)), name="tiny")


def test_a_hanging_measurement_is_stopped(bundle: Bundle) -> None:
    asked = CompileFor(target="micro", options=CompileOptions(timeout_s=0.01))
    with pytest.raises(ModelError, match="did not end in"):
        compile_bundle(bundle, asked, name="tiny")


def test_what_its_interpreter_refuses_is_said(foreign_model: bytes) -> None:
    file = model("GELU", [T((1, 8, 8, 4))], [T((1, 8, 8, 4))])
    with pytest.raises(BundleError, match="interpreter for microcontrollers cannot load"):
        TARGETS["micro"].load(file, threads=1)
