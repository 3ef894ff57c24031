"""Tables of scores by image: their columns, and their means against the study's own frames."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.claims.tables import TABLES, Evidence


@pytest.fixture
def study():
    """A study whose frames are made up: two images, two methods, replicates and branches that differ."""
    images = ["a", "b"]

    def localization(methods, models):
        names = [(m, models[0]) for m in ("grad", "xrai")]
        names += [("sobel", "control"), ("average", "control"), ("unet", "unet-1"), ("unet", "unet-2")]
        rows = [(i, m, n, k / 10 + (i == "b")) for k, (m, n) in enumerate(names) for i in images]
        return pd.DataFrame(rows, columns=["image", "method", "model", "auprc"])

    def sensitivity(methods, stage=None):
        rows = [("a", m, s, r, 0.1 * r) for m in ("grad", "xrai") for s in ("logits", "stem") for r in (1, 3)]
        frame = pd.DataFrame(rows, columns=["image", "method", "stage", "replicate", "ssim"])
        return frame[frame["stage"] == stage] if stage else frame

    def of(criterion, methods):
        if criterion == "utility":
            return localization(methods, ("main-1",)).query("model != 'unet-2'")
        if criterion == "randomization":
            return sensitivity(methods, "stem")
        return pd.DataFrame(
            {"image": images * 3, "method": ["grad", "grad", "xrai", "xrai", "unet", "unet"], "ssim": np.arange(6) / 10}
        )

    return SimpleNamespace(
        seed=0,
        card=SimpleNamespace(localizer="unet"),
        networks=SimpleNamespace(main="main-1", other="other-1", random="main-random", stages=("logits", "stem")),
        criteria=SimpleNamespace(of=of, localization=localization, sensitivity=sensitivity),
    )


def test_utility_has_the_methods_the_average_and_one_localizer(study):
    table = Evidence(study).table("utility")
    assert set(table) == {"grad", "xrai", "average", "localizer"}
    assert table.loc["a"].to_dict() == pytest.approx({"grad": 0, "xrai": 0.1, "average": 0.3, "localizer": 0.4})
    means = Evidence(study).table("utility_by_model")
    assert means.loc["b", "main"] == pytest.approx(1.05)


def test_replicates_of_an_image_are_averaged(study):
    table = Evidence(study).table("randomization")
    assert table.loc["a"].to_dict() == pytest.approx({"grad": 0.2, "xrai": 0.2})
    assert list(Evidence(study).table("cascade")) == ["logits"]


def test_the_localizer_is_called_so_whatever_it_is(study):
    assert list(Evidence(study).table("repeatability")) == ["grad", "xrai", "localizer"]


def test_a_table_is_made_once(study, monkeypatch):
    made = []
    monkeypatch.setitem(TABLES, "utility", lambda evidence: made.append(evidence) or pd.DataFrame())
    evidence = Evidence(study)
    assert evidence.table("utility") is evidence.table("utility")
    assert len(made) == 1


@pytest.fixture
def graded():
    """Five-band scores that are made up: two images, three networks, two methods, two branches."""
    rng = np.random.default_rng(0)
    rows = [
        (image, method, network, branch)
        for image in ("a", "b")
        for network in ("alexnet", "vgg16", "resnet34")
        for method in ("saliency", "deeplift")
        for branch in (1, 2)
    ]
    frame = pd.DataFrame(rows, columns=["image", "method", "network", "branch"])
    scores = ["recall_avg", "precision_avg", "recall_best", "precision_best", "blank", "false_alarms"]
    scores += ["fpr_first", "recall_gain"]
    frame[scores] = rng.uniform(size=(len(frame), len(scores)))
    deeper = frame.replace({"alexnet": "alexnet+1", "vgg16": "alexnet+2", "resnet34": "alexnet+4"})

    def five_band(names, networks=(), clamped=False, unsigned=False):
        best = {s: frame[s] + by * clamped for s, by in (("recall_best", -0.1), ("precision_best", 0.2))}
        return (deeper if networks else frame).assign(**best)

    return SimpleNamespace(
        networks=("alexnet", "vgg16", "resnet34"),
        deepened=("alexnet+1", "alexnet+2", "alexnet+4"),
        five_band=five_band,
        blank=lambda names: frame,
        ends=lambda names: frame,
        frame=frame,
    )


@pytest.fixture
def evidence(graded):
    made = Evidence(SimpleNamespace(seed=0))
    made.graded = graded
    return made


def test_maps_have_a_column_for_each_network_and_method_and_the_median(evidence, graded):
    table = evidence.table("recall")
    assert len(table.columns) == 3 * 2 + 3
    own = graded.frame.query("network == 'vgg16' and image == 'b'").groupby("method")["recall_avg"].mean()
    assert table.loc["b", "vgg16/saliency"] == pytest.approx(own["saliency"])
    assert table.loc["b", "vgg16/median"] == pytest.approx(own.median())
    assert evidence.table("recall_by_network").loc["b", "vgg16"] == pytest.approx(own.mean())


def test_clamping_is_by_how_much_scores_move(evidence):
    moved, raised = evidence.table("clamping"), evidence.table("clamping_change")
    assert set(moved) == {f"{n}/{s}" for n in ("alexnet", "vgg16", "resnet34") for s in ("recall", "precision")}
    for score, by in (("recall", -0.1), ("precision", 0.2)):
        assert raised.filter(like=score).to_numpy() == pytest.approx(by)
        assert moved.filter(like=score).to_numpy() == pytest.approx(abs(by))


def test_what_thresholds_change_stands_beside_the_median_method(evidence, graded):
    for table, score in (("first_fpr", "fpr_first"), ("recall_gain", "recall_gain")):
        own = graded.frame.query("network == 'alexnet' and image == 'a'").groupby("method")[score].mean()
        found = evidence.table(table).loc["a"]
        assert found["alexnet/deeplift"] == pytest.approx(own["deeplift"])
        assert found["alexnet/median"] == pytest.approx(own.median())


def test_depth_is_the_slope_over_the_added_layers(evidence, graded):
    means = graded.frame.query("image == 'a'").groupby("network", sort=False)["recall_avg"].mean().to_numpy()
    layers = np.array([1, 2, 4])
    expected = np.cov(layers, means)[0, 1] / np.var(layers, ddof=1)
    assert evidence.table("depth").loc["a", "recall"] == pytest.approx(expected)
