import string

import flatbuffers
import numpy as np
import pytest

from edgecnn import Bundle, InputSpec, metadata
from edgecnn.errors import BundleError
from edgecnn.metadata import LABELS_FILE, Metadata, Node, classifier_metadata, read_metadata


def test_the_buffer_is_one_of_the_standard() -> None:
    assert classifier_metadata("tiny", InputSpec(height=8, width=8))[4:8] == b"M001"


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_is_read(seed: int) -> None:
    random = np.random.default_rng(seed)
    name = "".join(random.choice([*string.printable, "ß", "猫"], random.integers(1, 80)))
    height, width = (int(size) for size in random.integers(1, 4097, 2))
    spec = InputSpec(height=height, width=width, channels=3 if seed % 2 else 1)
    written = classifier_metadata(name, spec)

    read = Metadata(written)
    assert read.files == read.label_files == [LABELS_FILE]
    assert read.normalization == ((128.0,), (128.0,))

    root = Node.root(written)
    (graph,) = root.tables(3)
    (image,), (scores,) = graph.tables(2), graph.tables(3)
    assert root.data(0).decode() == name
    assert image.table(3).u8(0) == 2  # ImageProperties
    properties = image.table(3).table(1)
    assert properties.u8(0) == (1 if spec.channels == 3 else 2)  # RGB, GRAYSCALE
    assert (properties.table(1).u32(0), properties.table(1).u32(1)) == (width, height)
    assert image.table(5).floats(0) == (127 / 128,)  # max
    assert image.table(5).floats(1) == (-1.0,)  # min
    assert scores.table(3).u8(0) == 1  # FeatureProperties
    assert scores.table(5).floats(0) == (1.0,)


def test_it_is_the_same_bytes_every_time() -> None:
    spec = InputSpec(height=96, width=64)
    assert classifier_metadata("tiny", spec) == classifier_metadata("tiny", spec)
    assert classifier_metadata("tiny", spec) != classifier_metadata("tinz", spec)


def test_class_maps_are_a_second_output_that_has_no_labels() -> None:
    written = classifier_metadata("tiny", InputSpec(height=96, width=64), class_maps=True)
    assert Metadata(written).files == [LABELS_FILE]
    ((scores, maps),) = (graph.tables(3) for graph in Node.root(written).tables(3))
    assert [each.data(0) for each in (scores, maps)] == [b"scores", b"class_maps"]
    assert (len(scores.tables(6)), len(maps.tables(6))) == (1, 0)
    assert maps.table(3).u8(0) == 1  # FeatureProperties


def normalized(means: list[float], stds: list[float]) -> Metadata:
    """The metadata of a foreign model, with these normalization options."""
    builder = flatbuffers.Builder(0)
    numbers = [metadata._floats(builder, values) for values in (means, stds)]
    options = metadata._table(builder, 2, [(0, "offset", numbers[0]), (1, "offset", numbers[1])])
    unit = metadata._table(builder, 2, [(0, "i8", 1), (1, "offset", options)])
    image = metadata._table(builder, 7, [(4, "offset", metadata._vector(builder, [unit]))])
    graph = metadata._table(builder, 10, [(2, "offset", metadata._vector(builder, [image]))])
    builder.Finish(metadata._table(builder, 8, [(3, "offset", metadata._vector(builder, [graph]))]), b"M001")
    return Metadata(bytes(builder.Output()))


def test_a_normalization_by_channel_is_read_whole() -> None:
    assert normalized([123.5, 116.25, 103.5], [58.5, 57.0, 57.5]).normalization == (
        (123.5, 116.25, 103.5),
        (58.5, 57.0, 57.5),
    )


def test_a_model_without_metadata_has_none(int8_model: bytes) -> None:
    assert read_metadata(int8_model) is None


def test_empty_tables_are_no_error() -> None:
    builder = flatbuffers.Builder(0)
    builder.Finish(metadata._table(builder, 0, []), b"M001")
    read = Metadata(bytes(builder.Output()))
    assert (read.files, read.label_files, read.normalization) == ([], [], None)


def test_metadata_that_is_broken_is_an_error_of_the_bundle_or_none(bundle: Bundle) -> None:
    """Whatever byte is wrong, nothing but `BundleError` comes out."""
    random, refused = np.random.default_rng(0), 0
    for _ in range(300):
        data = bytearray(bundle.model)
        data[random.integers(8, len(data))] = random.integers(256)
        try:
            read_metadata(bytes(data))
        except BundleError:
            refused += 1
    assert refused
