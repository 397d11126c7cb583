from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import Shapes, TFRecord, sources
from edgecnn.build.data import Dataset
from edgecnn.errors import DataError
from edgecnn.images import SPLITS, SplitRule

SPEC = InputSpec(height=10, width=12)
RULE = SplitRule(validation=0.2, calibration=0.15, test=0.2)


def picture(seed: int) -> bytes:
    return cv2.imencode(".png", np.random.default_rng(seed).integers(0, 256, (14, 16, 3), np.uint8))[1].tobytes()


def example(image: Any = None, label: Any = 1, text: Any = None) -> bytes:
    """A record as it is written for ImageNet; lists make several values."""
    from edgecnn.build.keras import tf

    feature = {}
    for name, value in (("image/encoded", image), ("image/class/label", label), ("image/class/text", text)):
        values = value if isinstance(value, list) else [] if value is None else [value]
        kind = tf.train.Feature(int64_list=tf.train.Int64List(value=values)) if name.endswith("label") else None
        feature[name] = kind or tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    return bytes(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def write(path: Path, records: list[bytes]) -> None:
    from edgecnn.build.keras import tf

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def records(first: int, count: int, *, named: bool = True) -> list[bytes]:
    """Of classes 1 and 7, as ImageNet has none of number 0."""
    return [
        example(picture(n), (1, 7)[n % 2], (b"hot dog", "Grüße".encode())[n % 2] if named else None)
        for n in range(first, first + count)
    ]


def opened(folder: Path) -> Dataset:
    return TFRecord(path=str(folder), rule=RULE).open(SPEC)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    write(folder / "train-00000-of-00002.tfrecord", records(0, 40))
    write(folder / "train-00001-of-00002.tfrecord", records(40, 40))
    write(folder / "validation-00000-of-00001.tfrecord", records(80, 10))
    write(folder / "test-00000-of-00001.tfrecord", records(90, 20))
    return folder


def test_shards_keep_their_splits_and_their_names(shards: Path, progress: Any) -> None:
    data = opened(shards)
    splits = data.load(progress).splits
    assert data.labels == ("hot dog", "Grüße")
    assert (len(splits["test"]), len(splits["validation"])) == (20, 10)
    assert len(splits["train"]) + len(splits["calibration"]) == 80
    truth = {}
    for number in range(110):
        image = cv2.cvtColor(
            cv2.imdecode(np.frombuffer(picture(number), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
        )
        truth[SPEC.apply(image).tobytes()] = number  # type: ignore[arg-type]
    for split in SPLITS:
        for pixels, label in zip(splits[split].pixels, splits[split].labels, strict=True):
            assert truth.pop(pixels.tobytes()) % 2 == label
    assert not truth


def test_how_records_are_spread_over_files_changes_nothing(shards: Path, tmp_path: Path, progress: Any) -> None:
    write(tmp_path / "other" / "train.tfrecords", records(0, 80)[::-1])
    write(tmp_path / "other" / "val.tfrecords", records(80, 10))
    write(tmp_path / "other" / "test.tfrecords", records(90, 20))
    one, other = opened(shards), opened(tmp_path / "other")
    assert one.digest == other.digest
    pixels = [np.asarray(data.load(progress).splits["train"].pixels) for data in (one, other)]
    assert np.array_equal(*pixels)


def test_without_names_the_numbers_are_the_names_and_without_test_it_is_taken_from_train(
    tmp_path: Path, progress: Any
) -> None:
    write(tmp_path / "train-0.tfrecord", records(0, 120, named=False))
    data = opened(tmp_path)
    assert data.labels == ("1", "7")
    assert len(data.load(progress).splits["test"]) > 10


def test_a_record_whose_image_is_none_is_left_out_and_named(shards: Path, progress: Any) -> None:
    write(shards / "train-2.tfrecord", [example(b"no image", 1, b"hot dog")])
    (left_out,) = opened(shards).load(progress).left_out
    assert left_out == (f"{shards / 'train-2.tfrecord'}: record 0", "not an image that OpenCV reads")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (example(None, 1, b"hot dog"), "record 0 has 0 image/encoded"),
        (example(picture(1), None, b"hot dog"), "0 image/class/label"),
        (example([picture(1), picture(2)], 1, b"hot dog"), "2 image/encoded"),
        (example(picture(500), 1, b"sausage"), "class 1 has the names b'hot dog', b'sausage'"),
        (example(picture(500), 1, None), "class 1 has the names None, b'hot dog'"),
        (example(picture(500), 2, b"HOT DOG"), "hot dog and HOT DOG are the same but for case"),
        (example(picture(500), 2, b"caf\xe9"), "cannot be a label"),
        (example(picture(500), 2, b"two\nlines"), "cannot be a label"),
        (b"\xff\xff\xff no example", "rror"),
    ],
)
def test_a_record_that_is_something_else_is_said(shards: Path, record: bytes, said: str) -> None:
    write(shards / "train-2.tfrecord", [record])
    with pytest.raises(DataError, match="cannot be used") as caught:
        opened(shards)
    assert said in str(caught.value.received)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-3],
        lambda data: data[:5],
        lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data + b"more",
        lambda data: b"\x1f\x8b" + data,
    ],
)
def test_a_damaged_file_is_said(shards: Path, damage: Any) -> None:
    path = shards / "train-00001-of-00002.tfrecord"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=path.name):
        opened(shards)


def test_files_of_no_split_and_no_file_to_train_with_are_said(shards: Path, tmp_path: Path) -> None:
    write(shards / "more.tfrecord", records(200, 1))
    with pytest.raises(DataError) as caught:
        opened(shards)
    assert "more.tfrecord: of no split" in str(caught.value.received)
    write(tmp_path / "tests" / "test-0.tfrecord", records(200, 1))
    with pytest.raises(DataError) as caught:
        opened(tmp_path / "tests")
    assert "no train file" in str(caught.value.received)


def test_a_file_that_changes_during_the_build_ends_it(shards: Path, progress: Any) -> None:
    data = opened(shards)
    write(shards / "test-00000-of-00001.tfrecord", records(300, 20))
    with pytest.raises(DataError, match="changed while the build ran"):
        data.load(progress)


def test_a_path_leads_to_it(shards: Path) -> None:
    assert sources.at(shards, Shapes(images_per_class=1, rule=RULE)) == TFRecord(path=str(shards), rule=RULE)
