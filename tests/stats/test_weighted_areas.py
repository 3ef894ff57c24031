"""Areas under curves against scikit-learn's, image by image and with weights."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from saltrust.stats.weighted_areas import average_precision, roc_area


@pytest.mark.parametrize(("ours", "theirs"), [(roc_area, roc_auc_score), (average_precision, average_precision_score)])
def test_areas_are_those_of_sklearn(ours, theirs):
    rng = np.random.default_rng(0)
    present = rng.uniform(size=60) < 0.3
    scores = np.round(rng.normal(size=60) + present, 1)  # with ties
    weights = rng.integers(0, 4, size=(5, 60))
    expected = [theirs(present, scores, sample_weight=one) for one in weights]
    np.testing.assert_allclose(ours(present, scores, weights), expected, rtol=1e-12)
