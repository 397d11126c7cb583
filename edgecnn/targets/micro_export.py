"""A model as C: its bytes, its labels, its preprocessing, and a complete program around it.

What is in C compiles as C99 and as C++, with no library; ``main.cc`` needs the sources of TensorFlow Lite for
Microcontrollers.
"""

import json
from collections.abc import Sequence

from edgecnn.operators import Operator
from edgecnn.preprocess import InputSpec
from edgecnn.targets.compiling import Model
from edgecnn.targets.session import edges

RESOLVER_METHODS = {  # by which MicroMutableOpResolver takes an operator
    "ABS": "AddAbs", "ADD": "AddAdd", "ADD_N": "AddAddN", "ARG_MAX": "AddArgMax", "ARG_MIN": "AddArgMin",
    "AVERAGE_POOL_2D": "AddAveragePool2D", "BATCH_MATMUL": "AddBatchMatMul",
    "BATCH_TO_SPACE_ND": "AddBatchToSpaceNd", "CAST": "AddCast", "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D", "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D", "DEPTH_TO_SPACE": "AddDepthToSpace",
    "DEQUANTIZE": "AddDequantize", "DIV": "AddDiv", "ELU": "AddElu", "EXPAND_DIMS": "AddExpandDims",
    "FULLY_CONNECTED": "AddFullyConnected", "GATHER": "AddGather", "HARD_SWISH": "AddHardSwish",
    "L2_NORMALIZATION": "AddL2Normalization", "LEAKY_RELU": "AddLeakyRelu", "LOGISTIC": "AddLogistic",
    "LOG_SOFTMAX": "AddLogSoftmax", "MAXIMUM": "AddMaximum", "MAX_POOL_2D": "AddMaxPool2D", "MEAN": "AddMean",
    "MINIMUM": "AddMinimum", "MUL": "AddMul", "NEG": "AddNeg", "PACK": "AddPack", "PAD": "AddPad",
    "PADV2": "AddPadV2", "PRELU": "AddPrelu", "QUANTIZE": "AddQuantize", "REDUCE_MAX": "AddReduceMax",
    "RELU": "AddRelu", "RELU6": "AddRelu6", "RESHAPE": "AddReshape", "RESIZE_BILINEAR": "AddResizeBilinear",
    "RESIZE_NEAREST_NEIGHBOR": "AddResizeNearestNeighbor", "SHAPE": "AddShape", "SLICE": "AddSlice",
    "SOFTMAX": "AddSoftmax", "SPACE_TO_BATCH_ND": "AddSpaceToBatchNd", "SPACE_TO_DEPTH": "AddSpaceToDepth",
    "SPLIT": "AddSplit", "SPLIT_V": "AddSplitV", "SQUEEZE": "AddSqueeze", "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub", "SUM": "AddSum", "TANH": "AddTanh", "TRANSPOSE": "AddTranspose",
    "TRANSPOSE_CONV": "AddTransposeConv", "UNPACK": "AddUnpack",
}  # fmt: skip

_HEADER = """\
/* {name}: made by `edgecnn compile --target micro`. C99 and C++. */
#ifndef EDGECNN_MODEL_H_
#define EDGECNN_MODEL_H_

#ifdef __cplusplus
extern "C" {{
#endif

/* The .tflite, for tflite::GetModel. It stays in flash. */
extern const unsigned char edgecnn_model[];
extern const unsigned int edgecnn_model_size;

/* What the network sees: rows, columns, channels (3: RGB, 1: grey). */
#define EDGECNN_HEIGHT {height}
#define EDGECNN_WIDTH {width}
#define EDGECNN_CHANNELS {channels}
/* 1: the largest centred part of the network's aspect ratio is taken; 0: all of a frame, stretched. */
#define EDGECNN_CENTER_CROP {crop}
/* 1: the input is int8, a pixel minus 128; 0: it is uint8, a pixel. */
#define EDGECNN_SIGNED_INPUT {signed}

/* One score a class: (value - zero point) * scale. */
#define EDGECNN_CLASSES {classes}
#define EDGECNN_SCORE_SCALE {scale}f
#define EDGECNN_SCORE_ZERO_POINT {zero_point}
/* A best score below it is an unknown; 0 where the file does not say. */
#define EDGECNN_THRESHOLD {threshold}f
extern const char* const edgecnn_labels[EDGECNN_CLASSES];

/* Measured with tflite-micro on a computer of 64 bits; pointers of 32 bits take less. */
#define EDGECNN_ARENA_BYTES {arena}

#ifdef __cplusplus
}}
#endif

#endif /* EDGECNN_MODEL_H_ */
"""

_PREPROCESS = """\
/* A frame to the network's input, as edgecnn does it in training: pixel areas are averaged. C99 and C++. */
#ifndef EDGECNN_PREPROCESS_H_
#define EDGECNN_PREPROCESS_H_

#include <stddef.h>
#include <stdint.h>

#include "model.h"

/* Even numbers win where two are as near, as in Python. */
static inline int edgecnn_round_ratio(long a, long b, long c) {
  long whole = a * b / c, rest = a * b % c;
  int up = 2 * rest > c || (2 * rest == c && whole % 2 != 0);
  return (int)(whole + up);
}

static inline uint8_t edgecnn_area(const uint8_t* rgb, int stride, int channel, float top, float bottom, float left,
                                   float right) {
  float sum = 0.0f;
  int y, x;
  for (y = (int)top; (float)y < bottom; ++y) {
    float high = ((float)(y + 1) < bottom ? (float)(y + 1) : bottom) - ((float)y > top ? (float)y : top);
    for (x = (int)left; (float)x < right; ++x) {
      float wide = ((float)(x + 1) < right ? (float)(x + 1) : right) - ((float)x > left ? (float)x : left);
      sum += high * wide * (float)rgb[((size_t)y * (size_t)stride + (size_t)x) * 3 + (size_t)channel];
    }
  }
  return (uint8_t)(sum / ((bottom - top) * (right - left)) + 0.5f);
}

/* rgb: height x width x 3 bytes, at least the network's size. input: the tensor's bytes.
 * Returns 0, or -1 where the frame is smaller than what the network sees. */
static inline int edgecnn_preprocess(const uint8_t* rgb, int height, int width, uint8_t* input) {
  int top = 0, left = 0, rows = height, columns = width, y, x, c;
  float down, across;
#if EDGECNN_CENTER_CROP
  rows = edgecnn_round_ratio(width, EDGECNN_HEIGHT, EDGECNN_WIDTH);
  columns = edgecnn_round_ratio(height, EDGECNN_WIDTH, EDGECNN_HEIGHT);
  if (rows > height) rows = height;
  if (columns > width) columns = width;
  top = (height - rows) / 2;
  left = (width - columns) / 2;
#endif
  if (rows < EDGECNN_HEIGHT || columns < EDGECNN_WIDTH) return -1;
  rgb += ((size_t)top * (size_t)width + (size_t)left) * 3;
  down = (float)rows / EDGECNN_HEIGHT;
  across = (float)columns / EDGECNN_WIDTH;
  for (y = 0; y < EDGECNN_HEIGHT; ++y) {
    float above = (float)y * down, below = y + 1 == EDGECNN_HEIGHT ? (float)rows : (float)(y + 1) * down;
    for (x = 0; x < EDGECNN_WIDTH; ++x) {
      float before = (float)x * across, after = x + 1 == EDGECNN_WIDTH ? (float)columns : (float)(x + 1) * across;
      uint8_t pixel[3];
      for (c = 0; c < 3; ++c) pixel[c] = edgecnn_area(rgb, width, c, above, below, before, after);
#if EDGECNN_CHANNELS == 1
      pixel[0] = (uint8_t)((pixel[0] * 4899 + pixel[1] * 9617 + pixel[2] * 1868 + 8192) >> 14);
#endif
      for (c = 0; c < EDGECNN_CHANNELS; ++c) *input++ = EDGECNN_SIGNED_INPUT ? pixel[c] ^ 0x80 : pixel[c];
    }
  }
  return 0;
}

#endif /* EDGECNN_PREPROCESS_H_ */
"""

_MAIN = """\
// {name} on a microcontroller: one frame, its best class. Made by `edgecnn compile --target micro`.
//
// Build it with the sources of TensorFlow Lite for Microcontrollers (C++17), model.c beside it. read_frame is yours.

#include <cstdint>
#include <cstdio>

#include "model.h"
#include "preprocess.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {{

constexpr int kFrameHeight = {frame_height};
constexpr int kFrameWidth = {frame_width};
uint8_t frame[kFrameHeight * kFrameWidth * 3];
alignas(16) uint8_t arena[EDGECNN_ARENA_BYTES];

// Put your camera here: RGB, row by row. This is a gradient.
void read_frame(uint8_t* rgb) {{
  for (int y = 0; y < kFrameHeight; ++y)
    for (int x = 0; x < kFrameWidth; ++x)
      for (int c = 0; c < 3; ++c) *rgb++ = static_cast<uint8_t>((x + y * c) & 255);
}}

}}  // namespace

int main() {{
  const tflite::Model* model = tflite::GetModel(edgecnn_model);
  if (model->version() != TFLITE_SCHEMA_VERSION) return 1;
  tflite::MicroMutableOpResolver<{count}> resolver;
{additions}
  tflite::MicroInterpreter interpreter(model, resolver, arena, EDGECNN_ARENA_BYTES);
  if (interpreter.AllocateTensors() != kTfLiteOk) return 2;

  read_frame(frame);
  if (edgecnn_preprocess(frame, kFrameHeight, kFrameWidth, interpreter.input(0)->data.uint8) != 0) return 3;
  if (interpreter.Invoke() != kTfLiteOk) return 4;

  const TfLiteTensor* scores = interpreter.output({output});
  int best = 0;
  for (int i = 1; i < EDGECNN_CLASSES; ++i)
    if (scores->data.{member}[i] > scores->data.{member}[best]) best = i;
  const float score = (scores->data.{member}[best] - EDGECNN_SCORE_ZERO_POINT) * EDGECNN_SCORE_SCALE;
  std::printf("%s %d/1000\\n", score < EDGECNN_THRESHOLD ? "unknown" : edgecnn_labels[best],
              static_cast<int>(score * 1000));  // many a microcontroller's printf has no %f
  return 0;
}}
"""


def export(model: Model, found: Sequence[Operator], *, arena_bytes: int) -> dict[str, bytes]:
    """The files by name: ``model.h``, ``model.c``, ``preprocess.h``, ``main.cc``.

    Raises:
        ModelError: the model is not a classifier of one image of 8 bits.
    """
    spec, place = _classifier(model)
    inputs, outputs = edges(model.flatbuffer)
    scores = outputs[place]
    header = _HEADER.format(
        name=_comment(model.name),
        height=spec.height,
        width=spec.width,
        channels=spec.channels,
        crop=int(spec.resize == "center_crop"),
        signed=int(inputs[0].dtype == "int8"),
        classes=len(model.labels),
        scale=repr(scores.scale),
        zero_point=scores.zero_point,
        threshold=repr(float(model.threshold or 0)),
        arena=arena_bytes,
    )
    methods = sorted({RESOLVER_METHODS[op.type] for op in found})
    main = _MAIN.format(
        name=_comment(model.name),
        count=len(methods),
        additions="\n".join(f"  resolver.{method}();" for method in methods),
        output=place,
        member="int8" if scores.dtype == "int8" else "uint8",
        frame_height=max(spec.height, 120),
        frame_width=max(spec.width, 160),
    )
    texts = {"model.h": header, "model.c": _bytes(model), "preprocess.h": _PREPROCESS, "main.cc": main}
    return {name: text.encode() for name, text in texts.items()}


def _classifier(model: Model) -> tuple[InputSpec, int]:
    """Its image, and which output has the scores."""
    from edgecnn.errors import ModelError

    inputs, outputs = edges(model.flatbuffer)
    places = [i for i, each in enumerate(outputs) if each.shape and each.shape[-1] == len(model.labels)]
    place = min(places, key=lambda i: len(outputs[i].shape), default=None)
    eight_bits = [each.dtype in ("uint8", "int8") for each in (*inputs, *outputs)]
    if model.input is None or len(inputs) != 1 or place is None or not all(eight_bits):
        raise ModelError(
            "This is not a classifier of one image, in 8 bits outside, too.",
            received=f"{[(i.dtype.name, i.shape) for i in inputs]} to {[(o.dtype.name, o.shape) for o in outputs]}",
            accepted="one input (1, height, width, 1 or 3) and one score a class, uint8 or int8",
            remedy="build it with edgecnn, or convert it with uint8 or int8 inputs and outputs",
        )
    return model.input, place


def _bytes(model: Model) -> str:
    data = model.flatbuffer
    rows = "\n".join("  " + ", ".join(map(hex, data[i : i + 16])) + "," for i in range(0, len(data), 16))
    labels = "\n".join(f"  {_literal(label)}," for label in model.labels)
    return f"""\
/* {_comment(model.name)}: made by `edgecnn compile --target micro`. */
#include "model.h"

/* TensorFlow Lite reads numbers of 8 bytes from it where it lies. */
#if defined(__GNUC__)
__attribute__((aligned(16)))
#endif
const unsigned char edgecnn_model[] = {{
{rows}
}};
const unsigned int edgecnn_model_size = sizeof(edgecnn_model);

const char* const edgecnn_labels[EDGECNN_CLASSES] = {{
{labels}
}};
"""


def _literal(label: str) -> str:
    """As C has it: bytes beyond ASCII in octal, which ends after three digits, and no trigraph."""
    plain = {ord(c) for c in json.dumps("".join(map(chr, range(32, 127)))) if c not in '"\\?'}
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in label.encode()) + '"'


def _comment(name: str) -> str:
    """A name that ends no comment and continues no line."""
    return name.replace("*/", "* /").replace("\\", "/").replace("\n", " ")
