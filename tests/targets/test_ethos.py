import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from one_operator import T, chain, model, options

from edgecnn import Bundle, targets
from edgecnn.compilation import CompileFor, compile_bundle, refusal
from edgecnn.errors import GateError, MissingExtraError, ModelError, UsageError
from edgecnn.operators import operators
from edgecnn.targets import ethos
from edgecnn.targets.compiling import CompileOptions

pytest.importorskip("ethosu", reason="pip install '.[ethos]'")
GENERATIONS = ("ethos-u55", "ethos-u65", "ethos-u85")


def bare(file: bytes) -> Bundle:
    return Bundle(model=file, input=None, labels=(), manifest=None)


@pytest.fixture(scope="module")
def mixed() -> Bundle:
    """Two int8 convolutions with an ELU between them, which has no int8."""
    import numpy as np

    from edgecnn import InputSpec
    from edgecnn.build import converter
    from edgecnn.build.keras import keras

    layers, spec = keras.layers, InputSpec(height=16, width=16)
    image = layers.Input(spec.shape)
    made = layers.Conv2D(8, 3, name="stem")(image)
    made = layers.Conv2D(8, 3, name="second")(layers.ELU(name="curve")(made))
    made = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D(name="pool")(made))
    noise = np.random.default_rng(0).integers(0, 256, (4, *spec.shape), np.uint8)
    return bare(converter.ptq_file(keras.Model(image, made), spec, noise))


@pytest.mark.parametrize("target", GENERATIONS)
def test_all_of_what_is_built_is_on_the_npu_and_the_manifest_is_kept(target: str, bundle: Bundle) -> None:
    made = compile_bundle(bundle, CompileFor(target=target), name="tiny")
    assert made.tool.startswith("vela 5.")
    assert (made.operator_share, made.mac_share, made.fallbacks) == (1, 1, ())
    assert made.operators == len(operators(bundle.model))
    assert made.macs[0] > 0
    assert made.figures["cycles"] > 0
    assert made.figures["inferences_per_second"] > 0
    assert made.figures["sram_bytes"] > 0
    assert made.figures["flash_bytes"] + made.figures["dram_bytes"] > 0
    assert made.model is not None
    assert [each.type for each in operators(made.model)] == ["ethos-u"]
    assert refusal(made, CompileFor(target=target), allow_cpu=False) is None


def test_more_macs_are_faster_and_what_is_asked_for_is_taken(bundle: Bundle) -> None:
    small, large = (
        compile_bundle(bundle, CompileFor(target="ethos-u55", options=CompileOptions(macs=macs)), name="tiny")
        for macs in (32, 256)
    )
    assert small.figures["cycles"] > large.figures["cycles"]
    asked = CompileOptions(memory_mode="Sram_Only", system_config="Ethos_U55_Deep_Embedded")
    made = compile_bundle(bundle, CompileFor(target="ethos-u55", options=asked), name="tiny")
    assert made.settings == {"macs": 128, "system_config": "Ethos_U55_Deep_Embedded", "memory_mode": "Sram_Only"}
    assert made.figures["cycles"] != small.figures["cycles"]


@pytest.mark.parametrize("target", GENERATIONS)
def test_what_falls_back_is_named_with_its_layer_and_what_to_write_instead(target: str, mixed: Bundle) -> None:
    asked = CompileFor(target=target)
    made = compile_bundle(mixed, asked, name="mixed")
    assert [(each.operator, each.layer) for each in made.fallbacks] == [
        ("DEQUANTIZE", "stem"),
        ("ELU", "curve"),
        ("QUANTIZE", "curve"),
    ]
    curve = made.fallbacks[1]
    assert "Float32" in curve.why
    assert curve.instead == "ReLU or ReLU6"
    assert 0 < made.operator_share < 1 == made.mac_share
    missed = refusal(made, asked, allow_cpu=False)
    assert isinstance(missed, GateError)
    assert "ELU of curve" in str(missed.received)
    assert refusal(made, asked, allow_cpu=True) is None


@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_a_stride_that_is_too_large_is_said_also_where_an_activation_is_fused(activation: str) -> None:
    """Vela names the tensor before a fused activation in its own way; the reason was lost there once."""
    from ai_edge_litert import schema_py_generated as schema

    image, small = T((1, 16, 16, 4)), T((1, 4, 4, 4))
    weights = T((4, 7, 7, 4), values=1), T((4,), "int32", values=1)
    sliding = options(
        "Conv2D", strideH=4, strideW=4, dilationHFactor=1, dilationWFactor=1, padding=schema.Padding.SAME,
        fusedActivationFunction=getattr(schema.ActivationFunctionType, activation),
    )  # fmt: skip
    file = chain([("CONV_2D", [image, *weights], [small], sliding), ("RELU", [image], [image], None)])
    for target in ("ethos-u55", "ethos-u65"):
        (left,) = compile_bundle(bare(file), CompileFor(target=target), name="stem").fallbacks
        assert (left.operator, left.layer) == ("CONV_2D", "layer0")
        assert left.why.startswith("Unsupported kernel stride: 4, 4. Stride>3 is only supported IF")
        assert "stride of 3" in left.instead
    assert compile_bundle(bare(file), CompileFor(target="ethos-u85"), name="stem").fallbacks == ()


def sliding(name: str, size: int, kernel: int, stride: int, padding: str, dilation: int = 1) -> bytes:
    """A convolution or a pooling over a square of four channels, before an operator that every NPU takes."""
    from ai_edge_litert import schema_py_generated as schema

    covered = (kernel - 1) * dilation + 1
    made = -(-(size if padding == "SAME" else size - covered + 1) // stride)
    image, smaller, bias = T((1, size, size, 4)), T((1, made, made, 4)), T((4,), "int32", values=1)
    steps = {"strideH": stride, "strideW": stride, "padding": getattr(schema.Padding, padding)}
    spread = {"dilationHFactor": dilation, "dilationWFactor": dilation}
    if name == "CONV_2D":
        inputs, how = [image, T((4, kernel, kernel, 4), values=1), bias], options("Conv2D", **steps, **spread)
    elif name == "DEPTHWISE_CONV_2D":
        how = options("DepthwiseConv2D", depthMultiplier=1, **steps, **spread)
        inputs = [image, T((1, kernel, kernel, 4), values=1), bias]
    elif name == "TRANSPOSE_CONV":
        larger = (1, size * stride, size * stride, 4)
        inputs = [T((4,), "int32", values=larger), T((4, kernel, kernel, 4), values=1), image]
        smaller, how = T(larger), options("TransposeConv", **steps)
    else:
        inputs, how = [image], options("Pool2D", filterHeight=kernel, filterWidth=kernel, **steps)
    return chain([(name, inputs, [smaller], how), ("RELU", [image], [image], None)])


@pytest.mark.parametrize(
    ("name", "broken", "said", "instead", "mended"),
    [
        ("CONV_2D", (40, 7, 4, "SAME"), "Unsupported kernel stride: 4, 4", "padding 'valid'", (40, 7, 4, "VALID")),
        ("CONV_2D", (40, 7, 4, "SAME"), "Unsupported kernel stride: 4, 4", "stride of 3 at", (40, 7, 3, "SAME")),
        ("DEPTHWISE_CONV_2D", (40, 7, 4, "VALID"), "Unsupported kernel str", "stride of 3 at", (40, 7, 3, "VALID")),
        ("TRANSPOSE_CONV", (8, 3, 3, "SAME"), "stride out of range: (3,3)", "stride of 1 or 2", (8, 3, 2, "SAME")),
        ("AVERAGE_POOL_2D", (40, 9, 2, "SAME"), "kernel width: 9 out of", "window of 8 at", (40, 8, 2, "SAME")),
        ("AVERAGE_POOL_2D", (40, 9, 2, "SAME"), "kernel width: 9 out of", "padding 'valid'", (40, 9, 2, "VALID")),
        ("AVERAGE_POOL_2D", (300, 300, 1, "VALID"), "kernel height: 300", "of 256", (300, 256, 1, "VALID")),
        ("MAX_POOL_2D", (300, 300, 1, "VALID"), "kernel height: 300 out", "window of 256", (300, 256, 1, "VALID")),
    ],
)
def test_what_is_advised_in_the_place_of_what_is_too_large_is_taken(
    name: str, broken: tuple[Any, ...], said: str, instead: str, mended: tuple[Any, ...]
) -> None:
    asked = CompileFor(target="ethos-u55")
    (left,) = compile_bundle(bare(sliding(name, *broken)), asked, name="broken").fallbacks
    assert left.operator == name
    assert left.why.startswith(said)
    assert ":." not in left.why
    assert instead in left.instead
    assert compile_bundle(bare(sliding(name, *mended)), asked, name="mended").fallbacks == ()


def test_padding_is_not_advised_where_it_changes_nothing() -> None:
    file = bare(sliding("DEPTHWISE_CONV_2D", 40, 7, 4, "SAME"))
    (left,) = compile_bundle(file, CompileFor(target="ethos-u55"), name="depthwise").fallbacks
    assert "valid" not in left.instead


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("CONV_2D", (80, 70, 1, "SAME")),
        ("CONV_2D", (80, 9, 1, "SAME", 9)),
        ("DEPTHWISE_CONV_2D", (80, 70, 1, "SAME")),
        ("AVERAGE_POOL_2D", (40, 4, 4, "SAME")),
        ("MAX_POOL_2D", (40, 9, 2, "SAME")),
    ],
)
def test_vela_takes_apart_kernels_over_64_and_strides_of_pools_over_3(name: str, shape: tuple[Any, ...]) -> None:
    """Limits of the NPU that are none of the network's: nothing is advised against them."""
    made = compile_bundle(bare(sliding(name, *shape)), CompileFor(target="ethos-u55"), name="large")
    assert made.fallbacks == ()


def test_a_convolution_in_float_takes_its_multiplications_with_it() -> None:
    """Its share of operators says little; that of multiplications says all."""
    from ai_edge_litert import schema_py_generated as schema

    image, kernel, bias = T((1, 8, 8, 4)), T((4, 3, 3, 4), values=1), T((4,), "int32", values=1)
    wide = T((1, 8, 8, 4), "float32")
    both = options("Conv2D", strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1, padding=schema.Padding.SAME)
    (whole,) = operators(model("CONV_2D", [image, kernel, bias], [image], both))
    assert whole.macs == 8 * 8 * 4 * 3 * 3 * 4
    (left,) = operators(model("CONV_2D", [wide, T((4, 3, 3, 4), "float32", values=1)], [wide], both))
    assert left.macs == whole.macs


def test_a_float_file_is_refused_before_the_tool(foreign_model: bytes) -> None:
    with pytest.raises(ModelError, match="This file is in float: ethos-u55 does not take it"):
        compile_bundle(bare(foreign_model), CompileFor(target="ethos-u55"), name="float")


def test_dynamic_shapes_are_refused() -> None:
    file = model("RELU", [T((1, 8, 8, 4), signature=(-1, 8, 8, 4))], [T((1, 8, 8, 4))])
    with pytest.raises(ModelError, match="dynamic shapes") as caught:
        compile_bundle(bare(file), CompileFor(target="ethos-u85"), name="dynamic")
    assert caught.value.received == "layer0"


def test_what_was_compiled_is_refused(bundle: Bundle) -> None:
    made = compile_bundle(bundle, CompileFor(target="ethos-u55"), name="tiny")
    with pytest.raises(ModelError, match="compiled already"):
        compile_bundle(bare(made.model or b""), CompileFor(target="ethos-u65"), name="tiny")


@pytest.mark.parametrize(
    ("option", "known"),
    [
        (CompileOptions(macs=100), "128, 32, 64, 256"),
        (CompileOptions(system_config="Fast"), "Ethos_U55_Deep_Embedded"),
        (CompileOptions(memory_mode="Dedicated_Sram"), "Shared_Sram, Sram_Only"),
    ],
)
def test_an_option_that_is_not_there_is_answered_with_those_that_are(
    option: CompileOptions, known: str, bundle: Bundle
) -> None:
    with pytest.raises(UsageError) as caught:
        compile_bundle(bundle, CompileFor(target="ethos-u55", options=option), name="tiny")
    assert known in str(caught.value.accepted)


def vela(folder: Path, *lines: str, timeout_s: float = 20) -> CompileFor:
    """A program in the place of Vela."""
    path = folder / "vela"
    path.write_text("\n".join((f"#!{sys.executable}", "import os, pathlib, shutil, sys, time", VERSION, *lines)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return CompileFor(target="ethos-u55", options=CompileOptions(tool=path, timeout_s=timeout_s))


VERSION = "if '--version' in sys.argv: print('5.2.0'); sys.exit()"
PLACES = ("sram", "dram", "on_chip_flash", "off_chip_flash")
SUMMARY = ",".join(("cycles_total", "inferences_per_second", *(f"{place}_memory_used" for place in PLACES)))
DONE_NOTHING = (
    "os.mkdir('out'); shutil.copy('model.tflite', 'out/model_vela.tflite')",
    f"pathlib.Path('out/model_summary_X.csv').write_text({SUMMARY + chr(10) + '0,nan,0,0,0,0'!r})",
)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("time.sleep(60)",), "did not end in 1 s"),
        (("os.abort()",), "crashed (SIGABRT)"),
        (("sys.exit(3)",), "failed (exit code 3)"),
        ((), "wrote nothing"),
        (("os.mkdir('out')",), "wrote nothing"),
        (DONE_NOTHING, "put nothing on the NPU"),
        ((DONE_NOTHING[0], "pathlib.Path('out/model_summary_X.csv').write_text('a,b')"), "no figures"),
    ],
)
def test_a_tool_that_hangs_crashes_fails_or_does_nothing_is_named(
    lines: tuple[str, ...], said: str, bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as caught:
        compile_bundle(bundle, vela(tmp_path, *lines, timeout_s=1 if "sleep" in str(lines) else 20), name="tiny")
    assert "Vela" in caught.value.message
    assert said in caught.value.message


def test_what_a_tool_started_dies_with_it(bundle: Bundle, tmp_path: Path) -> None:
    """A child that holds the pipe would else hold us, too."""
    lines = ("import subprocess", "subprocess.Popen(['sleep', '60'])", "time.sleep(60)")
    with pytest.raises(ModelError, match="did not end"):
        compile_bundle(bundle, vela(tmp_path, *lines, timeout_s=1), name="tiny")


def test_a_missing_tool_says_what_to_install(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ethos, "find_tool", lambda name, given: None)
    with pytest.raises(MissingExtraError, match="Vela is not installed") as caught:
        compile_bundle(bundle, CompileFor(target="ethos-u55"), name="tiny")
    assert ".[ethos]" in caught.value.remedy
    with pytest.raises(UsageError, match="Nothing here compiles for ethos-u55"):
        CompileFor(target="ethos-u55").check_installed()


def test_a_tool_that_cannot_be_run_is_said(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such tool"):
        compile_bundle(
            bundle, CompileFor(target="ethos-u55", options=CompileOptions(tool=tmp_path / "vela")), name="tiny"
        )
    (tmp_path / "vela").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "vela").chmod(0o755)
    with pytest.raises(UsageError, match="Vela cannot be run"):
        compile_bundle(
            bundle, CompileFor(target="ethos-u55", options=CompileOptions(tool=tmp_path / "vela")), name="tiny"
        )


def test_it_runs_on_its_board_alone(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="board alone"):
        targets.choose("ethos-u85")
    with pytest.raises(UsageError, match="board alone"):
        targets.TARGETS["ethos-u85"].load(bundle.model, threads=1)
