"""Keras to TFLite, quietly: the three kinds of file that a build makes, each with softmax inside and a batch of 1.

A model with a second output, `edgecnn.build.class_maps`, makes a file with one; the scores are the first.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.build.flatbuffer import scores_first
from edgecnn.build.keras import tf
from edgecnn.build.pixels import Rows
from edgecnn.build.post_training import Ranges, refined
from edgecnn.build.recipe import Context
from edgecnn.build.train import PTQ_FILE
from edgecnn.errors import ModelError
from edgecnn.files import write_atomically
from edgecnn.preprocess import InputSpec
from edgecnn.progress import SILENT, Count, Progress
from edgecnn.silence import silenced


def float_file(model: Any) -> bytes:
    """The model as it is: float32 in, float32 scores out."""
    return _convert(_converter(model))


def ptq_file(
    model: Any,
    spec: InputSpec,
    calibration: Rows,
    *,
    ranges: Ranges = "minmax",
    correct_biases: bool = False,
    progress: Progress = SILENT,
) -> bytes:
    """Post-training quantization of a float model: uint8 in, int8 inside, uint8 scores out.

    Args:
        model: from (batch, height, width, channels) float32 to logits.
        spec: its input.
        calibration: (n, height, width, channels) uint8, the representative images.
        ranges: see `edgecnn.build.post_training.refined`.
        correct_biases: see there.
        progress: told of the images.

    Two pixels of the first image are set to 0 and 255, so that the input's scale and zero point are exactly its spec's.
    """

    refines = ranges != "minmax" or correct_biases
    count = Count(progress, (1 + refines) * len(calibration), "calibrating")

    def representative() -> Iterator[list[Any]]:
        for number, pixels in enumerate(count.over(calibration)):
            image = spec.dequantize(pixels[np.newaxis])
            if number == 0:
                image.flat[:2] = spec.range()
            yield [image]

    converter = _converter(model)
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if not refines:
        return scores_first(_convert(_quantized(converter)))
    from tensorflow.lite.python.convert import mlir_quantize  # what the converter itself calls after calibration

    converter._experimental_calibrate_only = True
    calibrated = _convert(_quantized(converter))
    better = refined(calibrated, spec, calibration, ranges=ranges, correct_biases=correct_biases, count=count)
    with silenced():
        return scores_first(bytes(mlir_quantize(better, input_data_type=tf.uint8, output_data_type=tf.uint8)))


def save_ptq(model: Any, context: Context) -> dict[str, Path]:
    """Write the post-training quantization of a stage's float model: what quantization-aware training is held against.

    Comparing these files of two stages says what the later one changed, and nothing else.
    """
    calibration = context.data["calibration"].pixels
    file = ptq_file(model, context.recipe.input, calibration, progress=context.progress)
    write_atomically(path := context.workspace / PTQ_FILE, file)
    return {PTQ_FILE: path}


def qat_file(model: Any) -> bytes:
    """A model that tfmot made quantization-aware: uint8 in, int8 inside, uint8 scores out; ranges are the model's."""
    return scores_first(_convert(_quantized(_converter(model))))


def _converter(model: Any) -> Any:
    shape = (1, *model.input_shape[1:])

    def classify(image: Any) -> dict[str, Any]:
        logits, *maps = tf.nest.flatten(model(image, training=False))
        return {"scores": tf.nn.softmax(logits), **dict(zip(["class_maps"], maps, strict=False))}

    function = tf.function(
        classify, autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32, name="image")]
    ).get_concrete_function()

    # Given the variables alone, the converter need not trace every layer of the model again: 10 times faster.
    owner = tf.Module()
    owner.variables_of_model = model.variables
    return tf.lite.TFLiteConverter.from_concrete_functions([function], owner)


def _quantized(converter: Any) -> Any:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter


def _convert(converter: Any) -> bytes:
    try:
        with silenced() as caught:
            return bytes(converter.convert())
    except Exception as error:  # the converter raises whatever MLIR gave it
        reason = str(error).strip() or type(error).__name__
        raise ModelError(
            "The model cannot be converted to TFLite.",
            received=reason.splitlines()[-1],
            accepted="layers that TFLite has int8 kernels for",
            remedy="replace the layer that is named here:\n" + "\n".join(caught.text.splitlines()[-12:]),
        ) from error
