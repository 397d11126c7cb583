"""A state dict as torch wrote it before its zip format, read without torch and without running what is in it.

The file is three pickles that say what it is, one of the tensors (in the place of its data each storage has an id), one
of the ids in the order of the data; then for each storage the count of its numbers, 8 bytes, and the numbers, all
little-endian. A pickle can name any function of Python to be called: here there are four names, and no other is found.
"""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import ModelError

Array = NDArray[Any]
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_BROKEN = (  # what unpickling raises, and what comes of values of other types than are expected
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class _Storage:
    """Numbers on disk: their type, how many they are, and the id that their place follows from."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; strides are in elements, and need not be those of C: a port from elsewhere has others."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *rest: Any) -> "_Tensor":
        """What ``_rebuild_tensor_v2`` is called with; the rest is about gradients."""
        return cls(storage, offset, tuple(shape), tuple(strides))

    def view(self, numbers: Array) -> Array:
        """The tensor, a copy in the order of C.

        Raises:
            ValueError: it reaches beyond its storage.
        """
        sizes = (self.offset, *self.shape, *self.strides)
        if any(not isinstance(size, int) or size < 0 for size in sizes) or len(self.shape) != len(self.strides):
            raise ValueError("a tensor of impossible sizes")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and last >= len(numbers):
            raise ValueError("a tensor that is larger than its storage")
        strides = tuple(stride * numbers.itemsize for stride in self.strides)
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


class _Unpickler(pickle.Unpickler):
    """Finds four names, none of which does anything but keep what it is given."""

    _NAMES: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor.of,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name of the file."""
        if (module, name) not in self._NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self._NAMES[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """What stands for a storage: ``("storage", type, id, device, count, view)``; views are long out of use."""
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or view is not None or dtype not in ("<f4", "<i8"):
            raise pickle.UnpicklingError(f"a storage of another kind: {kind!a}")
        return _Storage(dtype, key, count)


def read(data: bytes) -> dict[str, Array]:
    """The tensors of a state dict by name, as `torch.load` gives them.

    Args:
        data: the whole file, as torch before 1.6 wrote it.

    Returns:
        Arrays of float32 or int64, in any shape; numbers of a file are copied.

    Raises:
        ModelError: it is another file, it is damaged, or it asks for anything but tensors of these types.
    """
    try:
        return _read(data)
    except _BROKEN as error:
        raise ModelError(
            "The weights cannot be read.",
            received=f"{len(data)} bytes: {' '.join(str(error).split()) or type(error).__name__}",
            accepted="a state dict of float32 and int64 tensors as torch before 1.6 wrote it, and nothing else in it",
            remedy="fetch the file again; do not open it with torch.load unless you trust it",
        ) from error


def _read(data: bytes) -> dict[str, Array]:
    file = BytesIO(data)
    magic, protocol, system = (_Unpickler(file).load() for _ in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL) or system["little_endian"] is not True:
        raise ValueError("it is not in the old format of torch")
    tensors, keys = _Unpickler(file).load(), _Unpickler(file).load()
    if not all(isinstance(name, str) and isinstance(each, _Tensor) for name, each in tensors.items()):
        raise ValueError("it holds more than tensors by name")
    storages = {each.storage.key: each.storage for each in tensors.values()}
    numbers = {key: _numbers(file, storages[key]) for key in keys}
    return {name: each.view(numbers[each.storage.key]) for name, each in tensors.items()}


def _numbers(file: BytesIO, storage: _Storage) -> Array:
    (count,) = struct.unpack("<q", file.read(8))
    size = count * np.dtype(storage.dtype).itemsize
    if count != storage.count or size > len(file.getbuffer()) - file.tell():
        raise ValueError("the data is not as long as it says")
    return np.frombuffer(file.read(size), storage.dtype)
