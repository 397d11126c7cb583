import hashlib
import io
import os
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from edgecnn.errors import DataError
from edgecnn.images import (
    NO_PERMISSION,
    NO_REGULAR_FILE,
    NO_TARGET,
    SPLITS,
    SplitRule,
    UnreadableImage,
    beside_classes,
    class_folders,
    decode_image,
    read_image,
    split_digest,
    visible_files,
)
from edgecnn.preprocess import Pixels


def corners() -> Pixels:
    """32x64, smooth, with a red top left and a blue bottom right."""
    image = np.full((32, 64, 3), 128, np.uint8)
    image[:16, :32], image[16:, 32:] = (220, 20, 20), (20, 20, 220)
    return image


def encoded(extension: str, image: Pixels | None = None, *options: int) -> bytes:
    image = corners() if image is None else image
    return cv2.imencode(extension, image[:, :, ::-1], options)[1].tobytes()


def with_exif(jpeg: bytes, *, orientation: int = 1, thumbnail: bytes = b"") -> bytes:
    """A JPEG with an EXIF segment behind its SOI marker."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0) + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def folder_of(root: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number}.png").write_bytes(encoded(".png"))
    return root


@pytest.mark.parametrize("extension", [".png", ".bmp", ".webp", ".tiff", ".jpg"])
def test_formats_come_out_as_rgb(extension: str) -> None:
    image = decode_image(encoded(extension))
    assert image.shape == (32, 64, 3)
    assert np.abs(image[8, 16].astype(int) - (220, 20, 20)).max() < 12


def test_the_digest_is_that_of_the_files_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    image, found = read_image(tmp_path / "a.png")
    assert np.array_equal(image, corners())
    assert found == hashlib.sha256(encoded(".png")).hexdigest()


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda image: image),
        (2, lambda image: image[:, ::-1]),
        (3, lambda image: image[::-1, ::-1]),
        (6, lambda image: np.rot90(image, -1)),
        (8, lambda image: np.rot90(image, 1)),
    ],
)
def test_the_exif_orientation_is_honoured(orientation: int, upright: object) -> None:
    image = decode_image(with_exif(encoded(".jpg"), orientation=orientation))
    expected = upright(corners())  # type: ignore[operator]
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("progressive", [False, True])
def test_an_image_that_was_cut_short_is_refused_at_every_length(extension: str, progressive: bool) -> None:
    options = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1) if progressive and extension == ".jpg" else ()
    data = encoded(extension, None, *options)
    end = len(data) - (2 if extension == ".jpg" else 8)
    for length in range(0, end, 7):
        with pytest.raises(UnreadableImage):
            decode_image(data[:length])
    assert decode_image(data).shape == (32, 64, 3)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image() -> None:
    data = with_exif(encoded(".jpg"), thumbnail=encoded(".jpg", corners()[::4, ::4]))
    assert decode_image(data).shape == (32, 64, 3)
    for length in range(0, len(data) - 2, 11):
        with pytest.raises(UnreadableImage):
            decode_image(data[:length])


def test_a_jpeg_with_something_behind_it_is_whole() -> None:
    """Phones append a film to a photo; its bytes may be anything."""
    assert decode_image(encoded(".jpg") + b"film \xff\xda film").shape == (32, 64, 3)


def test_a_jpeg_with_padding_and_restart_markers_is_whole() -> None:
    data = encoded(".jpg", None, cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
    assert decode_image(data[:2] + b"\xff\xff" + data[2:]).shape == (32, 64, 3)


@pytest.mark.parametrize(
    "data", [b"", b"just text, renamed to .jpg\n" * 9, b"\xff\xd8", b"\x89PNG\r\n\x1a\n", bytes(999)]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImage):
        decode_image(data)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((8, 9, 3), 0x8140, np.uint16), 0x81),
        (np.full((8, 9), 77, np.uint8), 77),
        (np.full((8, 9, 4), (77, 77, 77, 9), np.uint8), 77),
        (np.full((8, 9), 0x4D00, np.uint16), 0x4D),
    ],
    ids=["16 bit", "grey", "RGBA", "16 bit grey"],
)
def test_every_kind_of_png_becomes_8_bit_rgb(image: Pixels, expected: int) -> None:
    made = decode_image(cv2.imencode(".png", image)[1].tobytes())
    assert made.shape == (8, 9, 3)
    assert made.dtype == np.uint8
    assert (made == expected).all()


def test_a_file_that_the_system_cannot_read_is_an_unreadable_image(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("/proc/self/mem")  # a file, and reading its first byte is an error even for root
    with pytest.raises(UnreadableImage, match="cannot be read"):
        read_image(tmp_path / "a.jpg")


def test_the_shares_come_out_about_right() -> None:
    rule = SplitRule(validation=0.1, calibration=0.05, test=0.2)
    counts = Counter(rule.split_of(digest(number)) for number in range(10_000))
    expected = {"train": 6500, "validation": 1000, "calibration": 500, "test": 2000}
    assert all(abs(counts[split] - expected[split]) < 150 for split in SPLITS), counts


def test_an_images_split_is_a_matter_of_its_digest_alone() -> None:
    assert SplitRule().split_of("0" * 64) == "test"
    assert SplitRule().split_of("f" * 64) == "train"
    places = {split: f"{int(place * 16**12):012x}" for split, place in zip(SPLITS, (0.31, 0.2, 0.27, 0.1), strict=True)}
    assert {split: SplitRule().split_of(place) for split, place in places.items()} == {split: split for split in SPLITS}


@pytest.mark.parametrize("shares", [(0, 0.1, 0.1), (0.1, -0.1, 0.1), (0.5, 0.3, 0.2), (0.9, 0.9, 0.9)])
def test_shares_that_leave_nothing_are_refused(shares: tuple[float, float, float]) -> None:
    rule = SplitRule(validation=shares[0], calibration=shares[1], test=shares[2])
    assert len(rule.problems()) == 1
    assert SplitRule().problems() == []


def test_a_splits_digest_knows_its_content_and_not_its_order() -> None:
    assert split_digest(["a", "b"]) == split_digest(["b", "a"])
    assert split_digest(["a", "b"]) != split_digest(["a"])
    assert split_digest(["a", "a"]) != split_digest(["a"])


def test_class_folders_are_sorted_and_hidden_files_passed_over(tmp_path: Path) -> None:
    folder_of(tmp_path, dog=1, cat=2)
    (tmp_path / "cat" / "deeper").mkdir()
    (tmp_path / "cat" / "deeper" / "3.png").write_bytes(b"")
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"")
    (tmp_path / ".git").mkdir()
    names, files = class_folders(tmp_path)
    assert names == ("cat", "dog")
    assert [(file.label, str(file.path.relative_to(tmp_path))) for file in files] == [
        (0, "cat/0.png"),
        (0, "cat/1.png"),
        (0, "cat/deeper/3.png"),
        (1, "dog/0.png"),
    ]


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        class_folders(root)
    assert caught.value.exit_code == 4
    assert str(root) in caught.value.message
    return caught.value.message


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    assert "it is a file" in refused(tmp_path / "file")


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert "the folder is empty" in refused(tmp_path / "photos")


def test_images_without_class_folders(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.png").write_bytes(encoded(".png"))
    assert "holds no class folders" in refused(tmp_path / "photos")


def test_an_empty_class_is_a_class(tmp_path: Path) -> None:
    names, files = class_folders(folder_of(tmp_path / "photos", cat=1, dog=0))
    assert (names, [file.label for file in files]) == (("cat", "dog"), [0])


def test_a_class_of_one_split_is_one_of_all(tmp_path: Path) -> None:
    folder_of(tmp_path / "train", cat=1, dog=1)
    folder_of(tmp_path / "test", cat=1, wolf=1)
    names, files = class_folders(tmp_path)
    assert names == ("cat", "dog", "wolf")
    assert [(file.given, names[file.label]) for file in files] == [
        *(("test", "cat"), ("test", "wolf")),
        *(("train", "cat"), ("train", "dog")),
    ]


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / ("x" * 300))


def test_a_folder_without_permission_is_said_with_what_gives_it(tmp_path: Path, lock: Callable[[Path], None]) -> None:
    lock(folder_of(tmp_path / "photos", cat=1))
    with pytest.raises(DataError, match="permission to read it is missing") as caught:
        class_folders(tmp_path / "photos")
    assert "chmod" in str(caught.value.remedy)


def odd_files(root: Path) -> None:
    """Links that lead nowhere, in circles and to a folder, and a FIFO."""
    (root / "broken.jpg").symlink_to("nowhere.jpg")
    (root / "circle.jpg").symlink_to("circle.jpg")
    (root / "folder").symlink_to(root)
    os.mkfifo(root / "fifo.jpg")


def test_what_is_no_regular_file_is_in_its_class_and_has_its_reason(tmp_path: Path) -> None:
    folder_of(tmp_path, cat=1, dog=1)
    odd_files(tmp_path / "dog")
    (tmp_path / "gone").symlink_to("no folder of a class any more")
    _, files = class_folders(tmp_path)
    found = [file.path for file in files if file.label == 1]
    assert [path.name for path in found] == ["0.png", "broken.jpg", "circle.jpg", "fifo.jpg"]
    assert [path.name for path in visible_files(tmp_path / "dog")] == ["0.png"]
    assert beside_classes(tmp_path, files) == (tmp_path / "gone",)
    for path, reason in zip(found[1:], (NO_TARGET, NO_TARGET, NO_REGULAR_FILE), strict=True):
        with pytest.raises(UnreadableImage, match=reason):
            read_image(path)


def test_what_may_not_be_read_is_in_its_class_and_has_its_reason(tmp_path: Path, lock: Callable[[Path], None]) -> None:
    folder_of(tmp_path, cat=2, dog=2)
    (tmp_path / "cat" / "deeper").mkdir()
    for locked in (tmp_path / "cat" / "0.png", tmp_path / "cat" / "deeper", tmp_path / "dog"):
        lock(locked)
        with pytest.raises(UnreadableImage, match=NO_PERMISSION):
            read_image(locked)
    found = [(file.label, str(file.path.relative_to(tmp_path))) for file in class_folders(tmp_path)[1]]
    assert found == [(0, "cat/0.png"), (0, "cat/1.png"), (0, "cat/deeper"), (1, "dog")]


def saved(image: Any, kind: str, **options: Any) -> bytes:
    """As Pillow writes it."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    """Adobe stores the inks inverted; red is no cyan and full magenta and yellow."""
    image = decode_image(saved(Image.new("CMYK", (40, 30), (0, 255, 255, 0)), "JPEG"))
    assert image.shape == (30, 40, 3)
    assert np.abs(image.astype(int) - (255, 0, 0)).max() < 4


@pytest.mark.parametrize("kind", [pytest.param("GIF", marks=pytest.mark.opencv_5), "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    image = decode_image(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert image.shape == (10, 20, 3)
    assert (image == (255, 0, 0)).all()


def test_alpha_is_dropped_and_what_is_transparent_keeps_its_colour() -> None:
    image = decode_image(saved(Image.new("RGBA", (9, 8), (200, 100, 50, 0)), "PNG"))
    assert (image == (200, 100, 50)).all()
    palette = Image.new("P", (9, 8))
    palette.putpalette([200, 100, 50] + [0] * 765)
    assert (decode_image(saved(palette, "PNG", transparency=0)) == (200, 100, 50)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_20000_pixels_wide_is_read(kind: str) -> None:
    assert decode_image(saved(Image.new("RGB", (20_000, 90), (9, 9, 9)), kind)).shape == (90, 20_000, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_that_claims_more_pixels_than_memory_should_hold_is_refused_before_it_is_decoded(kind: str) -> None:
    data = bytearray(saved(Image.new("RGB", (64, 64)), kind))
    place = data.index(b"IHDR") + 4 if kind == "PNG" else data.index(b"\xff\xc0") + 5
    size = struct.pack(">II", 20_000, 20_000) if kind == "PNG" else struct.pack(">HH", 20_000, 20_000)
    data[place : place + len(size)] = size
    with pytest.raises(UnreadableImage, match="20000x20000 pixels, and 268 megapixels are read at most"):
        decode_image(bytes(data))


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "film.jpg").open("wb") as film:
        film.truncate(2**30 + 1)
    with pytest.raises(UnreadableImage, match=r"larger than 1\.1 GB"):
        read_image(tmp_path / "film.jpg")


def test_names_of_classes_may_have_spaces_and_any_letters(tmp_path: Path) -> None:
    names = ("Grüße aus Köln", "red panda", "Žluťoučký kůň", "小猫")
    assert class_folders(folder_of(tmp_path, **dict.fromkeys(names, 1)))[0] == tuple(sorted(names))
