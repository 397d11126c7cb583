"""Data sets in TFRecord files of encoded images."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgecnn.build.data import Dataset, Item, changed, of_items
from edgecnn.errors import DataError
from edgecnn.images import Split, SplitRule, decode_image
from edgecnn.preprocess import InputSpec, Pixels
from edgecnn.progress import SILENT, Progress
from edgecnn.splits import name_faults

_PARTS: tuple[tuple[str, Split], ...] = (("train", "train"), ("val", "validation"), ("test", "test"))
_IMAGE, _LABEL, _TEXT = "image/encoded", "image/class/label", "image/class/text"
_HEADER, _FOOTER = 12, 4  # length and its checksum; the record's checksum


@dataclass(frozen=True, kw_only=True)
class TFRecord:
    """A folder of TFRecord files, not compressed: ``train*.tfrecord*``, perhaps ``val*.tfrecord*`` and ``test*...``.

    Each record is a ``tf.train.Example`` with one ``image/encoded`` (the bytes of an image file), one
    ``image/class/label`` (a whole number) and perhaps one ``image/class/text``, the name of that class; without any
    such text the numbers are the names. The classes are those that occur, by number. Checksums are verified. All files
    are read, by TensorFlow, whenever the data set is opened.

    Attributes:
        path: the folder.
        rule: the shares of the splits that have no files, which are taken from ``train``.
    """

    path: str
    rule: SplitRule = SplitRule()

    def problems(self) -> list[str]:
        """What is wrong with the settings, one sentence each."""
        return self.rule.problems()

    def open(self, spec: InputSpec, progress: Progress = SILENT) -> Dataset:
        """See `edgecnn.build.data.Source`.

        Raises:
            DataError: a file is damaged, or a record is something else.
        """
        found = [(record, split) for path, split in _shards(Path(self.path)) for record in _records(path)]
        names = _names(self.path, (record for record, _ in found))
        labels, numbers = tuple(names.values()), {number: label for label, number in enumerate(names)}
        # By content, not by place: how records are spread over files changes nothing.
        found.sort(key=lambda each: (each[0].number, each[0].digest))
        items = [
            Item(name=record.name, label=numbers[record.number], digest=record.digest, given=split)
            for record, split in found
        ]

        def read(index: int) -> Pixels:
            record, _ = found[index]
            with record.path.open("rb") as file:
                file.seek(record.place)
                data = file.read(record.size)
            if hashlib.sha256(data).hexdigest() != record.digest:
                raise changed(record.name)
            return decode_image(data)

        content = [(labels[item.label], item.digest, item.given) for item in items]
        return of_items(labels, items, read, content=content, rule=self.rule, spec=spec)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    """One record: its class, and where the bytes of its image are."""

    path: Path
    index: int
    place: int
    size: int
    digest: str
    number: int
    text: bytes | None

    @property
    def name(self) -> str:
        return f"{self.path}: record {self.index}"


def _shards(folder: Path) -> list[tuple[Path, Split]]:
    """The files, by name; every one belongs to a split."""
    files = sorted(path for path in folder.glob("*.tfrecord*") if path.is_file())
    parts = [(path, next((split for name, split in _PARTS if path.name.startswith(name)), None)) for path in files]
    shards = [(path, split) for path, split in parts if split]
    if strangers := [path.name for path, split in parts if not split]:
        raise _unusable(folder, f"{', '.join(strangers)}: of no split")
    if "train" not in {split for _, split in shards}:
        raise _unusable(folder, "there is no train file")
    return shards


def _records(path: Path) -> Iterator[_Record]:
    from google.protobuf.message import DecodeError

    from edgecnn.build.keras import tf

    places = list(_places(path))
    try:
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        for index, (place, record) in enumerate(zip(places, records, strict=True)):
            features = tf.train.Example.FromString(record).features.feature
            image, number = list(features[_IMAGE].bytes_list.value), list(features[_LABEL].int64_list.value)
            text = list(features[_TEXT].bytes_list.value)
            if len(image) != 1 or len(number) != 1 or len(text) > 1:
                raise _unusable(
                    path, f"record {index} has {len(image)} {_IMAGE}, {len(number)} {_LABEL}, {len(text)} {_TEXT}"
                )
            yield _Record(
                path=path,
                index=index,
                place=place + record.index(image[0]),
                size=len(image[0]),
                digest=hashlib.sha256(image[0]).hexdigest(),
                number=number[0],
                text=text[0] if text else None,
            )
    except (tf.errors.OpError, DecodeError, ValueError) as error:
        raise _unusable(path, str(error).partition("\n")[0]) from error


def _places(path: Path) -> Iterator[int]:
    """Where each record begins; lengths that lead out of the file are never believed."""
    end, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place < end:
            file.seek(place)
            length = int.from_bytes(file.read(8), "little")
            if place + _HEADER + length + _FOOTER > end:
                raise _unusable(path, f"a record of {length} bytes at {place} of {end} bytes")
            yield place + _HEADER
            place += _HEADER + length + _FOOTER


def _names(path: str, records: Iterable[_Record]) -> dict[int, str]:
    """The name of each number that occurs, by number."""
    texts: dict[int, set[bytes | None]] = {}
    for record in records:
        texts.setdefault(record.number, set()).add(record.text)
    if all(text == {None} for text in texts.values()):
        texts = {number: {str(number).encode()} for number in texts}
    problems = [
        f"class {number} has the names {', '.join(sorted(map(repr, text)))}"
        for number, text in texts.items()
        if len(text) > 1
    ]
    names = {n: (max(text, key=repr) or b"").decode(errors="surrogateescape") for n, text in sorted(texts.items())}
    if problems := problems + [fault.what for fault in name_faults(list(names.values()))]:
        raise _unusable(Path(path), "; ".join(problems))
    return names


def _unusable(path: Path, received: str) -> DataError:
    return DataError(
        f"The TFRecord data in {path} cannot be used.",
        received=received,
        accepted="uncompressed files train*, and perhaps val* and test*, of tf.train.Example with one "
        f"{_IMAGE} (bytes), one {_LABEL} (int64) and perhaps one {_TEXT} (bytes) each",
        remedy="write the files again, or put the images into DIR/CLASS/",
    )
