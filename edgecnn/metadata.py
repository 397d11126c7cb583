"""TFLite Metadata: the few tables that describe an image classifier to every reader of the format.

The schema is TensorFlow's ``metadata_schema.fbs`` (file identifier ``M001``); slots are counted from 0. It is
written and read here with the plain `flatbuffers` package, which every interpreter already brings.
"""

import struct
from collections.abc import Sequence
from typing import Any

import flatbuffers
from flatbuffers.table import Table

from edgecnn.errors import BundleError
from edgecnn.preprocess import InputSpec

LABELS_FILE = "labels.txt"
METADATA_NAME = b"TFLITE_METADATA"
Normalization = tuple[tuple[float, ...], tuple[float, ...]]

_IMAGE, _FEATURE = 2, 1  # ContentProperties
_RGB, _GREY = 1, 2  # ColorSpaceType
_NORMALIZATION = 1  # ProcessUnitOptions
_AXIS_LABELS = 2  # AssociatedFileType


def classifier_metadata(name: str, spec: InputSpec, *, class_maps: bool = False) -> bytes:
    """The metadata of a classifier of one image: its normalisation, its labels file and its scores in 0 to 1.

    Args:
        name: of the model.
        spec: its input.
        class_maps: whether class activation maps are its second output.
    """
    builder = flatbuffers.Builder(1024)
    image = _tensor(
        builder,
        name="image",
        description=f"{'RGB' if spec.channels == 3 else 'Grey'} image, {spec.height}x{spec.width} pixels.",
        content=(_IMAGE, _image_properties(builder, spec)),
        process_units=[_normalization(builder, spec.zero_point, 1 / spec.scale)],
        stats=spec.range(),
    )
    labels = _table(
        builder,
        5,
        [
            (0, "offset", builder.CreateString(LABELS_FILE)),
            (1, "offset", builder.CreateString("One class name a line.")),
            (2, "i8", _AXIS_LABELS),
        ],
    )
    scores = _tensor(
        builder,
        name="scores",
        description="One score a class, in 0 to 1.",
        content=(_FEATURE, _table(builder, 0, [])),
        files=[labels],
        stats=(0.0, 1.0),
    )
    answers = [scores, *([_class_maps(builder)] if class_maps else [])]
    inputs, outputs = _vector(builder, [image]), _vector(builder, answers)
    graph = _table(builder, 10, [(2, "offset", inputs), (3, "offset", outputs)])
    fields = [
        (0, "offset", builder.CreateString(name)),
        (3, "offset", _vector(builder, [graph])),
        (7, "offset", builder.CreateString("1.0.0")),
    ]
    builder.Finish(_table(builder, 8, fields), file_identifier=b"M001")
    return bytes(builder.Output())


def read_metadata(model: bytes) -> "Metadata | None":
    """The metadata inside a flatbuffer that verifies, None where it carries none.

    Raises:
        BundleError: the metadata cannot be read.
    """
    try:
        root = Node.root(model)
        for entry in root.tables(6):
            if entry.data(0) == METADATA_NAME:
                return Metadata(root.tables(4)[entry.u32(1)].data(0))
    except (struct.error, IndexError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise BundleError(
            "The model's metadata cannot be read.",
            received=str(error),
            accepted="TFLite Metadata as its schema says",
            remedy="the file is damaged: copy it or build it again",
        ) from error
    return None


class Metadata:
    """What edgecnn asks of the metadata of a model, ours or a foreign one.

    Attributes:
        files: names of the files that belong in the zip behind the flatbuffer.
        label_files: those of them that name the classes of the output.
        normalization: means and standard deviations for a float input, one or one a channel; None where not said.
    """

    def __init__(self, buffer: bytes) -> None:
        root = Node.root(buffer)
        graphs = root.tables(3)
        inputs = [tensor for graph in graphs for tensor in graph.tables(2)]
        outputs = [tensor for graph in graphs for tensor in graph.tables(3)]
        owners = [(root, 6), *((graph, 4) for graph in graphs), *((tensor, 6) for tensor in inputs + outputs)]
        self.files = [file.data(0).decode() for owner, slot in owners for file in owner.tables(slot)]
        self.label_files = [
            file.data(0).decode() for tensor in outputs for file in tensor.tables(6) if file.u8(2) == _AXIS_LABELS
        ]
        self.normalization: Normalization | None = None
        for unit in (unit for tensor in inputs for unit in tensor.tables(4)):
            if unit.u8(0) == _NORMALIZATION:
                options = unit.table(1)
                self.normalization = options.floats(0), options.floats(1)


class Node:
    """A table of any flatbuffer, its fields asked for by slot. Absent fields are empty, or 0."""

    def __init__(self, buffer: bytes, position: int) -> None:
        self._table = Table(buffer, position)

    @classmethod
    def root(cls, buffer: bytes) -> "Node":
        """The root table."""
        return cls(buffer, struct.unpack_from("<I", buffer, 0)[0])

    def table(self, slot: int) -> "Node":
        """The table in a slot that is known to be there."""
        table = self._table
        return Node(table.Bytes, table.Indirect(self._position(slot)))

    def tables(self, slot: int) -> list["Node"]:
        """The vector of tables in a slot."""
        table, start, length = self._table, *self._vector(slot)
        return [Node(table.Bytes, table.Indirect(start + 4 * index)) for index in range(length)]

    def data(self, slot: int) -> bytes:
        """The bytes or the string in a slot."""
        start, length = self._vector(slot)
        return bytes(self._table.Bytes[start : start + length])

    def floats(self, slot: int) -> tuple[float, ...]:
        """The vector of float32 in a slot."""
        return self.numbers(slot, "f")

    def numbers(self, slot: int, form: str) -> tuple[Any, ...]:
        """The vector of numbers in a slot, of a type as `struct` names it."""
        start, length = self._vector(slot)
        return struct.unpack_from(f"<{length}{form}", self._table.Bytes, start)

    def has(self, slot: int) -> bool:
        """Whether a slot is filled."""
        return bool(self._position(slot))

    def u8(self, slot: int) -> int:
        """The byte in a slot."""
        return int(self._scalar("<B", slot))

    def u32(self, slot: int) -> int:
        """The 32-bit number in a slot."""
        return int(self._scalar("<I", slot))

    def _position(self, slot: int) -> int:
        offset = int(self._table.Offset(4 + 2 * slot))
        return offset and self._table.Pos + offset

    def _scalar(self, form: str, slot: int) -> int:
        position = self._position(slot)
        return int(struct.unpack_from(form, self._table.Bytes, position)[0]) if position else 0

    def _vector(self, slot: int) -> tuple[int, int]:
        offset = int(self._table.Offset(4 + 2 * slot))
        return (self._table.Vector(offset), self._table.VectorLen(offset)) if offset else (0, 0)


def _table(builder: Any, slots: int, fields: Sequence[tuple[int, str, int]]) -> int:
    builder.StartObject(slots)
    for slot, kind, value in fields:
        if kind == "offset":
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        elif kind == "i8":
            builder.PrependInt8Slot(slot, value, 0)
        else:
            builder.PrependUint32Slot(slot, value, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())


def _class_maps(builder: Any) -> int:
    name = builder.CreateString("class_maps")
    description = builder.CreateString("What each place says for each class; the mean of a class's map is its logit.")
    content = _table(builder, 2, [(0, "i8", _FEATURE), (1, "offset", _table(builder, 0, []))])
    return _table(builder, 7, [(0, "offset", name), (1, "offset", description), (3, "offset", content)])


def _image_properties(builder: Any, spec: InputSpec) -> int:
    size = _table(builder, 2, [(0, "u32", spec.width), (1, "u32", spec.height)])
    return _table(builder, 2, [(0, "i8", _RGB if spec.channels == 3 else _GREY), (1, "offset", size)])


def _normalization(builder: Any, mean: float, std: float) -> int:
    means, stds = _floats(builder, [mean]), _floats(builder, [std])
    options = _table(builder, 2, [(0, "offset", means), (1, "offset", stds)])
    return _table(builder, 2, [(0, "i8", _NORMALIZATION), (1, "offset", options)])


def _tensor(
    builder: Any,
    *,
    name: str,
    description: str,
    content: tuple[int, int],
    stats: tuple[float, float],
    process_units: Sequence[int] = (),
    files: Sequence[int] = (),
) -> int:
    low, high = _floats(builder, [stats[0]]), _floats(builder, [stats[1]])
    fields = [
        (0, "offset", builder.CreateString(name)),
        (1, "offset", builder.CreateString(description)),
        (3, "offset", _table(builder, 2, [(0, "i8", content[0]), (1, "offset", content[1])])),
        (5, "offset", _table(builder, 2, [(0, "offset", high), (1, "offset", low)])),
    ]
    if process_units:
        fields.append((4, "offset", _vector(builder, process_units)))
    if files:
        fields.append((6, "offset", _vector(builder, files)))
    return _table(builder, 7, fields)
