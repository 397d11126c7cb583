"""The page of samples: a row a class, each image first as it is, then as training sees it."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import InputSpec
from edgecnn.build import Flip, Mixup, Shapes
from edgecnn.build.data import Dataset, Images, Loaded
from edgecnn.build.recipe import Context
from edgecnn.build.samples import SAMPLES_FILE, page_of, write_samples
from edgecnn.images import SPLITS
from tests.build.tiny_recipe import recipe as tiny

MARGIN, HEADER, SIDE = 150, 26, 100  # of the page of 32 px, enlarged three times, and a gap of 4


@pytest.fixture
def context(tmp_path: Any, progress: Any) -> Context:
    recipe = replace(tiny(), augment=(Flip(),))
    data = recipe.data.open(recipe.input)
    data.load(progress)
    return Context(recipe=recipe, data=data, history=(), workspace=tmp_path, progress=progress)


def cell(page: Any, row: int, column: int) -> Any:
    top, left = HEADER + row * SIDE, MARGIN + column * SIDE
    return page[top : top + 96 : 3, left : left + 96 : 3]


def test_each_row_is_a_class_and_begins_with_an_image_as_it_is(context: Context) -> None:
    page = page_of(context)
    assert page.shape == (HEADER + 9 * SIDE, MARGIN + 8 * SIDE, 3)
    train = context.data["train"]
    for row in range(9):
        first = train.pixels[train.labels == row][0]
        assert np.array_equal(cell(page, row, 0), first)
        assert any(np.array_equal(cell(page, row, 1), image) for image in (first, first[:, ::-1]))
        assert (page[HEADER + row * SIDE : HEADER + row * SIDE + 96, :MARGIN] < 100).any()  # its name
    assert any(not np.array_equal(cell(page, row, 1), cell(page, row, 0)) for row in range(9))
    assert np.array_equal(page, page_of(context))


def test_without_augmentations_it_shows_images_as_they_are(context: Context) -> None:
    page = page_of(replace(context, recipe=replace(context.recipe, augment=())))
    train = context.data["train"]
    for column, image in enumerate(train.pixels[train.labels == 4][:7], 1):
        assert np.array_equal(cell(page, 4, column), image)


@pytest.mark.parametrize(("size", "columns"), [((24, 32), 96 + 4), ((160, 320), 256 + 4)])
def test_other_sizes_grey_images_and_mixtures_have_a_page(
    context: Context, size: tuple[int, int], columns: int, progress: Any
) -> None:
    spec = InputSpec(height=size[0], width=size[1], channels=1)
    recipe = replace(tiny(), data=Shapes(images_per_class=30), input=spec, augment=(Mixup(alpha=0.3),))
    data = recipe.data.open(spec)
    data.load(progress)
    page = write_samples(replace(context, recipe=recipe, data=data), context.workspace)
    assert page.name == SAMPLES_FILE
    assert cv2.imread(str(page)).shape[1] == MARGIN + 8 * columns


def test_of_many_classes_ten_are_shown(context: Context, progress: Any) -> None:
    def relabelled(images: Images) -> Images:
        return replace(images, labels=np.arange(len(images)) % 14)

    splits = {split: relabelled(context.data[split]) for split in SPLITS}
    names = tuple(f"a class of a long name, {number}" for number in range(14))
    data = Dataset(labels=names, digest="", rule=context.data.rule, _load=lambda _: Loaded(splits=splits))
    data.load(progress)
    page = page_of(replace(context, data=data))
    assert page.shape[0] == HEADER + 10 * SIDE
    assert np.array_equal(cell(page, 0, 0), splits["train"].pixels[0])
    assert np.array_equal(cell(page, 9, 0), splits["train"].pixels[13])
