"""When likeness falls below a threshold, and the spread over networks, on small frames with known results."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.randomization import falls, first_falls, late_words, over_networks
from saltrust.artefacts.store import Store
from saltrust.core.protocols import PROTOCOLS
from saltrust.study.study import Study

STAGES = ("logits", "top", "middle", "stem")
CURVES = {
    "guided_backprop": (0.95, 0.9, 0.87, 0.2),  # falls with the last stage only
    "gradcam": (0.9, 0.3, 0.2, 0.1),
    "xrai": (0.9, 0.9, 0.9, 0.8),  # never falls
    "ig": (0.9, 0.3, 0.9, 0.2),  # falls, recovers and falls again
    "grad": (0.4, 0.3, 0.3, 0.6),  # ends above
    "smoothgrad": (0.9, 0.9, 0.9, 0.5),  # at the threshold is not below it
}


@pytest.fixture
def means():
    rows = [(m, s, value) for m, curve in CURVES.items() for s, value in zip(STAGES, curve, strict=True)]
    return pd.DataFrame(rows, columns=["method", "stage", "mean"]).sample(frac=1, random_state=0)


def test_the_stage_at_which_a_method_first_falls(means):
    found = first_falls(means, dict.fromkeys(CURVES, 0.5), STAGES).set_index("method")
    assert found.loc[list(CURVES), "first_below"].tolist() == ["stem", "top", "", "top", "logits", ""]
    assert found.loc[list(CURVES), "n_below"].tolist() == [1, 3, 0, 2, 3, 0]
    assert found.index[found["ends_below"]].sort_values().tolist() == ["gradcam", "guided_backprop", "ig"]
    assert found.index[found["only_last"]].tolist() == ["guided_backprop"]
    assert late_words(found.reset_index()) == "GBP"


def test_where_the_cascade_ends_decides_what_is_last(means):
    """At the paper's last stage, before the stem, Guided Backpropagation has not fallen at all."""
    found = first_falls(means, dict.fromkeys(CURVES, 0.5), STAGES[:-1]).set_index("method")
    assert found.loc["guided_backprop", ["first_below", "ends_below"]].tolist() == ["", False]
    assert not found["only_last"].any()


def test_the_spread_over_networks_is_that_of_their_means():
    rng = np.random.default_rng(0)
    scores = rng.random((3, 7))  # networks x images
    rows = [("ig", network + 1, scores[network, image]) for network in range(3) for image in range(7)]
    found = over_networks(pd.DataFrame(rows, columns=["method", "replicate", "ssim"]), "ssim").loc["ig"]
    by_network = scores.mean(axis=1)
    centre = by_network.sum() / 3
    assert found["mean"] == pytest.approx(centre)
    assert found["sd"] == pytest.approx((sum((by_network - centre) ** 2) / 2) ** 0.5)
    assert found["networks"] == 3
    one = over_networks(pd.DataFrame(rows[:7], columns=["method", "replicate", "ssim"]), "ssim").loc["ig"]
    assert np.isnan(one["sd"])


def test_a_study_is_followed_to_where_its_protocol_ends(tiny_profile, tmp_path):
    with tiny_profile(train=16, val=12, test=24, explained=3, cascaded=2):
        study = Study("phantom-pneumothorax", "tiny", store=Store(tmp_path))
        by_stage = study.criteria.sensitivity("gradcam").groupby("stage", sort=False)["ssim"].mean()
        threshold = study.criteria.thresholds("gradcam")["ssim"].mean()
        for protocol, last in (("corrected", "stem"), ("published", "Mixed_5c")):
            ended = study.with_protocol(replace(study.protocol, cascade_end=PROTOCOLS[protocol].cascade_end))
            (row,) = falls(ended, "gradcam").to_dict("records")
            assert row["n_below"] == (by_stage.loc[:last] < threshold).sum()
            assert row["ends_below"] == (by_stage[last] < threshold)
