"""Files in torch's old format, written here with pickle alone."""

import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.build import torch_file
from edgecnn.errors import ModelError


class Name:
    """A name in a module that is not installed here; it is pickled as that name."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Tensor:
    def __init__(self, array: Any, key: str, **changes: Any) -> None:
        self.array, self.key = array, key
        strides = tuple(stride // array.itemsize for stride in array.strides)
        self.view = {"offset": 0, "shape": array.shape, "strides": strides, "count": array.size, **changes}


class _Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Python's own, in Python, so that names of torch can be written without torch."""

    def persistent_id(self, obj: Any) -> Any:
        return obj if isinstance(obj, tuple) and obj[:1] == ("storage",) else None

    def save(self, obj: Any, **rest: Any) -> None:
        if isinstance(obj, Name):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Tensor):
            kind = {"f": "FloatStorage", "i": "LongStorage"}[obj.array.dtype.kind]
            storage = ("storage", Name("torch", kind), obj.key, "cpu", obj.view["count"], None)
            arguments = (storage, obj.view["offset"], obj.view["shape"], obj.view["strides"], False, OrderedDict())
            self.save_reduce(Name("torch._utils", "_rebuild_tensor_v2"), arguments)
        else:
            super().save(obj, **rest)

    def save_reduce(self, func: Any, args: Any, *rest: Any, **options: Any) -> None:
        if not isinstance(func, Name):
            return super().save_reduce(func, args, *rest, **options)
        self.save(func)
        self.save(args)
        self.write(pickle.REDUCE)


SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def written(state: Any, *, magic: int = 0x1950A86A20F9469CFC6C, system: Any = SYSTEM) -> bytes:
    file = BytesIO()
    tensors = [each for each in state.values() if isinstance(each, Tensor)] if isinstance(state, dict) else []
    by_key = {each.key: each for each in tensors}
    for each in (magic, 1001, system, state, sorted(by_key)):
        _Pickler(file, protocol=2).dump(each)
    for key in sorted(by_key):
        array = by_key[key].array
        base = array if array.base is None else array.base
        file.write(struct.pack("<q", array.size) + base.tobytes())
    return file.getvalue()


def state() -> Any:
    """Two tensors of one storage, one whose memory runs from right to left, a scalar and an empty one."""
    numbers = np.arange(24, dtype=np.float32)
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    made = OrderedDict(
        weight=Tensor(numbers, "2", shape=(2, 3), strides=(3, 1)),
        slice=Tensor(numbers, "2", offset=6, shape=(3, 3), strides=(1, 6)),
        turned=Tensor(turned, "1"),
        steps=Tensor(np.array(7), "0"),
        nothing=Tensor(np.zeros((0, 4), np.float32), "3"),
    )
    made._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    return made


def test_arrays_are_as_they_were_written() -> None:
    read = torch_file.read(written(state()))
    numbers = np.arange(24, dtype=np.float32)
    expected = {
        "weight": numbers[:6].reshape(2, 3),
        "slice": np.array([[6, 12, 18], [7, 13, 19], [8, 14, 20]], np.float32),
        "turned": np.array([[0, 3], [1, 4], [2, 5]], np.float32),
        "steps": np.array(7),
        "nothing": np.zeros((0, 4), np.float32),
    }
    assert list(read) == list(expected)
    for name, array in expected.items():
        assert read[name].dtype == array.dtype, name
        assert read[name].shape == array.shape, name
        assert np.array_equal(read[name], array), name
        assert read[name].flags["C_CONTIGUOUS"]


class Evil:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def refused(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        torch_file.read(data)
    assert caught.value.accepted
    assert caught.value.remedy
    return str(caught.value.received)


def test_what_would_run_is_not_run(tmp_path: Path) -> None:
    data = written({"weight": Evil(tmp_path / "was here")})
    assert "mkdir" in refused(data)
    assert not (tmp_path / "was here").exists()
    file = BytesIO(data)
    for _ in range(4):
        pickle.load(file)
    assert (tmp_path / "was here").exists(), "the file of this test does what it must not do"


@pytest.mark.parametrize("place", ["magic", "system"])
def test_it_is_not_run_anywhere_in_the_file(place: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {place: Evil(tmp_path / "was here")}
    refused(written(state(), **options))
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("torch", "DoubleStorage"),
        ("torch", "load"),
        ("collections", "OrderedDict.update"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("os", "system"),
    ],
)
def test_every_other_name_is_refused(module: str, name: str) -> None:
    assert name in refused(written({"weight": Name(module, name)}))


numbers = np.arange(6, dtype=np.float32)


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(numbers, "0", shape=(7,)),
        Tensor(numbers, "0", offset=1),
        Tensor(numbers, "0", offset=-1, shape=(2,)),
        Tensor(numbers, "0", strides=(-1,)),
        Tensor(numbers, "0", shape=(2, 3)),
        Tensor(numbers, "0", shape=(2, 2), strides=(5, 1)),
        Tensor(numbers, "0", shape=(2**62, 2), strides=(2**62, 1)),
        Tensor(numbers, "0", shape=(2.0,)),
        Tensor(numbers, "0", count=5),
    ],
)
def test_a_tensor_does_not_reach_beyond_its_storage(tensor: Tensor) -> None:
    refused(written({"weight": tensor}))


def without_little_endian() -> bytes:
    return written(state(), system={**SYSTEM, "little_endian": False})


def too_much_promised() -> bytes:
    return written({"weight": Tensor(numbers, "0", count=2**60)}).replace(
        struct.pack("<q", 6), struct.pack("<q", 2**60)
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"",
        lambda: b"PK\3\4" + bytes(100),
        lambda: b"\x80\2" + bytes(100),
        lambda: written(state(), magic=1),
        without_little_endian,
        too_much_promised,
        lambda: written({"weight": 3}),
        lambda: written(["no dict"]),
        lambda: written({"weight": [Tensor(numbers, "0")]}),
        lambda: written(state())[:-1],
        lambda: written(state())[: len(written(state())) // 2],
    ],
)
def test_what_is_no_such_file_is_refused(make: Callable[[], bytes]) -> None:
    assert refused(make())


def test_no_cut_and_no_flipped_byte_is_a_bug_of_ours() -> None:
    data = written(state())
    for place in range(len(data)):
        for damaged in (data[:place], data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]):
            try:
                torch_file.read(damaged)
            except ModelError:
                continue
