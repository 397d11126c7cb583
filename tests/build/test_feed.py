"""What a batch of training is: mixed where it is mixed, weighed, and seen by the teacher as by the student."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecnn.build import Flip, Light, Mixup, feed
from edgecnn.build.keras import keras
from edgecnn.build.recipe import Context
from tests.build.tiny_recipe import recipe as tiny


@pytest.fixture
def context(tmp_path: Any, progress: Any) -> Context:
    recipe = replace(tiny(), augment=(Flip(), Mixup(alpha=1.0), Light(brightness=0.3), Mixup(alpha=0.5)))
    data = recipe.data.open(recipe.input)
    data.load(progress)
    return Context(recipe=recipe, data=data, history=(), workspace=tmp_path, progress=progress)


def test_mixed_images_have_mixed_targets_and_the_teacher_sees_them_mixed(context: Context) -> None:
    teacher = keras.Sequential([keras.layers.GlobalAveragePooling2D()])  # its answers tell what it saw
    weights = np.arange(9, dtype=np.float32)
    mixed = 0
    for images, target, weight in feed.batches(
        context.data["train"], context, (0, 0), 32, teacher=teacher, class_weights=weights
    ):
        label, shares, answers = target.numpy()[:, 0], target.numpy()[:, 1:10], target.numpy()[:, 10:]
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
        assert np.array_equal(label, shares.argmax(axis=1))
        np.testing.assert_allclose(answers, images.numpy().mean(axis=(1, 2)), atol=1e-5)
        np.testing.assert_allclose(weight, shares @ weights, rtol=1e-5)
        assert images.numpy().min() >= -1
        assert images.numpy().max() <= 127 / 128
        mixed += int((shares.max(axis=1) < 0.95).sum())
    assert mixed > 50


def test_without_a_mixture_the_target_is_the_label(context: Context) -> None:
    plain = replace(context, recipe=replace(context.recipe, augment=(Flip(),)))
    ((_, target), *_) = feed.batches(context.data["train"], plain, (0, 0), 32)
    assert target.shape == (32, 1)


def test_validation_is_neither_changed_nor_mixed(context: Context) -> None:
    images = context.data["validation"]
    found = list(feed.in_order(images, context.recipe.input, 16))
    pixels = np.concatenate([batch for batch, _ in found])
    assert np.array_equal(pixels, context.recipe.input.dequantize(images.pixels[:]))
    assert np.array_equal(np.concatenate([target for _, target in found])[:, 0], images.labels)
    assert np.array_equal(feed.pixels_of(pixels), images.pixels[:])
