"""Ranges of the least error, and biases that make up for rounding."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn.build import InputSpec, SeparableNet
from edgecnn.build.bias_correction import rounded_kernel
from edgecnn.build.post_training import best_range

SPEC = InputSpec(height=24, width=24)


def test_a_rare_outlier_is_cut_off_and_a_flat_spread_is_not():
    flat = np.full(2048, 10)
    outlier = np.zeros(2048, int)
    outlier[:300], outlier[-1] = 100_000, 1
    assert best_range(flat, 0.0, 6.0) == (0.0, 6.0)
    low, high = best_range(outlier, 0.0, 6.0)
    assert low == 0
    assert 300 / 2048 * 6 <= high < 3


def test_both_ends_are_found_and_zero_stays_inside():
    histogram = np.zeros(2048, int)
    histogram[1000:1400], histogram[0] = 100_000, 1
    low, high = best_range(histogram, -4.0, 4.0)
    assert -4 < low <= 0
    assert 1.4 < high <= 4
    assert best_range(np.full(2048, 10), 1.0, 2.0)[0] == 0


def test_a_kernel_is_rounded_for_each_output_channel():
    kernel = np.array([[1.0, 0.5], [100.0, 50.2]], np.float32)
    assert np.allclose(rounded_kernel(kernel, depthwise=False), [[1.0, 64 / 127], [100.0, 64 * 100 / 127]])
    assert np.allclose(rounded_kernel(kernel.reshape(1, 2, 1, 2), depthwise=True)[0, :, 0, 0], [1 * 100 / 127, 100.0])


@pytest.fixture(scope="module")
def network():
    """A network with depthwise layers whose weights are far from even, and images for it."""
    from edgecnn.build.keras import keras

    keras.utils.set_random_seed(3)
    model = SeparableNet().build(SPEC, 5)
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma * random.lognormal(0, 1, gamma.shape), beta + 0.3, mean, variance])
    return model, random.integers(0, 256, (24, *SPEC.shape), np.uint8)


def _before_softmax(file):
    """The file, ready to run, and the tensor that its softmax takes."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=file, experimental_preserve_all_tensors=True, num_threads=1)
    runner.allocate_tensors()
    names = {detail["name"]: detail for detail in runner.get_tensor_details()}
    tree = schema.ModelT.InitFromPackedBuf(file)
    graph = tree.subgraphs[0]
    softmax = next(op for op in graph.operators if _kind(tree, op) == schema.BuiltinOperator.SOFTMAX)
    return runner, names[graph.tensors[softmax.inputs[0]].name.decode()]


def _logits(file, images):
    """What stands before the softmax, dequantized."""
    runner, detail = _before_softmax(file)
    found = []
    for image in images:
        runner.set_tensor(runner.get_input_details()[0]["index"], image[np.newaxis])
        runner.invoke()
        scale, zero_point = detail["quantization"]
        found.append((runner.get_tensor(detail["index"])[0].astype(np.float32) - zero_point) * scale)
    return np.array(found)


def _kind(tree, operator):
    code = tree.operatorCodes[operator.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def test_the_file_comes_nearer_to_the_float_network_and_takes_no_more(network):
    from edgecnn.build import converter

    model, images = network
    truth = model(SPEC.dequantize(images), training=False).numpy()
    plain = converter.ptq_file(model, SPEC, images)
    better = converter.ptq_file(model, SPEC, images, ranges="mse", correct_biases=True)
    errors = [_logits(file, images) - truth for file in (plain, better)]
    assert np.abs(errors[1].mean(axis=0)).mean() < 0.7 * np.abs(errors[0].mean(axis=0)).mean()
    assert (errors[1] ** 2).mean() < (errors[0] ** 2).mean()
    scales = [_before_softmax(file)[1]["quantization"] for file in (plain, better)]
    assert scales[0] == scales[1], "the largest logits are the answer: their range stays whole"
    trees = [schema.ModelT.InitFromPackedBuf(file) for file in (plain, better)]
    kinds = [[_kind(tree, operator) for operator in tree.subgraphs[0].operators] for tree in trees]
    assert kinds[0] == kinds[1]
    assert len(better) < 1.005 * len(plain)


def test_a_bias_loses_exactly_what_rounding_adds(network):
    """Of a convolution of stride 2, a depthwise and a dense one: held against Keras, image by image."""
    from edgecnn.build import converter
    from edgecnn.build.keras import keras, tf
    from edgecnn.build.post_training import refined

    keras.utils.set_random_seed(1)
    image = keras.layers.Input(SPEC.shape)
    first = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="first")(image)
    second = keras.layers.DepthwiseConv2D(5, padding="same", activation="relu", name="second")(first)
    logits = keras.layers.Dense(4, name="logits")(keras.layers.GlobalAveragePooling2D()(second))
    model, images = keras.Model(image, logits), network[1]
    file = _calibrated(converter, model, images)
    better = refined(file, SPEC, images, ranges="minmax", correct_biases=True)
    seen = keras.Model(image, [first, model.get_layer("logits").input])(SPEC.dequantize(images))
    inputs = {"first": tf.constant(SPEC.dequantize(images)), "second": seen[0], "logits": seen[1]}
    found = _biases(better)
    for name, source in inputs.items():
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        axes = tuple(range(kernel.ndim - 1)) if name != "second" else (0, 1)
        scale = np.abs(kernel).max(axis=axes, keepdims=True) / 127
        layer.activation = keras.activations.linear
        before = layer(source).numpy()
        layer.set_weights([np.round(kernel / scale) * scale, bias])
        added = (layer(source).numpy() - before).reshape(-1, len(bias)).mean(axis=0)
        layer.set_weights([kernel, bias])
        assert any(np.allclose(each, bias - added, atol=1e-6) for each in found if len(each) == len(bias)), name
        assert np.abs(added).max() > 1e-5


def _calibrated(converter, model, images):
    """What the converter has after calibration."""
    maker = converter._converter(model)
    maker.representative_dataset = lambda: ([SPEC.dequantize(each[np.newaxis])] for each in images)
    maker._experimental_calibrate_only = True
    return converter._convert(converter._quantized(maker))


def _biases(file):
    tree = schema.ModelT.InitFromPackedBuf(file)
    graph = tree.subgraphs[0]
    found = []
    for operator in graph.operators:
        if len(operator.inputs) == 3 and operator.inputs[2] >= 0:
            data = tree.buffers[graph.tensors[operator.inputs[2]].buffer].data
            found.append(np.frombuffer(np.asarray(data, np.uint8).tobytes(), "<f4"))
    return found
