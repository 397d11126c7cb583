from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import Npz, Published, Shapes, recipes, sources
from edgecnn.build.published import LABELS
from edgecnn.errors import DataError
from edgecnn.images import SplitRule

SPEC = InputSpec(height=10, width=12)
RULE = SplitRule(validation=0.2, calibration=0.1, test=0.1)


def arrays(channels: tuple[int, ...] = (3,), **more: Any) -> dict[str, Any]:
    random = np.random.default_rng(0)
    sizes = {"train": 200, "test": 40, "val": 30}
    made = {f"x_{name}": random.integers(0, 256, (n, 14, 16, *channels), np.uint8) for name, n in sizes.items()}
    made |= {f"y_{name}": np.arange(n) % 4 for name, n in sizes.items()}
    return made | more


def write(path: Path, content: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **content)
    return path


@pytest.mark.parametrize("channels", [(3,), (1,), ()])
def test_arrays_keep_their_splits_and_become_rgb(tmp_path: Path, progress: Any, channels: tuple[int, ...]) -> None:
    content = arrays(channels, labels=np.array(["a b", "é", "c", "d"]))
    data = Npz(path=str(write(tmp_path / "a.npz", content)), rule=RULE).open(SPEC)
    splits = data.load(progress).splits
    assert data.labels == ("a b", "é", "c", "d")
    assert (len(splits["test"]), len(splits["validation"])) == (40, 30)
    assert len(splits["train"]) + len(splits["calibration"]) == 200
    shown = content["x_test"][5] if channels == (3,) else np.stack([content["x_test"][5].reshape(14, 16)] * 3, -1)
    assert np.array_equal(splits["test"].pixels[5], SPEC.apply(shown))
    assert splits["test"].labels[5] == 1


def test_without_validation_it_is_taken_from_train(tmp_path: Path, progress: Any) -> None:
    content = {name: array for name, array in arrays().items() if not name.endswith("val")}
    content |= {name: content[name][:, np.newaxis] for name in ("y_train", "y_test")}  # as CIFAR-10 has them
    data = Npz(path=str(write(tmp_path / "a.npz", content)), rule=RULE).open(SPEC)
    assert data.labels == tuple("0123")
    assert len(data.load(progress).splits["validation"]) > 20


class Planted:
    """What would run, were it unpickled."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('unpickled')",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x_train": np.zeros((200, 14, 16, 3), np.float32)}, ["x_train is float32 (200, 14, 16, 3)"]),
        ({"x_test": np.zeros((40, 14), np.uint8)}, ["x_test is uint8 (40, 14)"]),
        ({"y_test": np.zeros((40, 4), np.int64)}, ["y_test is int64 (40, 4)"]),
        ({"y_test": np.array(3)}, ["y_test is int64 ()"]),
        ({"y_train": np.zeros(199, np.int64)}, ["not of one length"]),
        ({"y_train": np.full(200, -1)}, ["classes from -1 to -1"]),
        ({"y_train": np.full(200, 2**60)}, ["classes from"]),
        ({"y_val": np.zeros(30)}, ["y_val is float64"]),
        ({"y_val": None}, ["there is no y_val"]),
        ({"x_test": None, "y_train": None}, ["there is no x_test", "there is no y_train"]),
        ({"labels": np.array(["a", "A", "c"])}, ["a and A are the same but for case", "classes go up to 3"]),
        ({"y_train": np.array([Planted()] * 200, object)}, ["cannot be read"]),
    ],
)
def test_what_is_something_else_is_said_at_once(tmp_path: Path, change: dict[str, Any], said: list[str]) -> None:
    content = {name: array for name, array in (arrays() | change).items() if array is not None}
    path = write(tmp_path / "a.npz", content)
    with pytest.raises(DataError) as caught:
        Npz(path=str(path)).open(SPEC)
    assert all(part in caught.value.message for part in said), caught.value.message


@pytest.mark.parametrize("damage", [lambda data: data[:-900], lambda data: b"PK" + data[:9], lambda data: b"", None])
def test_a_damaged_file_is_said(tmp_path: Path, damage: Any) -> None:
    path = write(tmp_path / "a.npz", arrays())
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        Npz(path=str(path)).open(SPEC)


def test_flipped_bytes_inside_are_never_a_crash(tmp_path: Path) -> None:
    data = write(tmp_path / "a.npz", arrays()).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(40):
        torn = bytearray(data)
        for place in random.integers(0, len(data), 6):
            torn[place] ^= 255
        (tmp_path / "b.npz").write_bytes(torn)
        with pytest.raises(DataError):
            Npz(path=str(tmp_path / "b.npz")).open(SPEC)


def test_a_path_leads_to_it(tmp_path: Path) -> None:
    path = write(tmp_path / "my set.npz", arrays())
    assert sources.at(path, Shapes(images_per_class=1, rule=RULE)) == Npz(path=str(path), rule=RULE)
    assert sources.at(path, Published(name="cifar10")) == Npz(path=str(path), labels=LABELS["cifar10"])
    assert recipes.find("photos", data=path, quick=False).name == "my set"
