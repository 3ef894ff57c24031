"""Points by branch, curves against the diagonal, and scores by depth, on small frames with known results."""

import pandas as pd
import pytest

from saltrust.analysis.five_band import branch_points, curve_places, scores_by_depth


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
