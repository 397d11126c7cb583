import ctypes
import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from one_operator import T, model

from edgecnn import Bundle, Classifier, InputSpec
from edgecnn.compilation import CompileFor, compile_bundle
from edgecnn.errors import BundleError, ModelError, UsageError
from edgecnn.operators import operators
from edgecnn.targets import TARGETS
from edgecnn.targets.compiling import CompileOptions, Model
from edgecnn.targets.micro_export import export

pytest.importorskip("tflite_micro", reason="pip install '.[micro]'")
ASKED = CompileFor(target="micro")
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
    (tmp_path / "shim.c").write_text(
        '#include "preprocess.h"\n'
        "int shim(const uint8_t*, int, int, uint8_t*);\n"
        "int shim(const uint8_t* f, int h, int w, uint8_t* o) { return edgecnn_preprocess(f, h, w, o); }\n"
    )
    frame = np.random.default_rng(0).integers(0, 256, (*frame_size, 3), np.uint8)
    ours = np.zeros(spec.shape, np.uint8)
    pointers = [each.ctypes.data_as(ctypes.c_char_p) for each in (frame, ours)]
    assert built(tmp_path, "shim.c", "-std=c99").shim(pointers[0], *frame_size, pointers[1]) == 0
    assert np.abs(ours.astype(int) - spec.apply(frame)).max() <= 1
    too_small = built(tmp_path, "shim.c", "-std=c99").shim(pointers[0], 50, 50, pointers[1])
    assert too_small == -1


STUBS = {
    "micro_interpreter.h": """
#pragma once
#include <cstddef>
#include <cstdint>
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
#define TFLITE_SCHEMA_VERSION 3
union TfLitePtrUnion { uint8_t* uint8; int8_t* int8; };
struct TfLiteTensor { TfLitePtrUnion data; };
namespace tflite {
struct Model { uint32_t version() const { return 3; } };
inline const Model* GetModel(const void* data) { return static_cast<const Model*>(data); }
class MicroInterpreter {
 public:
  template <class R> MicroInterpreter(const Model*, const R&, uint8_t*, size_t) {}
  TfLiteStatus AllocateTensors() { in_.data.uint8 = bytes_; out_.data.uint8 = scores_; return kTfLiteOk; }
  TfLiteTensor* input(size_t) { return &in_; }
  TfLiteTensor* output(size_t) { return &out_; }
  TfLiteStatus Invoke() { scores_[2] = 250; return kTfLiteOk; }
 private:
  uint8_t bytes_[96 * 96 * 3] = {}; uint8_t scores_[64] = {}; TfLiteTensor in_, out_;
};
}
""",
    "micro_mutable_op_resolver.h": """
#pragma once
namespace tflite {
template <unsigned N> struct MicroMutableOpResolver {
  void AddConv2D() {} void AddDepthwiseConv2D() {} void AddFullyConnected() {}
  void AddMean() {} void AddQuantize() {} void AddSoftmax() {}
};
}
""",
    "schema_generated.h": "#pragma once\n",
}


def test_the_program_is_complete_and_says_the_label(exported: Path, bundle: Bundle, tmp_path: Path) -> None:
    """Against stand-ins for the library's headers, which no package carries: it compiles, links and answers."""
    for name, text in STUBS.items():
        place = tmp_path / "tensorflow/lite" / ("schema" if "schema" in name else "micro") / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    program = tmp_path / "program"
    for command in (
        ["gcc", *STRICT, "-std=c99", "-c", "model.c", "-o", "model.o"],
        ["g++", *STRICT, "-std=c++17", f"-I{tmp_path}", "main.cc", "model.o", "-o", str(program)],
    ):
        subprocess.run(command, cwd=exported, check=True, capture_output=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert said == f"{bundle.labels[2]} {1000 * 250 // 256}/1000\n"


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
