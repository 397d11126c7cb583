import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.images import decode_image
from edgecnn.inspection.formats import HANDLED, oddities

RANDOM = np.random.default_rng(0)


def made(extension: str, *shape: int, dtype: type = np.uint8) -> bytes:
    """An image of noise; its last axis is how many channels it has."""
    pixels: NDArray[np.integer] = RANDOM.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    return cv2.imencode(extension, pixels)[1].tobytes()


def cmyk_jpeg() -> bytes:
    """8x8, four components without subsampling, every block one grey: no encoder at hand writes one."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body

    frame = struct.pack(">BHHB", 8, 8, 8, 4) + b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3, 4))
    code = bytes([1, *[0] * 15, 0])  # a single one of one bit, for the symbol 0: no difference, and end of block
    scan = bytes([4]) + b"".join(bytes([number, 0]) for number in (1, 2, 3, 4)) + bytes([0, 63, 0])
    tables = segment(0xDB, bytes([0, *[1] * 64])) + segment(0xC4, b"\x00" + code) + segment(0xC4, b"\x10" + code)
    return b"\xff\xd8" + tables + segment(0xC0, frame) + segment(0xDA, scan) + b"\x00" + b"\xff\xd9"


def gif(frames: int) -> bytes:
    """1x1, two colours, so many frames."""
    header = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return header + frame * frames + b"\x3b"


def palette_png() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 3, 0, 0, 0)) + chunk(b"PLTE", bytes(range(6)))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00\x01")) + chunk(b"IEND", b"")


CASES: dict[str, tuple[bytes, set[str]]] = {
    "JPEG": (made(".jpg", 9, 8, 3), set()),
    "progressive JPEG": (
        cv2.imencode(".jpg", np.ones((9, 8, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes(),
        set(),
    ),
    "JPEG with padding": (b"\xff\xd8\xff\xff" + made(".jpg", 9, 8)[2:], {"grey"}),
    "grey JPEG": (made(".jpg", 9, 8), {"grey"}),
    "CMYK JPEG": (cmyk_jpeg(), {"CMYK"}),
    "PNG": (made(".png", 9, 8, 3), set()),
    "PNG with a palette": (palette_png(), set()),
    "grey PNG": (made(".png", 9, 8), {"grey"}),
    "RGBA PNG": (made(".png", 9, 8, 4), {"alpha"}),
    "16-bit PNG": (made(".png", 9, 8, 3, dtype=np.uint16), {"16-bit"}),
    "16-bit grey PNG": (made(".png", 9, 8, dtype=np.uint16), {"grey", "16-bit"}),
    "TIFF": (made(".tiff", 9, 8, 3), set()),
    "16-bit grey TIFF": (made(".tiff", 9, 8, dtype=np.uint16), {"grey", "16-bit"}),
    "TIFF of two pages": (
        cv2.imencodemulti(".tiff", [np.ones((9, 8), np.uint8)] * 2)[1].tobytes(),
        {"grey", "animated"},
    ),
    "WebP": (made(".webp", 9, 8, 3), set()),
    "RGBA WebP": (made(".webp", 9, 8, 4), {"alpha"}),
    "BMP": (made(".bmp", 9, 8, 3), set()),
    "GIF": (gif(1), set()),
    "animated GIF": (gif(3), {"animated"}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.opencv_5] if "GIF" in name else []) for name in CASES]
)
def test_what_is_not_8_bit_rgb_is_known_in_every_format(name: str) -> None:
    data, expected = CASES[name]
    decode_image(data)
    assert set(oddities(data)) == expected
    assert expected <= set(HANDLED)
