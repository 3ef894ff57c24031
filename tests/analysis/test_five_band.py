"""Points by branch, curves against the diagonal, and scores by depth, on small frames with known results."""

import pandas as pd
import pytest

from saltrust.analysis.five_band import (
    beside_published,
    branch_points,
    curve_places,
    published_points,
    scores_by_depth,
)
from saltrust.core.errors import SaltrustError
from saltrust.study.five_band import TJOA_EIGHT


def test_a_branch_is_a_point():
    rows = [
        ("ig", "net", 1, 0.2, 0.9),
        ("ig", "net", 1, 0.4, 0.7),
        ("ig", "net", 2, 1.0, 1.0),
        ("ig", "net", 2, 1.0, 1.0),
    ]
    frame = pd.DataFrame(rows, columns=["method", "network", "branch", "recall_best", "precision_best"])
    points = branch_points(frame, "best")
    assert list(points) == ["method", "network", "branch", "recall", "precision"]
    assert points[["recall", "precision"]].to_numpy() == pytest.approx(pd.DataFrame([[0.3, 0.8], [1, 1]]).to_numpy())
    spread = branch_points(frame, "best", spread=True)
    assert spread["recall_sd"].tolist() == pytest.approx([0.2 / 2**0.5, 0])
    assert list(spread)[-2:] == ["recall_sd", "precision_sd"]


def test_the_published_values_are_those_of_eight_methods_on_three_networks():
    for figure, images in (("3A", "all"), ("3A", "right"), ("3A", "with a cell"), ("3B", "all"), ("3C", "all")):
        points = published_points(figure, images)
        assert set(points.index) == {(n, m) for n in ("resnet34", "alexnet", "vgg16") for m in TJOA_EIGHT}
        assert points.stack().between(0, 1).all()
    with pytest.raises(SaltrustError, match="unknown published figure '3D'; known: 3A"):
        published_points("3D")
    with pytest.raises(SaltrustError, match="unknown published images 'right'"):
        published_points("3B", "right")


def test_the_published_values_agree_with_what_is_known_of_the_score():
    """To the 0.01 to which pictures were read: see the head of the file."""
    average, best = published_points("3A"), published_points("3B")
    # One image in ten is empty and scores 0, so that means with it are nine tenths of those without.
    without = published_points("3A", "with a cell")
    assert (average / without)["precision"].mean() == pytest.approx(0.9, abs=0.01)
    assert (best["recall"] >= average["recall"] - 0.01).all()
    # Precision above recall, everywhere: a missed pixel cannot have been a false positive.
    assert (average["precision"] > average["recall"] + 0.01).all()
    # Of the ROC curves with their axes put right, Deconvolution's alone ends below the diagonal.
    furthest = published_points("4")
    below = (furthest["fpr"] > furthest["recall"]).unstack().all()
    assert below["deconvolution"]
    assert not (furthest["fpr"] > furthest["recall"]).unstack()[["saliency", "deeplift_shap"]].any(axis=None)


def test_ours_stand_beside_the_published_values_of_the_same_images():
    rows = [(0, 0, 0.8, 0.4), (1, 0, 0.2, 0.2), (9, 9, 0.0, 0.0)]
    frame = pd.DataFrame(rows, columns=["label", "predicted", "recall_avg", "precision_avg"])
    both = [frame.assign(network="alexnet", method=method) for method in ("saliency", "xrai")]
    found = beside_published(pd.concat(both), absent=9).set_index(["method", "images"])
    assert found.loc["saliency", "recall"].to_dict() == pytest.approx({"all": 1 / 3, "right": 0.4, "with a cell": 0.5})
    assert found.loc["saliency", "precision"].to_dict() == pytest.approx({"all": 0.2, "right": 0.2, "with a cell": 0.3})
    assert found.loc["saliency", "recall_published"].tolist() == [0.143, 0.146, 0.160]
    assert found.loc["xrai", "precision_published"].isna().all()


def test_curves_are_placed_within_each_network():
    ends = {"a": (0.1, 0.9), "b": (0.5, 0.5), "c": (0.8, 0.2)}  # where each curve ends: fpr, recall
    rows = [
        (network, method, fpr * share, recall * share)
        for network in ("one", "two")
        for method, (fpr, recall) in ends.items()
        for share in (0, 0.5, 1)
    ]
    found = curve_places(pd.DataFrame(rows, columns=["network", "method", "fpr", "recall"]))
    assert found.xs("two")["place"].to_dict() == {"a": 1, "b": 2, "c": 3}
    assert found.xs("two")["place_swapped"].to_dict() == {"a": 3, "b": 2, "c": 1}
    assert found["gap"].loc["one"].tolist() == pytest.approx([0.4, 0, -0.3])


def test_depth_has_the_mean_over_methods_and_the_accuracy_of_its_branches():
    rows = [
        (image, layers, branch, layers / 10 + step, 0.5)
        for image in "abc"
        for layers in (1, 4)
        for branch in (1, 2)
        for step in (0.0, 0.2)  # of two methods
    ]
    scores = pd.DataFrame(rows, columns=["image", "layers", "branch", "recall_avg", "precision_avg"])
    accuracies = pd.DataFrame({"layers": [4, 4, 1, 1], "accuracy": [0.6, 0.8, 0.9, 1.0]})
    found = scores_by_depth(scores, accuracies, n_boot=50).set_index("layers")
    assert found["accuracy"].to_dict() == pytest.approx({1: 0.95, 4: 0.7})
    assert found["recall_avg"].to_dict() == pytest.approx({1: 0.2, 4: 0.5})
    assert found["precision_avg_high"].to_dict() == pytest.approx({1: 0.5, 4: 0.5})
    assert list(found)[0] == "accuracy"
