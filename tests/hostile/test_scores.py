"""Maps and truths that a score cannot take, or takes only with care: refused, or the score that follows from ranks."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from saltrust.core.errors import SaltrustError
from saltrust.scores.auprc import AUPRC
from saltrust.scores.localization import LOCALIZATION
from saltrust.scores.similarity import SIMILARITY

TRUTH = np.zeros((4, 4), bool)
TRUTH[0, :3] = True
PLAIN = np.arange(16.0).reshape(4, 4)[::-1, ::-1]  # the first pixel is the highest


def _with(value: float) -> np.ndarray:
    return np.where(np.arange(16).reshape(4, 4) == 7, value, PLAIN)


REFUSED = {
    "a map with NaN": (_with(np.nan), TRUTH),
    "a map with infinity": (_with(np.inf), TRUTH),
    "a map with minus infinity": (_with(-np.inf), TRUTH),
    "a map of NaN alone": (np.full((4, 4), np.nan), TRUTH),
    "a truth without a pixel": (PLAIN, np.zeros((4, 4), bool)),
    "a truth of another size": (PLAIN, TRUTH[:3]),
    "a truth on its side": (PLAIN, TRUTH.ravel()),
    "a map without a pixel": (np.zeros((0, 4)), np.zeros((0, 4), bool)),
}

# In the same order as PLAIN, so that scores by rank are the same.
TAKEN = {
    "numbers near the largest, of both signs": (PLAIN / 7.5 - 1) * 1.7e308,
    "numbers below the smallest normal one": PLAIN * 5e-324,
    "neighbouring numbers": 1 + PLAIN * 2**-52,
    "half precision": PLAIN.astype(np.float16),
    "the lowest whole number of 8 bits": (PLAIN.astype(np.int16) - 128).astype(np.int8),
    "the highest whole numbers of 64 bits": np.int64(2**63 - 16) + PLAIN.astype(np.int64),
    "whole numbers without a sign": PLAIN.astype(np.uint8),
    "minus zero for zero": np.where(PLAIN == 0, -0.0, PLAIN),
    "a view that runs backwards": PLAIN[::-1, ::-1].copy()[::-1, ::-1],
}

SCORES = {name: score for name, score in (AUPRC | LOCALIZATION).items()}
CASES = {f"{what}, for {name}": (name, *given, None) for name in SCORES for what, given in REFUSED.items()} | {
    f"{what}, for {name}": (name, saliency, TRUTH, PLAIN) for name in SCORES for what, saliency in TAKEN.items()
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_score_of_it_is_refused_or_that_of_its_ranks(case):
    name, saliency, truth, alike = case
    if alike is None:
        with pytest.raises(SaltrustError, match=r"truth|NaN or infinite"):
            SCORES[name](saliency, truth)
        return
    with np.errstate(all="ignore"):
        found = SCORES[name](saliency, truth)
    assert 0 <= found <= 1
    if name in AUPRC or LOCALIZATION[name].by_rank:
        assert found == SCORES[name](alike, truth)
    if name == "average_precision":
        assert found == pytest.approx(average_precision_score(truth.ravel(), PLAIN.ravel()), abs=1e-12)


def test_otsu_cuts_between_two_groups_however_near_or_far():
    halves = np.where(TRUTH, 1.0, 0.0)
    for saliency in (halves * 1e-300, 1 + halves * 2**-52, halves * 5e-324, (halves - 0.5) * 2 * 1.7e308):
        with np.errstate(all="ignore"):
            assert LOCALIZATION["iou_otsu"](saliency, TRUTH) == 1


def test_the_size_of_the_lowest_whole_number_is_the_largest():
    first = np.array([[-128, 0, 100, 5]], np.int8)
    assert SIMILARITY["spearman_abs"](first[None], np.abs(first.astype(float))[None])[0] == pytest.approx(1)
