"""Tables of scores by image: their columns, and their means against the study's own frames."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.claims import limits
from saltrust.analysis.claims.tables import IMAGE_SCORES, TABLES, Evidence
from saltrust.artefacts.maps import Randomization, RandomizedOutputs

STAGES = ("logits", "top", "block", "stem")


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
        rows = [("a", m, s, r, 0.1 * r) for m in ("grad", "xrai") for s in STAGES for r in (1, 3)]
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
        networks=SimpleNamespace(
            main="main-1", other="other-1", random="main-random", stages=STAGES, paper_end="block"
        ),
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


def test_what_stays_above_until_the_papers_last_stage_is_asked_of_the_stages_before_it(study):
    """In a perfect replication the map falls at the paper's last stage, and stays down at those that follow here."""
    assert list(Evidence(study).table("cascade")) == ["logits", "top"]


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


def test_limits_of_a_table_are_asked_for_once(study, monkeypatch):
    asked = []
    monkeypatch.setattr(limits, "LIMITS", {"few": lambda evidence, table: asked.append(table) or {"grad": ["why"]}})
    evidence = Evidence(study)
    assert evidence.limits("utility") == evidence.limits("utility") == {"grad": ("why",)}
    assert asked == ["utility"]
    assert evidence.known_limits == {"utility": {"grad": ("why",)}}


@pytest.fixture
def frames(study):
    """The study with more images, so that a model can be fitted; two of each patient."""
    rng, images = np.random.default_rng(0), [f"image {i}" for i in range(20)]
    better = {"grad": 0.0, "xrai": 0.3, "average": 0.1, "unet": 0.5}
    rows = [(i, m, shift + 0.1 * rng.normal()) for i in images for m, shift in better.items()]
    frame = pd.DataFrame(rows, columns=["image", "method", "auprc"])
    study.criteria.of = lambda criterion, methods: frame
    study.images = SimpleNamespace(clusters={image: f"patient {k // 2}" for k, image in enumerate(images)})
    return Evidence(study)


def test_the_papers_test_compares_all_pairs_at_once_whichever_way_it_is_asked(frames):
    there, back = frames.contrast("utility", "xrai", "grad"), frames.contrast("utility", "grad", "xrai")
    means = frames.table("utility").mean()
    assert there["difference"] == pytest.approx(means["xrai"] - means["grad"])
    assert back == pytest.approx(
        {"difference": -there["difference"], "ci_low": -there["ci_high"], "ci_high": -there["ci_low"]}
    )
    assert len(frames._contrasts[("utility", None)]) == 4 * 3 / 2


def test_patients_are_random_in_the_papers_test_where_the_data_set_names_them(frames, monkeypatch):
    from saltrust.analysis.claims import tables

    asked = []
    fit = tables.fit
    monkeypatch.setattr(tables, "fit", lambda *given: asked.append(given[-1]) or fit(*given))
    frames.contrast("utility", "xrai", "grad")
    frames.study.images.clusters, frames._contrasts = None, {}
    frames.contrast("utility", "xrai", "grad")
    assert asked == [["group", "image"], ["image"]]


def test_scores_of_images_are_those_in_the_records_and_of_random_networks(study):
    state = Randomization("logits", "truncated_normal", "reset", seed=99)
    records = {
        name: SimpleNamespace(record={"test_scores": [k]}) for k, name in enumerate(("main-1", "main-2", "other-1"))
    }
    stages = {"main-1": "stem", "other-1": "first"}
    study.networks.replicate = "main-2"
    study.networks.trained = records.__getitem__
    study.networks.localizer = lambda: SimpleNamespace(record={"test_scores": [9]})
    study.networks.artefact = lambda name: SimpleNamespace(name=name, stages=[SimpleNamespace(name=stages[name])])
    study.maps = SimpleNamespace(artefact=lambda method, model: SimpleNamespace(randomization=state))
    asked = []
    study.store = SimpleNamespace(get=lambda one: asked.append(one) or np.array([[0.5, 0.1]]))
    scores = {name: Evidence(study).image_scores(name).tolist() for name in IMAGE_SCORES}
    assert scores == {
        "main": [0], "replicate": [1], "other": [2], "localizer": [9], "main_random": [0.5], "other_random": [0.5],
    }  # fmt: skip
    assert all(isinstance(one, RandomizedOutputs) for one in asked)
    drawn = {one.model.name: (one.randomization.stage, one.randomization.seed) for one in asked}
    assert drawn == {"main-1": ("stem", 99), "other-1": ("first", 99)}  # all weights of either, drawn as those of maps
