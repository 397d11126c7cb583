import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from one_operator import T, chain, model, options

from edgecnn import Bundle, targets
from edgecnn.compilation import CompileFor, compile_bundle
from edgecnn.errors import BundleError, ModelError, UsageError
from edgecnn.operators import operators
from edgecnn.targets import edgetpu
from edgecnn.targets.compiling import CompileOptions
from edgecnn.targets.edgetpu_screen import screen

IMAGE, KERNEL, BIAS = T((1, 8, 8, 4)), T((4, 3, 3, 4), values=1), T((4,), "int32", values=1)
DEPTHWISE = T((1, 3, 3, 4), values=1)
POOLED = T((1, 4, 4, 4))


def conv(**changes: int) -> Any:
    return options("Conv2D", strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1, **changes)


def axes(*values: int) -> T:
    return T((len(values),), "int32", values=values)


BROKEN = {  # one documented limit each, and what is said of it
    "an operator that is not on the list": (model("HARD_SWISH", [IMAGE], [IMAGE]), "not on Coral's list"),
    "float": (model("RELU", [T((1, 8, 8, 4), "float32")], [IMAGE]), "8-bit"),
    "16 bits": (model("RELU", [T((1, 8, 8, 4), "int32")], [IMAGE]), "8-bit"),
    "a dynamic size": (model("RELU", [T((1, 8, 8, 4), signature=(-1, 8, 8, 4))], [IMAGE]), "not known"),
    "four dimensions": (model("RELU", [T((2, 8, 8, 4))], [T((2, 8, 8, 4))]), "three dimensions"),
    "a bias that is computed": (
        model("CONV_2D", [IMAGE, KERNEL, T((4,), "int8")], [IMAGE], conv()),
        "constant bias",
    ),
    "dilation that differs": (
        model("CONV_2D", [IMAGE, KERNEL, BIAS], [IMAGE], options("Conv2D", dilationHFactor=2, dilationWFactor=1)),
        "same dilation",
    ),
    "depthwise dilation that differs": (
        model(
            "DEPTHWISE_CONV_2D",
            [IMAGE, DEPTHWISE, BIAS],
            [IMAGE],
            options("DepthwiseConv2D", dilationHFactor=1, dilationWFactor=2),
        ),
        "same dilation",
    ),
    "a fused average pooling": (
        model("AVERAGE_POOL_2D", [IMAGE], [POOLED], options("Pool2D", fusedActivationFunction=1)),
        "no fused activation",
    ),
    "a fused max pooling": (
        model("MAX_POOL_2D", [IMAGE], [POOLED], options("Pool2D", fusedActivationFunction=3)),
        "no fused activation",
    ),
    "a fused concatenation": (
        model("CONCATENATION", [IMAGE, IMAGE], [T((1, 8, 8, 8))], options("Concatenation", fusedActivationFunction=1)),
        "no fused activation",
    ),
    "a constant among three": (
        model("CONCATENATION", [IMAGE, IMAGE, T((1, 8, 8, 4), values=0)], [T((1, 8, 8, 12))]),
        "two inputs",
    ),
    "a constant that is not zero": (
        model("CONCATENATION", [IMAGE, T((1, 8, 8, 4), values=1)], [T((1, 8, 8, 8))]),
        "zeros",
    ),
    "shuffled weights": (
        model(
            "FULLY_CONNECTED",
            [T((1, 16)), T((4, 16), values=1), BIAS],
            [T((1, 4))],
            options("FullyConnected", weightsFormat=1),
        ),
        "default format",
    ),
    "a dense layer over rows": (
        model("FULLY_CONNECTED", [T((8, 16)), T((4, 16), values=1), BIAS], [T((8, 4))]),
        "one dimension",
    ),
    "a mean over the batch": (model("MEAN", [IMAGE, axes(0, 1)], [T((8, 4))]), "batch"),
    "a mean over three channels": (
        model("MEAN", [T((1, 8, 8, 3)), axes(3)], [T((1, 8, 8))]),
        "multiple of 4",
    ),
    "a pack along the batch": (
        model("PACK", [T((8, 4)), T((8, 4))], [T((2, 8, 4))], options("Pack", axis=0)),
        "batch",
    ),
    "a padded batch": (
        model("PAD", [IMAGE, T((4, 2), "int32", values=[[0, 1], [0, 0], [0, 0], [0, 0]])], [T((1, 8, 8, 4))]),
        "batch",
    ),
    "a slope a pixel": (model("PRELU", [IMAGE, T((8, 8, 4), values=1)], [IMAGE]), "shared_axes"),
    "a maximum over the batch": (model("REDUCE_MAX", [IMAGE, axes(0)], [T((8, 8, 4))]), "batch"),
    "a minimum over the batch": (model("REDUCE_MIN", [IMAGE, axes(-4)], [T((8, 8, 4))]), "batch"),
    "a sum over the batch": (model("SUM", [IMAGE, axes(0)], [T((8, 8, 4))]), "batch"),
    "a large softmax": (model("SOFTMAX", [T((1, 16_001))], [T((1, 16_001))]), "16,000"),
    "a softmax of images": (model("SOFTMAX", [T((1, 8, 8, 4))], [IMAGE]), "one dimension"),
    "a split batch": (
        model("SPLIT", [T((), "int32", values=0), T((1, 8, 8, 4))], [IMAGE], options("Split", numSplits=1)),
        "batch",
    ),
    "a squeeze in the middle": (model("SQUEEZE", [T((5, 1, 10))], [T((5, 10))]), "leading"),
    "strides of two": (
        model("STRIDED_SLICE", [T((8, 4)), axes(0, 0), axes(8, 4), axes(2, 1)], [T((4, 4))]),
        "strides of 1",
    ),
    "a new axis": (
        model(
            "STRIDED_SLICE",
            [T((8, 4)), axes(0, 0), axes(8, 4), axes(1, 1)],
            [T((1, 8, 4))],
            options("StridedSlice", newAxisMask=1),
        ),
        "new axis",
    ),
    "an ellipsis": (
        model(
            "STRIDED_SLICE",
            [T((8, 4)), axes(0, 0), axes(8, 4), axes(1, 1)],
            [T((8, 4))],
            options("StridedSlice", ellipsisMask=1),
        ),
        "ellipsis",
    ),
    "a resize of five dimensions": (
        model("RESIZE_BILINEAR", [T((1, 1, 8, 8, 4)), axes(16, 16)], [T((1, 1, 16, 16, 4))]),
        "three dimensions",
    ),
}
WITHIN = {
    "a convolution": model("CONV_2D", [IMAGE, KERNEL, BIAS], [IMAGE], conv(fusedActivationFunction=3)),
    "a dilated one": model(
        "CONV_2D", [IMAGE, KERNEL, BIAS], [IMAGE], options("Conv2D", dilationHFactor=2, dilationWFactor=2)
    ),
    "zero padding by a constant": model("CONCATENATION", [IMAGE, T((1, 8, 8, 4), values=0)], [T((1, 8, 8, 8))]),
    "a mean over the image": model("MEAN", [IMAGE, axes(1, 2)], [T((1, 4))]),
    "a mean over four channels": model("MEAN", [IMAGE, axes(3)], [T((1, 8, 8))]),
    "16,000 classes": model("SOFTMAX", [T((1, 16_000))], [T((1, 16_000))]),
    "leading ones": model("SQUEEZE", [T((1, 5, 10))], [T((5, 10))]),
    "a slope a channel": model("PRELU", [IMAGE, T((1, 1, 4), values=1)], [IMAGE]),
    "a dense layer": model("FULLY_CONNECTED", [T((1, 16)), T((4, 16), values=1), BIAS], [T((1, 4))]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_breaks_one_limit_is_screened_out_for_it(case: str) -> None:
    file, said = BROKEN[case]
    ((operator, why),) = screen(operators(file))
    assert said in why
    assert operator.name == "layer0"


@pytest.mark.parametrize("case", WITHIN)
def test_a_file_within_the_limits_passes_the_screen(case: str) -> None:
    assert screen(operators(WITHIN[case])) == ()


def test_all_after_the_first_that_is_left_is_left_too() -> None:
    file = chain(
        [("RELU", [IMAGE], [IMAGE], None), ("HARD_SWISH", [IMAGE], [IMAGE], None), ("RELU", [IMAGE], [IMAGE], None)]
    )
    left = screen(operators(file))
    assert [operator.name for operator, _ in left] == ["layer1", "layer2"]
    assert left[1][1] == "it comes after HARD_SWISH of layer1, which is left to the CPU"


def test_what_the_project_builds_passes_and_is_called_a_screen(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    made = compile_bundle(bundle, CompileFor(target="edgetpu"), name="tiny")
    assert (made.method, made.model, made.fallbacks, made.operator_share) == ("screened", None, (), 1)
    assert "screen" in made.tool


def compiler(folder: Path, *lines: str) -> CompileFor:
    """A program in the place of Coral's, which is in no registry."""
    path = folder / "edgetpu_compiler"
    path.write_text("\n".join((f"#!{sys.executable}", "import sys, pathlib", *lines)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return CompileFor(target="edgetpu", options=CompileOptions(tool=path, timeout_s=10))


VERSION = "if '--version' in sys.argv: print('Edge TPU Compiler version 16.0.384591198'); sys.exit()"


def test_what_the_compiler_leaves_is_named_with_what_it_says_of_it(bundle: Bundle, tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    from edgecnn.bundle import packed

    tree = schema.ModelT.InitFromPackedBuf(bundle.model)
    graph, code = tree.subgraphs[0], schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.deprecatedBuiltinCode, code.customCode = 32, "edgetpu-custom-op"
    tree.operatorCodes.append(code)
    *first, last = graph.operators
    first[0].opcodeIndex, first[0].builtinOptions, first[0].builtinOptionsType = len(tree.operatorCodes) - 1, None, 0
    graph.operators = [first[0], last]
    (tmp_path / "made").write_bytes(packed(tree, len(bundle.model)))
    asked = compiler(
        tmp_path,
        VERSION,
        f"pathlib.Path('model_edgetpu.tflite').write_bytes(pathlib.Path({str(tmp_path / 'made')!r}).read_bytes())",
        "print('QUANTIZE   1   Operation is otherwise supported, but not mapped due to some unspecified limitation')",
        "print('CONV_2D    4   Mapped to Edge TPU')",
    )
    made = compile_bundle(bundle, asked, name="tiny")
    (left,) = made.fallbacks
    assert (made.method, made.tool) == ("compiled", "Edge TPU Compiler version 16.0.384591198")
    assert left.operator == "QUANTIZE"
    assert "unspecified limitation" in left.why
    dressed = bundle.compiled(made.model or b"", {"target": "edgetpu"})
    assert (dressed.labels, dressed.compiled_for) == (bundle.labels, "edgetpu")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((VERSION,), "wrote nothing"),
        ((VERSION, "import shutil; shutil.copy('model.tflite', 'model_edgetpu.tflite')"), "put nothing on the Edge"),
        ((VERSION, "print('Internal compiler error. Aborting!'); sys.exit(1)"), "failed (exit code 1)"),
        ((VERSION, "import os; os.abort()"), "crashed (SIGABRT)"),
    ],
)
def test_a_compiler_that_fails_or_does_nothing_is_said(
    lines: tuple[str, ...], said: str, bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as caught:
        compile_bundle(bundle, compiler(tmp_path, *lines), name="tiny")
    assert said in caught.value.message


def test_without_the_library_nothing_runs_on_it(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(UsageError) as caught:
        targets.choose("edgetpu")
    assert "2.5.0.post1" in str(caught.value.received)


class Interpreter:
    """In the place of an interpreter, whose delegate is none."""

    def __init__(self, *, experimental_delegates: list[Any], **others: Any) -> None:
        self.delegates = experimental_delegates
        detail = {"name": "x", "shape": np.array([1, 2]), "dtype": np.uint8, "quantization": (0.5, 0), "index": 0}
        self.get_input_details = self.get_output_details = lambda: [detail]
        self.invoke = lambda: None

    def allocate_tensors(self) -> None:
        if self.delegates == ["of another TensorFlow"]:
            raise RuntimeError("Internal: Unsupported data type in custom op handler")


@pytest.mark.parametrize(("delegate", "error"), [(OSError("no"), UsageError), ("of another TensorFlow", BundleError)])
def test_a_device_that_is_not_there_and_a_wrong_pair_are_said(
    delegate: Any, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_delegate(library: str) -> Any:
        if isinstance(delegate, Exception):
            raise delegate
        return delegate

    module = SimpleNamespace(
        __name__="tflite_runtime.interpreter", Interpreter=Interpreter, load_delegate=load_delegate
    )
    monkeypatch.setattr(edgetpu.importlib, "import_module", lambda name: module)
    with pytest.raises(error) as caught:
        targets.TARGETS["edgetpu"].load(b"", threads=1)
    assert "2.5.0.post1" in caught.value.accepted  # type: ignore[attr-defined]


def test_with_a_device_the_delegate_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(
        __name__="tflite_runtime.interpreter", Interpreter=Interpreter, load_delegate=lambda name: "delegate"
    )
    monkeypatch.setattr(edgetpu.importlib, "import_module", lambda name: module)
    session = targets.TARGETS["edgetpu"].load(b"", threads=1)
    assert session.runtime == "libedgetpu in tflite_runtime"
