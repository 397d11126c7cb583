import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import Folder, Idx, Published, Shapes, published, sources
from edgecnn.errors import DataError
from edgecnn.images import SplitRule

SPEC = InputSpec(height=14, width=14)
RULE = SplitRule(validation=0.2, calibration=0.1, test=0.1)


def idx(array: Any) -> bytes:
    """As the format has it: unsigned bytes, the sizes big-endian."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_idx(folder: Path, train: Any, train_labels: Any, test: Any, test_labels: Any, zipped: bool = True) -> None:
    """The four files of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, images, labels in (("train", train, train_labels), ("t10k", test, test_labels)):
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            data = gzip.compress(idx(array)) if zipped else idx(array)
            (folder / (f"{name}.gz" if zipped else name)).write_bytes(data)


def write(folder: Path, zipped: bool = True, train: int = 200, test: int = 40) -> Any:
    """Grey pictures of noise, 28 px; the first test image is also a training image. Returns the test images."""
    random = np.random.default_rng(1)
    training, testing = (random.integers(0, 256, (count, 28, 28)) for count in (train, test))
    training[0] = testing[0]
    write_idx(folder, training, np.arange(train) % 10, testing, np.arange(test) % 10, zipped)
    return testing


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files_keep_their_test_split_and_give_the_others(tmp_path: Path, progress: Any, zipped: bool) -> None:
    testing = write(tmp_path, zipped)
    data = Idx(path=str(tmp_path), rule=RULE).open(SPEC)
    loaded = data.load(progress).splits
    assert data.labels == tuple("0123456789")
    assert len(loaded["test"]) == 40
    assert sum(len(loaded[split]) for split in ("train", "validation", "calibration")) == 199  # one is a copy
    assert min(len(loaded[split]) for split in ("validation", "calibration")) > 5
    assert any("train image 0 (a copy of it is in test)" in line for line in progress.lines)
    grey = testing[3].astype(np.uint8)
    assert np.array_equal(loaded["test"].pixels[3], SPEC.apply(np.stack([grey] * 3, axis=-1)))
    assert loaded["test"].labels[3] == 3


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", zipped=False)
    write(tmp_path / "c", train=201)
    a, b, c = (Idx(path=str(tmp_path / name)).open(SPEC).digest for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "no train-labels-idx1-ubyte"),
        (lambda path: path.write_bytes(path.read_bytes()[:20]), "end-of-stream"),
        (lambda path: path.write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\xc8" + bytes(100))), "108 bytes"),
        (lambda path: path.write_bytes(gzip.compress(b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0")), "12 bytes"),
        (lambda path: path.write_bytes(gzip.compress(b"")), "0 bytes"),
        (lambda path: path.write_bytes(gzip.compress(idx(np.arange(100)))), "(100,) labels"),
    ],
)
def test_damaged_files_are_said(tmp_path: Path, damage: Any, said: str) -> None:
    write(tmp_path)
    damage(tmp_path / "train-labels-idx1-ubyte.gz")
    with pytest.raises(DataError) as caught:
        Idx(path=str(tmp_path)).open(SPEC)
    assert said in str(caught.value.received)


def test_labels_beyond_the_names_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(DataError, match="cannot be used") as caught:
        Idx(path=str(tmp_path), labels=("a", "b")).open(SPEC)
    assert "9" in str(caught.value.received)


def test_a_folder_of_the_user_takes_the_place_of_what_would_be_downloaded(tmp_path: Path) -> None:
    write(tmp_path / "idx")
    fashion = Published(name="fashion_mnist", rule=RULE)
    assert sources.at(tmp_path / "idx", fashion) == Idx(
        path=str(tmp_path / "idx"), labels=published.LABELS["fashion_mnist"], rule=RULE
    )
    assert sources.at(tmp_path / "idx", Shapes(images_per_class=1)).labels == ()  # type: ignore[attr-defined]
    assert sources.at(tmp_path / "photos", fashion) == Folder(path=str(tmp_path / "photos"), rule=RULE)


def test_a_data_set_that_keras_has_downloaded_is_read_from_where_keras_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, offline, with Debian's package looked for elsewhere: Keras reads its place once."""
    testing = write(tmp_path / ".keras" / "datasets" / "fashion-mnist", train=900)
    code = (
        "from pathlib import Path; from edgecnn import InputSpec; from edgecnn.build import Published, published\n"
        "published._PACKAGED['fashion_mnist'] = Path('/nowhere')\n"
        "data = Published(name='fashion_mnist').open(InputSpec(height=28, width=28))\n"
        "class Quiet:\n    def update(self, *a): pass\n    def say(self, m): pass\n"
        "images = data.load(Quiet()).splits['test']\n"
        "print(len(images), data.labels[1], int(images.pixels[7][0, 0, 0]))\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["40", "trouser", str(testing[7, 0, 0])], done.stderr


def test_without_a_connection_it_says_to_pass_a_folder(tmp_path: Path) -> None:
    code = (
        "from edgecnn import InputSpec; from edgecnn.build import Published; from edgecnn.errors import DataError\n"
        "try: Published(name='cifar10').open(InputSpec(height=32, width=32))\n"
        "except DataError as error: print(error.message, error.remedy)\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "cannot be downloaded" in done.stdout, done.stderr
    assert "--data DIR" in done.stdout


def test_an_unknown_name_is_a_mistake_of_the_recipe() -> None:
    assert "cifar10, fashion_mnist" in Published(name="imagenet").problems()[0]
