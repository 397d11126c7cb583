"""Each augmentation: what its parameters mean, that a seed decides it, and that images are changed one by one."""

from typing import Any

import numpy as np
import pytest

from edgecnn import InputSpec, shapes
from edgecnn.build import (
    Affine,
    AutoContrast,
    Color,
    Crop,
    Cutout,
    Flip,
    Light,
    Mixup,
    Posterize,
    RandAugment,
    Sharpness,
    Solarize,
)
from edgecnn.build.keras import tf

SPEC = InputSpec(height=24, width=24)
IMAGES = SPEC.dequantize(
    np.stack([shapes.render(label % 9, np.random.default_rng((3, label)), (24, 24)) for label in range(32)])
)
STRONG = [
    Affine(rotation_deg=20, zoom=0.2, shift=0.1),
    Crop(border=3),
    Flip(),
    Light(brightness=0.2, contrast=0.2, color=0.1),
    Color(saturation=0.5, hue=0.1),
    Cutout(size=0.4),
    Mixup(alpha=1.0),
    Posterize(bits=5),
    Solarize(share=0.8),
    AutoContrast(),
    Sharpness(strength=0.8),
    RandAugment(n=2, magnitude=8),
]
NOTHING = [
    Affine(),
    Light(),
    Color(),
    Cutout(size=0.0),
    Posterize(bits=0),
    Solarize(share=0.0),
    AutoContrast(strength=0.0),
    Sharpness(strength=0.0),
    RandAugment(n=3, magnitude=0.0),
]


def applied(augmentation: Any, images: Any = IMAGES, seed: tuple[int, int] = (5, 7)) -> Any:
    """As training does it, in a graph and without a known size of the batch."""
    signature = [tf.TensorSpec([None, *images.shape[1:]]), tf.TensorSpec([2], tf.int64)]
    return tf.function(augmentation.apply, input_signature=signature)(images, np.array(seed)).numpy()


def name(augmentation: Any) -> str:
    return type(augmentation).__name__


@pytest.mark.parametrize("augmentation", STRONG, ids=name)
def test_the_seed_decides_and_each_image_is_changed_in_its_own_way(augmentation: Any) -> None:
    assert augmentation.problems() == []
    ours = applied(augmentation)
    assert ours.shape == IMAGES.shape
    assert np.isfinite(ours).all()
    assert np.array_equal(ours, applied(augmentation))
    assert not np.array_equal(ours, applied(augmentation, seed=(5, 8)))
    assert not np.array_equal(ours, applied(augmentation, seed=(6, 7)))
    alike = applied(augmentation, np.repeat(IMAGES[:1], 32, axis=0))
    if not isinstance(augmentation, Mixup):  # of images that are all one there is but one mixture
        assert len(np.unique(alike.reshape(32, -1), axis=0)) > (1 if isinstance(augmentation, Flip) else 5)


@pytest.mark.parametrize("augmentation", NOTHING, ids=name)
def test_at_no_strength_images_stay_as_they_are(augmentation: Any) -> None:
    assert augmentation.problems() == []
    np.testing.assert_allclose(applied(augmentation), IMAGES, atol=1e-6)


@pytest.mark.parametrize("augmentation", STRONG, ids=name)
def test_images_of_one_channel_and_batches_of_one_are_taken(augmentation: Any) -> None:
    assert applied(augmentation, IMAGES[:1, :, :, :1]).shape == (1, 24, 24, 1)


@pytest.mark.parametrize(
    "augmentation",
    [
        Affine(zoom=1.0),
        Crop(border=0),
        Light(contrast=1.0),
        Color(hue=0.6),
        Color(saturation=-0.1),
        Cutout(size=1.1),
        Mixup(alpha=0.0),
        Posterize(bits=8),
        Solarize(share=2.0),
        AutoContrast(strength=-1.0),
        Sharpness(strength=1.5),
        RandAugment(n=0),
        RandAugment(magnitude=11),
    ],
)
def test_mistakes_are_said(augmentation: Any) -> None:
    problems = augmentation.problems()
    assert len(problems) == 1
    assert problems[0].startswith(name(augmentation))


def test_a_crop_is_a_shift_of_whole_pixels_by_at_most_the_border() -> None:
    rows = np.arange(12.0)[:, np.newaxis]
    images = np.tile((rows * 12 + np.arange(12.0))[np.newaxis, :, :, np.newaxis], (64, 1, 1, 3)).astype(np.float32)
    cropped = Crop(border=2).apply(tf.constant(images), tf.constant([1, 2], tf.int64)).numpy()
    assert cropped.shape == images.shape
    inner = cropped[:, 4:8, 4:8] - images[:, 4:8, 4:8]
    assert all(np.ptp(each) == 0 for each in inner)  # no pixel is mixed with its neighbour
    shifts = {int(each.flat[0]) for each in inner}
    assert shifts <= {12 * dy + dx for dy in range(-2, 3) for dx in range(-2, 3)}
    assert len(shifts) > 10


def test_cutout_hides_a_rectangle_of_its_size_and_less_at_a_border() -> None:
    """A quarter of the sides of 24 px are 6: 36 pixels, and no fewer than the 9 that a corner leaves."""
    cut = applied(Cutout(size=0.25), np.full((400, 24, 24, 3), 0.5, np.float32))
    hidden = (cut == 0).all(axis=3)
    assert np.array_equal(cut[~hidden], np.full((int((~hidden).sum()), 3), 0.5, np.float32))
    areas = hidden.sum(axis=(1, 2))
    assert areas.max() == 36
    assert (areas == 36).mean() > 0.5
    assert areas.min() >= 9
    heights, widths = hidden.any(axis=2).sum(axis=1), hidden.any(axis=1).sum(axis=1)
    assert np.array_equal(heights * widths, areas)  # a rectangle
    assert hidden.any(axis=0).all()  # everywhere


def test_mixup_mixes_shares_as_it_mixes_images() -> None:
    """An image of its class's number alone: what is mixed of it says what should be mixed of the label."""
    classes = np.arange(32) % 4
    shares = np.eye(4, dtype=np.float32)[classes]
    images = np.ones((32, 2, 2, 4), np.float32) * shares[:, np.newaxis, np.newaxis]
    mixed_images, mixed = applied(Mixup(alpha=0.8), images), applied(Mixup(alpha=0.8), shares)
    np.testing.assert_allclose(mixed_images[:, 0, 0], mixed, rtol=1e-6)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-6)
    assert np.array_equal(mixed.argmax(axis=1), classes)
    assert (mixed[np.arange(32), classes] >= 0.5).all()
    assert (mixed.max(axis=1) < 0.99).sum() > 5


def test_a_small_alpha_mixes_next_to_nothing() -> None:
    own = np.diag(applied(Mixup(alpha=0.01), np.eye(2000, dtype=np.float32)))
    assert (own > 0.999).mean() > 0.8
    assert np.isfinite(own).all()


def test_the_mean_of_mixups_shares_is_that_of_its_beta() -> None:
    """Of Beta(1, 1), which is uniform, the larger of share and rest is 3/4 in the mean."""
    shares = np.eye(2000, dtype=np.float32)
    own = np.diag(applied(Mixup(alpha=1.0), shares))
    assert own.mean() == pytest.approx(0.75, abs=0.01)


def test_color_changes_no_brightness_and_no_grey() -> None:
    colored = applied(Color(saturation=1.0, hue=0.5))
    luma = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(colored @ luma, IMAGES @ luma, atol=1e-5)
    assert np.abs(colored - IMAGES).max() > 0.2
    grey = np.repeat(IMAGES[..., :1], 3, axis=3)
    np.testing.assert_allclose(applied(Color(saturation=1.0, hue=0.5), grey), grey, atol=1e-5)


def test_half_a_turn_of_the_hue_is_the_opposite_color() -> None:
    """Red turned by no more than a tenth of the circle stays red; by up to a half it becomes cyan, too."""
    red = np.tile(np.array([0.5, -0.5, -0.5], np.float32), (200, 4, 4, 1))
    near, far = (applied(Color(hue=hue), red)[:, 0, 0] for hue in (0.1, 0.5))
    assert (near.argmax(axis=1) == 0).all()
    assert set(far.argmax(axis=1)) == {0, 1, 2}


def test_posterize_leaves_at_most_so_many_bits_out() -> None:
    values = np.tile(np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1) / 128 - 1, (64, 1, 1, 1))
    left = {len(np.unique(each)) for each in applied(Posterize(bits=3), values)}
    assert left == {256, 128, 64, 32}


def test_solarize_turns_the_brightest_over() -> None:
    values = np.tile(np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1) / 128 - 1, (64, 1, 1, 1))
    pixels = np.round((applied(Solarize(share=0.5), values) + 1) * 128).reshape(64, 256)
    for each in pixels:
        turned = int((each != np.arange(256)).sum())
        assert turned <= 128
        assert np.array_equal(each[: 256 - turned], np.arange(256 - turned))
        assert np.array_equal(each[256 - turned :], 255 - np.arange(256 - turned, 256))


def test_autocontrast_stretches_towards_the_whole_range_and_leaves_what_is_flat() -> None:
    flat = IMAGES * 0.25
    stretched = applied(AutoContrast(), np.concatenate([flat, np.full_like(flat[:1], 0.3)]))
    grown = np.ptp(stretched[:-1], axis=(1, 2)) / np.ptp(flat, axis=(1, 2))
    assert grown.min() >= 0.999
    assert grown.max() > 2
    assert stretched[:-1].min() >= -1 - 1e-5
    assert stretched[:-1].max() <= 127 / 128 + 1e-5
    np.testing.assert_allclose(stretched[-1], 0.3)


def test_sharpness_keeps_what_is_flat_and_moves_edges_either_way() -> None:
    edge = np.zeros((64, 8, 8, 1), np.float32)
    edge[:, :, 4:] = 0.5
    changed = applied(Sharpness(strength=1.0), edge)
    np.testing.assert_allclose(changed[:, :, :3], 0, atol=1e-6)
    steps = changed[:, 4, 4, 0] - changed[:, 4, 3, 0]
    assert steps.min() < 0.4
    assert steps.max() > 0.6


def test_randaugment_draws_all_its_operations_and_n_of_them() -> None:
    """Of images that are all one: how many different things become of them, and how many stay."""
    alike = np.repeat(IMAGES[:1], 600, axis=0)
    once = applied(RandAugment(n=1, magnitude=10), alike)
    unchanged = np.isclose(once, alike, atol=1e-6).all(axis=(1, 2, 3)).mean()
    assert 1 / 12 - 0.05 < unchanged < 0.3  # nothing at all is one of twelve, and some draw next to no strength
    twice = applied(RandAugment(n=2, magnitude=10), alike)
    assert np.isclose(twice, alike, atol=1e-6).all(axis=(1, 2, 3)).mean() < unchanged
    assert once.min() >= -1
    assert once.max() <= 127 / 128
    assert len(RandAugment().operations()) == 11


def test_every_magnitude_makes_operations_without_mistakes() -> None:
    for magnitude in (0, 2.5, 10):
        assert [each.problems() for each in RandAugment(magnitude=magnitude).operations()] == [[]] * 11
