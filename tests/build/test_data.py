import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn import shapes
from edgecnn.build import Folder, Shapes
from edgecnn.build.data import Dataset, Images, file_digests, split_facts
from edgecnn.errors import DataError
from edgecnn.images import SPLITS, SplitRule
from edgecnn.preprocess import InputSpec

SPEC = InputSpec(height=16, width=16)
RULE = SplitRule(validation=0.2, calibration=0.15, test=0.25)


def image(seed: int) -> bytes:
    """A PNG that no other seed gives."""
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Thirty images of each of two classes."""
    root = tmp_path / "photos"
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for number in range(30):
            (root / name / f"{number:02}.png").write_bytes(image(1000 * label + number))
    return root


def opened(root: Path) -> Dataset:
    return Folder(path=str(root), rule=RULE).open(SPEC)


def loaded(root: Path, progress: Any) -> Dataset:
    data = opened(root)
    data.load(progress)
    return data


def same(a: Images, b: Images) -> bool:
    return a.digests == b.digests and np.array_equal(a.pixels, b.pixels) and np.array_equal(a.labels, b.labels)


def test_a_folder_becomes_four_splits_at_the_networks_size(photos: Path, progress: Any) -> None:
    data = loaded(photos, progress)
    assert data.labels == ("cat", "dog")
    assert sum(len(data[split]) for split in SPLITS) == 60
    for split in SPLITS:
        assert len(data[split])
        assert data[split].pixels.shape == (len(data[split]), 16, 16, 3)
        assert data[split].pixels.dtype == np.uint8
        assert {RULE.split_of(digest) for digest in data[split].digests} == {split}


def test_every_image_keeps_its_label_and_is_preprocessed_as_on_the_device(photos: Path, progress: Any) -> None:
    data = loaded(photos, progress)
    truth = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in photos.glob("*/*.png")}
    for split in SPLITS:
        for pixels, label, digest in zip(data[split].pixels, data[split].labels, data[split].digests, strict=True):
            assert data.labels[label] == truth[digest].parent.name
            frame = cv2.cvtColor(cv2.imread(str(truth[digest])), cv2.COLOR_BGR2RGB)
            assert np.array_equal(pixels, SPEC.apply(frame))  # type: ignore[arg-type]


def test_copies_fall_together(photos: Path, progress: Any) -> None:
    for number in range(30):
        shutil.copy(photos / "cat" / f"{number:02}.png", photos / "cat" / f"copy of {number}.png")
    data = loaded(photos, progress)
    seen = [set(data[split].digests) for split in SPLITS]
    assert sum(len(digests) for digests in seen) == len(set().union(*seen)) == 60
    assert sum(len(data[split]) for split in SPLITS) == 90


def test_adding_an_image_moves_no_other(photos: Path, progress: Any) -> None:
    before = loaded(photos, progress)
    (photos / "dog" / "00a.png").write_bytes(image(7777))
    after = loaded(photos, progress)
    added = hashlib.sha256(image(7777)).hexdigest()
    for split in SPLITS:
        assert set(before[split].digests) == set(after[split].digests) - {added}


def test_the_digest_knows_the_content_and_not_the_place_or_the_names(photos: Path, tmp_path: Path) -> None:
    before = opened(photos).digest
    moved = tmp_path / "elsewhere"
    photos.rename(moved)
    (moved / "cat" / "00.png").rename(moved / "cat" / "zz.png")
    assert opened(moved).digest == before


def test_the_digest_changes_with_an_image_a_class_and_the_rule(photos: Path) -> None:
    digests = {opened(photos).digest, Folder(path=str(photos)).open(SPEC).digest}
    (photos / "cat" / "00.png").write_bytes(image(7777))
    digests.add(opened(photos).digest)
    (photos / "cat" / "00.png").rename(photos / "dog" / "moved.png")
    digests.add(opened(photos).digest)
    (photos / "cat").rename(photos / "lion")
    digests.add(opened(photos).digest)
    assert len(digests) == 5


def test_one_digest_is_one_order_of_images(photos: Path, progress: Any) -> None:
    """The order decides the training: were it that of the names, one key could mean two results."""
    before = loaded(photos, progress)
    for number in range(30):
        (photos / "cat" / f"{number:02}.png").rename(photos / "cat" / f"{99 - number}.png")
    after = loaded(photos, progress)
    assert before.digest == after.digest
    assert all(same(before[split], after[split]) for split in SPLITS)


def test_what_is_no_image_is_left_out_and_listed(photos: Path, progress: Any) -> None:
    (photos / "cat" / "notes.txt").write_text("no image")
    (photos / "cat" / "cut.png").write_bytes(image(1)[:-30])
    (photos / "dog" / "empty.png").write_bytes(b"")
    (photos / "dog" / "unreadable.png").symlink_to("/proc/self/mem")
    data = opened(photos)
    left_out = {Path(path).name: reason for path, reason in data.load(progress).left_out}
    assert list(left_out) == ["cut.png", "notes.txt", "empty.png", "unreadable.png"]
    assert all(left_out.values())
    assert sum(len(data[split]) for split in SPLITS) == 60
    said = progress.lines[0]
    assert "4 of 64 files are left out" in said
    assert all(name in said for name in left_out)


def test_a_class_without_a_test_image_is_said_with_the_number_needed(photos: Path, progress: Any) -> None:
    for path in (photos / "dog").iterdir():
        split = RULE.split_of(hashlib.sha256(path.read_bytes()).hexdigest())
        if split in ("test", "validation"):
            path.unlink()
    (photos / "dog" / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match="the class dog has no validation and no test image") as caught:
        opened(photos).load(progress)
    assert "cat: 30" in str(caught.value.received)
    assert "21 a class" in str(caught.value.accepted)  # 0.8 ** 21 < 0.01
    assert any("notes.txt" in line for line in progress.lines)
    assert "cat has" not in caught.value.message


def test_data_without_a_calibration_image(photos: Path, progress: Any) -> None:
    for path in photos.glob("*/*.png"):
        if RULE.split_of(hashlib.sha256(path.read_bytes()).hexdigest()) == "calibration":
            path.unlink()
    with pytest.raises(DataError, match="no calibration image"):
        opened(photos).load(progress)


def test_a_class_of_which_no_file_is_an_image(photos: Path, progress: Any) -> None:
    for path in (photos / "dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="dog has no image that can be used"):
        opened(photos).load(progress)


def test_a_name_that_is_no_utf_8_is_left_out_like_any_other(photos: Path, progress: Any) -> None:
    odd = photos / "cat" / os.fsdecode(b"Gr\xfc\xdfe.txt")
    odd.write_text("no image")
    assert opened(photos).load(progress).left_out == ((str(odd), "not an image that OpenCV reads"),)


def test_nothing_is_decoded_before_it_is_asked_for_and_then_once(photos: Path, progress: Any) -> None:
    data = opened(photos)
    assert progress.updates == []
    assert data.load(progress) is data.load(progress)
    assert progress.updates[-1] == (60, 60, "reading images")


def test_grey_images_have_one_channel(photos: Path, progress: Any) -> None:
    data = Folder(path=str(photos), rule=RULE).open(InputSpec(height=8, width=12, channels=1))
    assert data.load(progress).splits["train"].pixels.shape[1:] == (8, 12, 1)


def test_shapes_are_the_same_every_time(progress: Any) -> None:
    source = Shapes(images_per_class=40, rule=RULE)
    first, second = source.open(SPEC), source.open(SPEC)
    assert first.digest == second.digest
    assert first.labels == shapes.CLASSES
    first.load(progress)
    second.load(progress)
    assert all(same(first[split], second[split]) for split in SPLITS)
    assert sum(len(first[split]) for split in SPLITS) == 40 * len(shapes.CLASSES)


def test_other_shapes_have_another_digest() -> None:
    sources = [Shapes(images_per_class=12), Shapes(images_per_class=13), Shapes(images_per_class=12, seed=1)]
    assert len({source.open(SPEC).digest for source in [*sources, Shapes(images_per_class=12, rule=RULE)]}) == 4


def test_the_facts_about_the_splits_fit_a_manifest(photos: Path, progress: Any) -> None:
    data = loaded(photos, progress)
    facts = split_facts({split: data[split] for split in SPLITS}, RULE)
    assert SplitRule(**facts["rule"]) == RULE
    assert set(facts["digests"]) == set(SPLITS)
    assert len(set(facts["digests"].values())) == 4


@pytest.fixture
def sorted_photos(photos: Path) -> Path:
    """The same photos, in train and test by the user."""
    for name in ("cat", "dog"):
        (photos / "test" / name).mkdir(parents=True)
        for number in range(10):
            (photos / name / f"{number:02}.png").rename(photos / "test" / name / f"{number:02}.png")
        (photos / "train").mkdir(exist_ok=True)
        (photos / name).rename(photos / "train" / name)
    return photos


def test_a_split_that_the_user_gave_is_kept(sorted_photos: Path, progress: Any) -> None:
    data = loaded(sorted_photos, progress)
    given = {hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted_photos.glob("test/*/*")}
    assert set(data["test"].digests) == given
    assert data.labels == ("cat", "dog")
    assert min(len(data[split]) for split in SPLITS) > 0
    assert data.rule == SplitRule(validation=0.2, calibration=0.15, test=0.0)


def test_validation_may_be_given_too(sorted_photos: Path, progress: Any) -> None:
    shutil.copytree(sorted_photos / "test", sorted_photos / "val")
    for path in sorted_photos.glob("val/*/*"):
        path.write_bytes(image(9000 + int(path.stem) + 100 * (path.parent.name == "dog")))
    data = loaded(sorted_photos, progress)
    assert len(data["validation"]) == 20
    assert data.rule == SplitRule(validation=0.0, calibration=0.15, test=0.0)


def test_a_copy_of_a_test_image_is_left_out_of_training(sorted_photos: Path, progress: Any) -> None:
    shutil.copy(sorted_photos / "test" / "cat" / "00.png", sorted_photos / "train" / "cat" / "copy.png")
    data = loaded(sorted_photos, progress)
    assert [reason for _, reason in data.load(progress).left_out] == ["a copy of it is in test"]
    assert sum(len(data[split]) for split in SPLITS) == 60


def test_the_digest_knows_the_split_that_was_given(sorted_photos: Path) -> None:
    before = opened(sorted_photos).digest
    (sorted_photos / "test" / "cat" / "00.png").rename(sorted_photos / "train" / "cat" / "00.png")
    assert opened(sorted_photos).digest != before


def test_splits_of_different_classes_are_refused(sorted_photos: Path, progress: Any) -> None:
    (sorted_photos / "test" / "dog").rename(sorted_photos / "test" / "wolf")
    with pytest.raises(DataError, match="dog has no test image") as caught:
        loaded(sorted_photos, progress)
    assert "wolf has no train and no validation image" in caught.value.message


def test_classes_that_are_called_train_and_test_are_classes(photos: Path) -> None:
    (photos / "cat").rename(photos / "train")
    (photos / "dog").rename(photos / "test")
    assert opened(photos).labels == ("test", "train")


def test_a_sample_is_spread_over_the_classes(photos: Path, progress: Any) -> None:
    images = loaded(photos, progress)["train"]
    assert set(images.sample(4).labels.tolist()) == {0, 1}
    assert len(images.sample(4)) == 4
    assert same(images.sample(10_000), images)


def test_an_image_in_two_classes_is_left_out_of_both_and_listed(photos: Path, progress: Any) -> None:
    before = opened(photos).digest
    shutil.copy(photos / "cat" / "07.png", photos / "dog" / "again.png")
    data = opened(photos)
    reason = "the same image is in cat and dog"
    assert data.load(progress).left_out == (
        (str(photos / "cat" / "07.png"), reason),
        (str(photos / "dog" / "again.png"), reason),
    )
    assert data.digest != before
    assert sum(len(data[split]) for split in SPLITS) == 59
    assert hashlib.sha256(image(7)).hexdigest() not in {digest for split in SPLITS for digest in data[split].digests}


def test_what_is_no_image_may_be_in_two_classes(photos: Path, progress: Any) -> None:
    for name in ("cat", "dog"):
        (photos / name / "Thumbs.db").write_bytes(b"no image")
    assert {reason for _, reason in opened(photos).load(progress).left_out} == {"not an image that OpenCV reads"}


def test_every_bad_file_is_said_at_once_and_the_rest_is_used(photos: Path, progress: Any) -> None:
    (photos / "cat" / "text.jpg").write_text("renamed")
    (photos / "cat" / "empty.jpg").write_bytes(b"")
    (photos / "dog" / "film.gif").write_bytes(b"GIF89a")
    shutil.copy(photos / "cat" / "07.png", photos / "dog" / "again.png")
    data = opened(photos)
    data.load(progress)
    said = progress.lines[0]
    assert "5 of 64 files are left out" in said
    assert all(f"{name} (" in said for name in ("text.jpg", "empty.jpg", "film.gif", "again.png", "07.png"))
    assert sum(len(data[split]) for split in SPLITS) == 59


def test_a_long_list_of_left_out_files_is_cut_on_the_screen_alone(photos: Path, progress: Any) -> None:
    for number in range(50):
        (photos / "cat" / f"{number}.txt").write_text(str(number))
    assert len(opened(photos).load(progress).left_out) == 50
    assert progress.lines[0].count("left out: ") == 20
    assert progress.lines[0].endswith("and 30 more")


def test_one_image_in_a_class_is_refused_with_the_number_needed(photos: Path, progress: Any) -> None:
    for path in sorted((photos / "dog").iterdir())[1:]:
        path.unlink()
    with pytest.raises(DataError, match="the class dog has no") as caught:
        opened(photos).load(progress)
    assert "dog: 1" in str(caught.value.received)


def test_nothing_is_written_to_the_folder(photos: Path, progress: Any) -> None:
    """And so it may be read-only, which holds nobody back who is root: everything in it is as it was."""

    def seen() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in [photos, *photos.rglob("*")])

    before = seen()
    for path in [photos, *photos.rglob("*")]:
        path.chmod(0o555)
    try:
        loaded(photos, progress)
    finally:
        for path in [photos, *photos.rglob("*")]:
            path.chmod(0o755)
    assert seen() == before


def test_labels_with_spaces_and_any_letters_go_through(photos: Path, progress: Any) -> None:
    (photos / "cat").rename(photos / "chat à poil")
    (photos / "dog").rename(photos / "犬 2")
    assert loaded(photos, progress).labels == ("chat à poil", "犬 2")


def test_an_image_that_changes_during_the_build_ends_it(photos: Path, progress: Any) -> None:
    data = opened(photos)
    (photos / "cat" / "07.png").write_bytes(image(7777))
    with pytest.raises(DataError, match="changed while the build ran") as caught:
        data.load(progress)
    assert "07.png" in str(caught.value.received)


def test_a_second_build_decodes_nothing(photos: Path, progress: Any) -> None:
    first = loaded(photos, progress)
    progress.updates.clear()
    second = loaded(photos, progress)
    assert progress.updates == []
    assert all(same(first[split], second[split]) for split in SPLITS)


def test_what_a_build_does_not_look_at_and_classes_of_few_images_are_said(photos: Path, progress: Any) -> None:
    loaded(photos, progress)
    assert progress.lines == []
    (photos / "unsure.jpg").write_bytes(b"")
    Folder(path=str(photos)).open(SPEC).load(progress)  # of each class 30, and the usual shares are smaller
    beside, few = progress.lines
    assert beside == "unsure.jpg is beside the class folders, where no build looks"
    assert few == "few images: cat has 30, dog has 30; about 100 a class are a good start"


def test_of_pictures_that_a_recipe_draws_nobody_is_asked_for_more(progress: Any) -> None:
    data = Shapes(images_per_class=40).open(SPEC)
    data.load(progress)
    assert progress.lines == []
    assert data.warnings() == ()


def test_why_a_file_was_never_read_is_not_taken_from_the_cache(photos: Path, progress: Any) -> None:
    odd = photos / "dog" / "odd.jpg"
    os.mkfifo(odd)
    assert opened(photos).load(progress).left_out == ((str(odd), "no regular file"),)
    odd.unlink()
    odd.symlink_to("nowhere.jpg")
    assert opened(photos).load(progress).left_out == ((str(odd), "a link that leads nowhere"),)


def test_looking_at_many_files_says_how_far_it_is(tmp_path: Path, progress: Any) -> None:
    paths = [tmp_path / f"{number}" for number in range(130)]
    for path in paths:
        path.write_bytes(path.name.encode())
    assert file_digests(paths, progress) == file_digests(paths)
    assert progress.updates[-1] == (130, 130, "looking at the images")
