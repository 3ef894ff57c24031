"""Methods on one footing: differences are paired, the rival is the best of the others, orders are compared by rank."""

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.fair_comparison import leads, mean_scores, method_gaps, rank_correlations

METHODS = {"saliency": 0.5, "ig": 0.4, "xrai": 0.2, "deeplift": 0.1}


def judged(networks=("one", "two"), methods=METHODS, noise=0.0, seed=0):
    """Recall of each method, with a shift for each image that all methods share; precision in the other order."""
    rng = np.random.default_rng(seed)
    rows = []
    for network in networks:
        for branch in (1, 2):
            for image in "abcdef":
                shift = rng.normal() / 10
                for method, mean in methods.items():
                    recall = mean + shift + noise * rng.normal()
                    rows.append((image, network, branch, method, recall, 1 - mean + shift))
    return pd.DataFrame(rows, columns=["image", "network", "branch", "method", "recall_avg", "precision_avg"])


def means_of(footings):
    by = ["network", "method"]
    return pd.concat(
        frame.groupby(by, sort=False, as_index=False)["recall_avg"].mean().assign(footing=name)
        for name, frame in footings.items()
    )


def test_a_gap_is_paired_by_image_and_branch():
    frame = judged().sample(frac=1, random_state=1)
    gaps = method_gaps(frame, "saliency", "ig", ["recall_avg", "precision_avg"], n_boot=50).set_index("network")
    assert set(gaps.index) == {"one", "two"}
    assert gaps[["recall_avg", "recall_avg_low", "recall_avg_high"]].to_numpy() == pytest.approx(
        0.1
    )  # no shift is left
    assert gaps["precision_avg"].to_numpy() == pytest.approx(-0.1)


def test_a_gap_varies_as_the_scores_do():
    gaps = method_gaps(judged(noise=0.2), "saliency", "ig", ["recall_avg"], n_boot=200)
    assert (gaps["recall_avg_low"] < gaps["recall_avg"]).all()
    assert (gaps["recall_avg"] < gaps["recall_avg_high"]).all()


def test_the_lead_is_over_the_best_rival_of_each_network_and_footing():
    footings = {"first": judged(), "second": judged(methods=METHODS | {"xrai": 0.7})}
    found = leads(footings, means_of(footings), "saliency", n_boot=50)
    expected = [("one", "first", "ig"), ("one", "second", "xrai"), ("two", "first", "ig"), ("two", "second", "xrai")]
    assert list(found[["network", "footing", "rival"]].itertuples(index=False, name=None)) == expected
    assert found["lead"].tolist() == pytest.approx([0.1, -0.2] * 2)
    assert list(found) == ["network", "footing", "rival", "lead", "lead_low", "lead_high"]


def test_means_are_by_method_in_the_order_of_the_frame():
    bands = judged()
    matrix = mean_scores(bands, {"auprc": bands.assign(auprc=bands["recall_avg"] ** 2)})
    assert list(matrix) == ["recall_avg", "precision_avg", "auprc"]
    assert list(matrix.index) == list(METHODS)
    own = bands[bands["method"] == "xrai"]
    assert matrix.loc["xrai", "auprc"] == pytest.approx((own["recall_avg"] ** 2).mean())


@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
def test_orders_are_compared_within_each_network():
    bands = judged()
    others = {
        "same": bands.assign(same=3 * bands["recall_avg"]),
        "level": bands.assign(level=0.5),
    }
    found = rank_correlations(bands, others, n_boot=50).set_index(["network", "band", "score"])["correlation"]
    assert len(found) == 2 * 2 * 2
    assert found.xs("same", level="score").xs("recall_avg", level="band").to_numpy() == pytest.approx(1)
    assert found.xs("same", level="score").xs("precision_avg", level="band").to_numpy() == pytest.approx(-1)
    assert found.xs("level", level="score").isna().all()  # a score that is the same for all methods has no order
