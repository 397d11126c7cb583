import cv2
import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.preprocess import Pixels

SPEC = InputSpec(height=24, width=24)


def picture(height: int, width: int) -> Pixels:
    return np.random.default_rng((height, width)).integers(0, 256, (height, width, 3), np.uint8)


def test_a_frame_of_the_networks_size_is_handed_over_as_it_is() -> None:
    frame = picture(20, 30)
    assert InputSpec(height=20, width=30).apply(frame) is frame


def test_shrinking_by_a_whole_number_is_the_mean_of_each_block() -> None:
    frame = picture(24, 60)
    blocks = frame.reshape(12, 2, 20, 3, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(InputSpec(height=12, width=20).apply(frame) - blocks).max() <= 0.5


@pytest.mark.parametrize("size", [(31, 47), (480, 640), (10, 10), (96, 50)])
def test_stretch_ignores_the_aspect_ratio(size: tuple[int, int]) -> None:
    frame = picture(*size)
    expected = cv2.resize(frame, (64, 48), interpolation=cv2.INTER_AREA)
    assert np.array_equal(InputSpec(height=48, width=64).apply(frame), expected)


@pytest.mark.parametrize(
    ("frame", "spec", "rows", "columns"),
    [
        ((480, 640), (96, 96), slice(0, 480), slice(80, 560)),
        ((640, 480), (96, 96), slice(80, 560), slice(0, 480)),
        ((100, 400), (50, 100), slice(0, 100), slice(100, 300)),
        ((400, 100), (50, 100), slice(175, 225), slice(0, 100)),
        ((96, 101), (96, 96), slice(0, 96), slice(2, 98)),
        ((1, 9), (9, 1), slice(0, 1), slice(4, 5)),
    ],
)
def test_center_crop_cuts_the_largest_centred_rectangle(
    frame: tuple[int, int], spec: tuple[int, int], rows: slice, columns: slice
) -> None:
    image = picture(*frame)
    expected = cv2.resize(image[rows, columns], spec[::-1], interpolation=cv2.INTER_AREA)
    made = InputSpec(height=spec[0], width=spec[1], resize="center_crop").apply(image)
    assert np.array_equal(made, expected.reshape(made.shape))


def test_both_rules_agree_on_a_frame_of_the_networks_aspect_ratio() -> None:
    frame = picture(90, 120)
    made = [InputSpec(height=30, width=40, resize=rule).apply(frame) for rule in ("stretch", "center_crop")]  # type: ignore[arg-type]
    assert np.array_equal(*made)


@pytest.mark.parametrize("size", [(24, 24), (50, 70)])
def test_grey_is_the_luminance_with_an_axis_of_its_own(size: tuple[int, int]) -> None:
    frame = picture(*size)
    made = InputSpec(height=24, width=24, channels=1).apply(frame)
    assert made.shape == (24, 24, 1)
    small = cv2.resize(frame, (24, 24), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(made[..., 0] - small @ [0.299, 0.587, 0.114]).max() <= 1


def test_the_frame_itself_is_not_changed() -> None:
    frame = picture(40, 40)
    before = frame.copy()
    InputSpec(height=20, width=20, channels=1, resize="center_crop").apply(frame)
    assert np.array_equal(frame, before)


def test_every_pixel_is_its_quantized_value() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    seen = SPEC.dequantize(pixels)
    assert seen.dtype == np.float32
    assert seen.tolist() == [(pixel - 128) / 128 for pixel in range(256)]
    back = np.round(seen / SPEC.scale) + SPEC.zero_point
    assert np.array_equal(back, pixels)
    assert SPEC.range() == (seen[0], seen[-1])


def test_it_survives_json() -> None:
    spec = InputSpec(height=24, width=32, channels=1, resize="center_crop")
    assert InputSpec.from_json(spec.as_json()) == spec


@pytest.mark.parametrize("field", [{"height": 0}, {"width": 5000}, {"channels": 2}, {"resize": "letterbox"}])
def test_what_is_out_of_range_is_said(field: dict[str, object]) -> None:
    document = {**InputSpec(height=24, width=24).as_json(), **field}
    (value,) = field.values()
    with pytest.raises(ValueError, match=str(value)):
        InputSpec.from_json(document)
