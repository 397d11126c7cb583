"""The renderer: deterministic, and a scene whose truth can be asked for in any order."""

import numpy as np
import pytest

from edgecnn import shapes
from edgecnn.shapes import CLASSES, Scene, paste, render


def random(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_every_class_renders_the_same_picture_from_the_same_seed(label: int) -> None:
    picture = render(label, random(1, label), (96, 128))
    assert picture.shape == (96, 128, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, render(label, random(1, label), (96, 128)))
    assert not np.array_equal(picture, render(label, random(2, label), (96, 128)))


def test_two_classes_from_one_seed_differ() -> None:
    pictures = [render(label, random(3), (64, 64)).tobytes() for label in range(len(CLASSES))]
    assert len(set(pictures)) == len(CLASSES)


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_paste_leaves_the_frame_as_it_was_and_draws_all_but_nothing(label: int) -> None:
    frame = np.full((120, 160, 3), 90, np.uint8)
    pasted = [paste(frame, label, random(seed)) for seed in range(20)]
    assert (frame == 90).all()
    drawn = sum(not np.array_equal(picture, frame) for picture in pasted)
    assert drawn == 20 if label != shapes.NOTHING else 0 < drawn < 20


def test_a_scene_is_a_function_of_the_frame_number() -> None:
    scene = Scene(size=(120, 160), seed=5)
    forward = [scene.frame(index) for index in range(0, 200, 7)]
    other = Scene(size=(120, 160), seed=5)
    backward = [other.frame(index) for index in reversed(range(0, 200, 7))][::-1]
    assert all(a[1] == b[1] and np.array_equal(a[0], b[0]) for a, b in zip(forward, backward, strict=True))


def test_a_scene_moves_and_shows_each_class_once_a_cycle() -> None:
    scene = Scene(size=(120, 160), seed=1)
    assert not np.array_equal(scene.frame(0)[0], scene.frame(1)[0])
    starts = range(0, Scene.frames_per_class * len(CLASSES), Scene.frames_per_class)
    assert sorted(scene.frame(index)[1] for index in starts) == list(range(len(CLASSES)))
