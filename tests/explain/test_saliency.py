from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import Bundle, Classifier
from edgecnn.explain.saliency import METHODS, Evidence, Method, shown
from tests import squares

AT = (19, 4)
SQUARE = squares.LABELS.index("square")


def rank_correlation(one: Any, other: Any) -> float:
    ranks = [np.argsort(np.argsort(each.ravel())).astype(float) for each in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


@pytest.fixture(scope="module")
def evidence(square_bundle: Bundle) -> Evidence:
    return Evidence(square_bundle, threads=1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("at", [AT, (22, 22), (13, 11)])
@pytest.mark.lengthy
def test_a_map_is_highest_where_the_square_is_that_decides(
    evidence: Evidence, method: Method, at: tuple[int, int]
) -> None:
    image = squares.scene(900, at=at)
    assert evidence.answer(image)[0][0].label == "square"
    found = evidence.map(image, SQUARE, method)
    assert found.shape == (32, 32)
    top, left = (int(place) for place in np.unravel_index(found.argmax(), found.shape))
    assert at[0] - 2 <= top <= at[0] + squares.SIDE + 1
    assert at[1] - 2 <= left <= at[1] + squares.SIDE + 1
    inside = found[at[0] : at[0] + squares.SIDE, at[1] : at[1] + squares.SIDE].mean()
    assert inside > 5 * np.median(np.abs(found))


@pytest.mark.tensorflow
@pytest.mark.parametrize("method", METHODS)
def test_a_network_of_random_weights_gives_another_map(evidence: Evidence, method: Method) -> None:
    """Adebayo et al. 2018: a map that stays when what was learned goes is about the image alone.

    The line is as bright as the square: what was learned is to pass it over.
    """
    image, square, line = squares.scene(901, at=AT), np.s_[AT[0] : AT[0] + 6, AT[1] : AT[1] + 6], np.s_[3:5, 18:30]
    learned = evidence.map(image, SQUARE, method)
    assert shown(learned)[square].mean() > 0.5
    assert shown(learned)[line].mean() < 0.2
    correlations = []
    for seed in (77, 78, 79):
        stranger = Evidence(squares.bundle_of(squares.untrained(seed)), threads=1)
        random = stranger.map(image, SQUARE, method)
        correlations.append(rank_correlation(learned, random))
        assert np.ptp(random) < 0.5 * np.ptp(learned)  # it is not sure of anything
    assert np.mean(correlations) < 0.5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.lengthy
def test_a_map_repeats_and_tells_how_far_it_is(evidence: Evidence, method: Method) -> None:
    image, steps = squares.scene(902, at=AT), list[tuple[int, int]]()
    first = evidence.map(image, SQUARE, method, lambda done, total: steps.append((done, total)))
    np.testing.assert_array_equal(first, evidence.map(image, SQUARE, method))
    assert [done for done, _ in steps] == list(range(1, steps[0][1] + 1))


def test_the_odds_have_no_ceiling_where_the_score_has_one(evidence: Evidence, square_bundle: Bundle) -> None:
    sure = squares.scene(903, at=AT)
    surer = sure.copy()
    surer[AT[0] : AT[0] + squares.SIDE, AT[1] : AT[1] + squares.SIDE] = 255
    with Classifier(square_bundle, threads=1) as classifier:
        assert [classifier(image)[0].score for image in (sure, surer)] == [255 / 256] * 2
    assert evidence.odds(surer, SQUARE) > evidence.odds(sure, SQUARE) > 6


@pytest.mark.lengthy
def test_what_speaks_for_one_class_speaks_against_the_other(evidence: Evidence) -> None:
    image = squares.scene(904, at=AT)
    one, other = (evidence.map(image, index, "occlusion") for index in (SQUARE, 1 - SQUARE))
    np.testing.assert_allclose(one, -other, atol=1e-4)
    assert shown(np.zeros((4, 4), np.float32)).max() == 0
    assert shown(-np.ones((4, 4), np.float32)).max() == 0


@pytest.mark.lengthy
def test_a_file_of_another_origin_is_asked_too(foreign_path: Path, pictures: Any) -> None:
    evidence = Evidence(Bundle.read(foreign_path), threads=1)
    predictions, scores = evidence.answer(pictures[0])
    assert predictions[0].score == scores.max()
    assert evidence.map(pictures[0], predictions[0].index, "occlusion").std() > 0
