"""Heat maps of branches from end to end, on small networks: scores tidy, checked against the maps they come from."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from saltrust.artefacts.store import Store
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES, Branching
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import CONTROLS
from saltrust.models.architectures import ARCHITECTURES, Architecture, Stage
from saltrust.models.recipes import BRANCHING
from saltrust.scores.auprc import average_precision
from saltrust.scores.five_band import CLAMPED, SOFT, Thresholds, adjust, stratify
from saltrust.study.five_band import CLAMP, TJOA_EIGHT, TJOA_METHODS, TJOA_TEN, FiveBandStudy
from saltrust.study.study import Study

SIZE = 48
NETWORKS = ("small", "smaller")


def small(width):
    def build(n_outputs):
        return nn.Sequential(
            nn.Conv2d(3, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
            nn.Linear(16 * width, 16), nn.LeakyReLU(), nn.Linear(16, n_outputs),
        )  # fmt: skip

    return build


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """A profile and two networks that train in a second."""
    stages = (Stage("logits", ("9",)), Stage("fc", ("7",)), Stage("conv2", ("3",)), Stage("conv1", ("0",)))
    for name, width in zip(NETWORKS, (8, 6), strict=True):
        ARCHITECTURES[name] = Architecture(name, name.title(), small(width), dict, 1e-3, stages, (0.0, 1.0))
    PROFILES["tiny"] = replace(
        PROFILES["smoke"],
        name="tiny",
        branching=Branching(
            sizes=dict.fromkeys(NETWORKS, SIZE),
            shards={"train": 1, "val": 1, "test": 1},
            branches=2,
            judged=12,
            depths=(),
            deep_branches=1,
        ),
    )
    BRANCHING["tiny"] = dict.fromkeys(NETWORKS, BRANCHING["smoke"]["alexnet"])
    yield
    del BRANCHING["tiny"]
    for name in NETWORKS:
        del ARCHITECTURES[name]
    del PROFILES["tiny"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def study(store, protocol="corrected"):
    with pytest.MonkeyPatch.context() as patch:
        small_card = data_cards.load("cells").model_copy(update={"networks": NETWORKS})
        patch.setattr("saltrust.core.data_cards.load", lambda name: small_card)
        return Study("cells", "tiny", protocol, store=store)


@pytest.fixture
def heat(store):
    return FiveBandStudy(study(store))


def test_the_judged_images_are_all_kinds_of_test_images(heat):
    test = heat.study.images.split("test")
    assert len(heat.judged) == 12
    assert len(test) == 200
    assert (heat.judged[0], heat.judged[-1]) == (0, 199)


def test_accuracies_count_the_predictions_of_each_branch(heat):
    table = heat.accuracies()
    assert list(zip(table["network"], table["branch"], strict=True)) == [(n, b) for n in NETWORKS for b in (1, 2)]
    labels = heat.study.images.split("test").labels
    assert table["accuracy"][0] == (heat.predicted("small", 1) == labels).mean()
    assert table["stopped"].isin(["target", "early", "epochs"]).all()


def test_branches_part(heat):
    found = heat.apart("small")
    assert found["branch"].tolist() == [2]
    one, other = (heat.study.networks.trained(f"small-{k}").state() for k in (1, 2))
    squares = sum(((one[name] - other[name]) ** 2).sum().item() for name in one)
    assert found["distance"][0] == pytest.approx((squares / sum((v**2).sum().item() for v in one.values())) ** 0.5)
    assert found["distance"][0] > 0
    assert found["disagreement"][0] == (heat.predicted("small", 1) != heat.predicted("small", 2)).mean()


def test_the_losses_of_a_base_are_those_of_its_record(heat):
    losses = heat.base_losses("smaller")
    assert losses["training loss"].tolist() == heat.base("smaller").record["curves"]["loss"]
    assert losses["epoch"].tolist() == list(range(1, heat.plan("smaller").base.epochs + 1))


def test_five_band_scores_are_those_of_the_maps(heat):
    frame = heat.five_band(TJOA_EIGHT, empty=True)
    assert not frame.duplicated(["image", "method", "network", "branch"]).any()
    assert len(frame) == 12 * 8 * 2 * 2
    test = heat.study.images.split("test")
    for name, clamped in (("saliency", False), ("input_x_gradient", True)):
        raw = heat.raw(name, "smaller", 2)
        assert name != "saliency" or (raw >= 0).all()
        maps = adjust(raw, CLAMP if clamped else None)
        np.testing.assert_array_equal(maps, heat.adjusted(name, "smaller", 2, clamped=clamped))
        scores = heat.five_band((name,), ("smaller",), clamped=clamped, empty=True).query("branch == 2")
        bands = CLAMPED if clamped else SOFT
        truth = test.grades[heat.judged[3]].astype(int)
        cut = [stratify(maps[3], *pair) for pair in bands.pairs()]
        hits = np.array([((band == truth) & (truth > 0)).sum() for band in cut])
        missed = np.array([((band == 0) & (truth > 0)).sum() for band in cut])
        recalls = hits / (hits + missed + 1e-6)
        assert scores.iloc[3]["recall_avg"] == pytest.approx(recalls.mean())
        assert scores.iloc[3]["recall_best"] == pytest.approx(recalls.max())


def test_images_without_a_cell_count_as_the_protocol_says(store):
    absent = data_cards.load("cells").classes.index("empty")
    frames = {name: FiveBandStudy(study(store, name)).five_band(("saliency",)) for name in PROTOCOLS}
    assert (frames["corrected"]["label"] != absent).all()
    empty = frames["published"].query("label == @absent")
    assert len(empty)
    assert (empty[["recall_avg", "precision_best"]] == 0).all(axis=None)


def test_published_scores_follow_the_text(store):
    """The sum over 56 thresholds over 55; hits and misses are counted alike."""
    ours = FiveBandStudy(study(store)).five_band(("deeplift",), empty=False).query("network == 'small'")
    published = PROTOCOLS["published"].five_band
    variant = study(store)
    variant = variant.with_protocol(replace(variant.protocol, five_band=published))
    theirs = FiveBandStudy(variant).five_band(("deeplift",), empty=False).query("network == 'small'")
    np.testing.assert_allclose(theirs["recall_avg"], ours["recall_avg"] * 56 / 55, rtol=1e-12)
    for score in ("recall_best", "precision_best"):
        np.testing.assert_array_equal(theirs[score], ours[score])


def test_unsigned_maps_have_no_negative_bands(heat):
    signed, unsigned = (heat.five_band(("gradient",), unsigned=flag) for flag in (False, True))
    saliency = heat.five_band(("saliency",))
    np.testing.assert_array_equal(unsigned["recall_avg"], saliency["recall_avg"])
    assert not np.array_equal(signed["recall_avg"], unsigned["recall_avg"])


def test_roc_points_are_means_over_images_and_branches(heat):
    curves = heat.roc(("saliency", "deconvolution"))
    assert list(curves.columns) == ["method", "network", "threshold", "fpr", "recall"]
    assert len(curves) == 2 * 2 * 56
    assert curves[["fpr", "recall"]].stack().between(0, 1).all()
    scores = heat.five_band(("saliency",), ("small",))
    own = curves.query("method == 'saliency' and network == 'small'")
    assert own["recall"].mean() == pytest.approx(scores["recall_avg"].mean())
    apart = heat.roc(("saliency", "deconvolution"), by_branch=True)
    assert set(apart["branch"]) == {1, 2}
    means = apart.groupby(["method", "network", "threshold"], sort=False)[["fpr", "recall"]].mean()
    np.testing.assert_allclose(means, curves[["fpr", "recall"]], rtol=1e-12)


def test_the_ends_are_those_of_the_curves(heat):
    curves = heat.roc(("deconvolution",), ("small",))
    found = heat.ends(("deconvolution",), ("small",))
    assert found["fpr_first"].mean() == pytest.approx(curves["fpr"].iloc[0])
    assert found["recall_gain"].mean() == pytest.approx(curves["recall"].iloc[-1] - curves["recall"].iloc[0])


def test_images_of_a_class_are_the_first_of_the_test_split(heat):
    labels = heat.study.images.split("test").labels
    found = heat.of_class("RCell", 4)
    assert list(found) == [i for i in range(200) if labels[i] == 3][:4]
    assert len(heat.of_class("empty", 1000)) == (labels == 9).sum()


def test_other_scores_are_of_the_same_maps(heat):
    frame = heat.localization(("ig",), "auprc", ("small",)).query("branch == 1").set_index("image")
    test = heat.study.images.split("test")
    position = next(i for i in heat.judged if test.present[i])
    values = np.abs(heat.raw("ig", "small", 1, (position,))[0]).sum(axis=0)
    expected = average_precision(values, test.truth[position])
    assert frame.loc[test.ids[position], "auprc"] == pytest.approx(expected, abs=1e-6)
    assert frame["auprc"].notna().all()


def test_blank_pixels_and_false_alarms(heat):
    absent = heat.study.images.split("test").absent
    with_cell, empty = (heat.blank(("saliency",), empty=flag) for flag in (False, True))
    assert (with_cell["label"] != absent).all()
    assert (empty["label"] == absent).all()
    np.testing.assert_allclose(empty["blank"], 1 - empty["false_alarms"])


def test_guided_gradcam_uses_the_first_or_the_last_layer(heat):
    assert heat.raw("guided_gradcam", "small").shape == heat.raw("guided_gradcam_last", "small").shape
    assert not np.array_equal(heat.raw("guided_gradcam", "small"), heat.raw("guided_gradcam_last", "small"))
    assert heat.artefact("guided_gradcam", "small", 1).parameters["layer"] == "0"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_guided_gradcam_multiplies_raw_maps_under_every_protocol(store, protocol):
    """As captum does; that `as_run` multiplies displayed maps is a fact of another paper's code."""
    asked = FiveBandStudy(study(store, protocol))
    for name in ("guided_gradcam", "guided_gradcam_last"):
        assert asked.artefact(name, "small", 1).parameters["maps"] == "raw"
    assert asked.study.maps.artefact("guided_gradcam").parameters["maps"] == asked.study.protocol.guided_gradcam


def test_the_gallery_shows_right_predictions_first_and_one_wrong(heat):
    predicted = heat.predicted("small", 1)
    labels = heat.study.images.split("test").labels
    for label in range(10):
        own = [choice for choice in heat.gallery("small", 1, right=2) if choice.label == label]
        assert [c.right for c in own] == sorted((c.right for c in own), reverse=True)
        assert sum(not c.right for c in own) == min(1, ((labels == label) & (predicted != label)).sum())
        assert all(predicted[c.index] == c.predicted for c in own)


def test_every_heat_map_can_be_made(heat):
    assert TJOA_TEN[:8] == TJOA_EIGHT
    for name in TJOA_METHODS:
        values = heat.raw(name, "small", 1, heat.judged[:2])
        assert values.shape[0] == 2
        assert np.isfinite(values).all()


def test_the_four_questions_are_asked_of_cells_too(store):
    asked = study(store)
    assert asked.networks.judged == ("small-1", "small-2", "smaller-1", "small-random")
    frame = asked.criteria.localization("grad,guided_backprop", models=asked.networks.judged[:2])
    assert set(frame["method"]) == {"grad", "guided_backprop", *CONTROLS, "average", "unet"}
    assert frame["auprc"].between(0, 1).all()
    assert len(asked.criteria.sensitivity("grad")["stage"].unique()) == 4
    assert asked.criteria.stability("grad")["repeatability"]["ssim"].between(-1, 1).all()
    assert asked.criteria.other_class("grad")["ssim"].between(-1, 1).all()  # of the next most likely class
    table = asked.networks.table(n_boot=20)
    classifiers, n, z = table.query("role == 'classifier'"), len(asked.images.split("test")), 1.959964
    share = classifiers["accuracy"].to_numpy()
    assert ((share >= 0) & (share <= 1)).all()
    middle, reach = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(classifiers["accuracy_low"], (middle - reach) / (1 + z**2 / n), atol=1e-6)  # Wilson
    np.testing.assert_allclose(classifiers["accuracy_high"], (middle + reach) / (1 + z**2 / n), atol=1e-6)
    assert list(asked.networks.curves("small-1").columns) == ["step", "training loss", "accuracy on a shard"]


def test_graded_truth_is_needed():
    with pytest.raises(SaltrustError, match="'phantom-pneumonia' has no graded truth"):
        FiveBandStudy(Study("phantom-pneumonia", "smoke"))


def test_other_thresholds_can_be_asked_for(store):
    strict = FiveBandStudy(study(store), Thresholds(0.8, 0.9, 0.1, 1))
    frame = strict.five_band(("saliency",), ("small",))
    np.testing.assert_array_equal(frame["recall_avg"], frame["recall_best"])
    assert (
        frame["recall_avg"].mean()
        < FiveBandStudy(study(store)).five_band(("saliency",), ("small",))["recall_avg"].mean()
    )
    assert strict.roc(("saliency",), ("small",))["threshold"].tolist() == [0.8]
    with pytest.raises(SaltrustError, match="0 < inner < outer < 1, found inner 0.5, outer 0.3"):
        Thresholds(0.5, 0.3)
