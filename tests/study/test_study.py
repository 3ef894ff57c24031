"""The study from end to end, in a size of seconds: tidy frames, shared artefacts, and every named protocol."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from saltrust import chapters
from saltrust.artefacts.networks import _named_weights
from saltrust.artefacts.store import Store
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import CONTROLS, PAPER_EIGHT, select
from saltrust.models import classifiers
from saltrust.scores.auprc import average_precision
from saltrust.scores.ssim import ssim
from saltrust.scores.surrogates import surrogate
from saltrust.study.criteria import CRITERIA, images_of
from saltrust.study.study import Study

METHODS = "grad,gradcam,xrai,guided_gradcam"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module", autouse=True)
def tiny(tiny_profile):
    with tiny_profile(train=16, val=12, test=24, explained=3, cascaded=2):
        yield


@pytest.fixture
def study(store):
    return Study("phantom-pneumothorax", "tiny", store=store)


def kinds(store):
    return {kind.name: len(list(kind.glob("[!.]*"))) for kind in store.root.iterdir() if kind.name != ".locks"}


def test_localization_is_tidy_and_has_its_controls(study):
    frame = study.criteria.localization(METHODS)
    assert list(frame.columns) == ["image", "method", "model", "auprc"]
    assert not frame.duplicated(["image", "method", "model"]).any()
    assert set(frame["model"]) == {*study.networks.judged, "control", "unet-1", "unet-2"}
    assert set(frame["method"]) == {*METHODS.split(","), *CONTROLS, "average", "unet"}
    assert frame.groupby(["method", "model"]).size().eq(3).all()
    assert frame["auprc"].between(0, 1).all()
    test = study.images.split("test")
    truth = test.truth[study.images.explained[0]]
    first = frame.query("method == 'grad' and model == @study.networks.main").iloc[0]
    expected = average_precision(np.abs(study.maps.raw("grad").values[0]).sum(axis=0), truth)
    assert first["auprc"] == pytest.approx(expected, abs=1e-9)
    constant = frame.query("method == 'constant'").iloc[0]
    assert constant["auprc"] == pytest.approx(truth.mean())


def test_maps_are_made_for_images_with_the_finding(study):
    test = study.images.split("test")
    assert len(study.images.explained) == 3
    assert (test.labels[list(study.images.explained)] == 1).all()
    assert study.images.cascaded == (study.images.explained[0], study.images.explained[-1])


def test_the_cascade_follows_every_stage_and_starts_from_the_trained_maps(study, store):
    frame = study.criteria.sensitivity("grad,gradcam")
    assert set(frame["stage"]) == set(study.networks.stages)
    assert len(study.networks.stages) == 13
    assert frame["image"].nunique() == 2
    assert frame["ssim"].between(-1, 1).all()
    before = kinds(store)
    study.criteria.sensitivity("grad,gradcam")
    assert kinds(store) == before
    assert list(study.maps.cascade_display("grad")) == ["original", *study.networks.stages]


def test_each_trained_network_has_a_cascade_of_its_own(store, monkeypatch):
    monkeypatch.setitem(PROFILES, "three", replace(PROFILES["tiny"], name="three", replicates=3))
    study = Study("phantom-pneumothorax", "three", store=store)
    maps, cascaded = study.maps, study.images.cascaded
    frame = study.criteria.of("randomization", "grad")
    drawn = []
    for number, network in enumerate(study.networks.replicates, start=1):
        random = maps.cascade("grad", network)["stem"]
        drawn.append(random.randomization.seed)
        expected = ssim(
            maps.display("grad", network, cascaded), maps.displayed(random), **study.protocol.likeness("ssim")[1]
        )
        np.testing.assert_allclose(frame[frame["replicate"] == number]["ssim"], expected, atol=1e-6)
    assert len(set(drawn)) == len(frame["replicate"].unique()) == 3
    explained = [maps.before_cascade("grad", network).images for network in study.networks.replicates]
    assert explained == [study.images.explained, study.images.explained, cascaded]  # of the third, no more than needed
    cell = study.verdicts("grad", n_boot=50).query("criterion == 'randomization'").iloc[0]
    assert cell["value"] == pytest.approx(frame["ssim"].mean())
    assert (frame.groupby("replicate")["ssim"].mean().nunique()) == 3


def test_the_cascade_ends_where_the_protocol_says(study):
    compare = CRITERIA["randomization"].compare
    ends = {
        name: compare(study.maps, protocol, "grad").values[0].second.randomization.stage
        for name, protocol in PROTOCOLS.items()
    }
    assert ends == {"corrected": "stem", "published": "Mixed_5c", "as_run": "Mixed_5c"}
    random = study.maps.artefact("grad", study.networks.random)
    assert random.randomization.stage == "stem"  # whatever the protocol, no weight of a random network is trained


def test_comparisons_are_of_the_compared_images(study, monkeypatch):
    few = study.images.explained[::2]
    monkeypatch.setattr(study.images, "compared", few)
    for name in ("repeatability", "reproducibility"):
        compared = CRITERIA[name].compare(study.maps, study.protocol, "grad")
        (values,), (surrogates, different) = compared.values, compared.low
        assert images_of(values) == images_of(surrogates.scores) == few
        assert {values.first.images[i] for pair in different.scores.pairs for i in pair} == set(few)
        assert images_of(CRITERIA[name].beside(study.maps, study.protocol)["unet"]) == few
    utility = CRITERIA["utility"].compare(study.maps, study.protocol, "grad")
    assert images_of(utility.values[0]) == study.images.explained


def test_stability_compares_the_same_images_of_two_models(study):
    for frame, other in (
        (study.criteria.stability("grad")["repeatability"], "inception_v3-2"),
        (study.criteria.stability("grad")["reproducibility"], "densenet121-1"),
    ):
        assert set(frame["model"]) == {f"{study.networks.main} ~ {other}", "unet-1 ~ unet-2"}
        assert frame.groupby("method")["image"].nunique().eq(3).all()
    pairs = study.criteria.thresholds("grad")
    assert len(pairs) == 3  # all pairs of three images


def test_similarity_has_its_controls(study):
    null = study.criteria.null("grad,gradcam", study.networks.replicate)
    assert list(null.columns) == ["image", "method", "model", "ssim"]
    assert null.groupby("method")["image"].nunique().eq(3).all()
    assert set(null["method"]) == {"grad", "gradcam", "unet"}
    maps, other = study.maps.display("grad"), study.maps.display("grad", study.networks.replicate)
    rng = np.random.default_rng(np.random.SeedSequence(study.seed, spawn_key=(study.images.explained[1], 0)))
    settings = study.protocol.likeness("ssim")[1]
    expected = ssim(maps[1:2], surrogate(other[1], rng)[None], **settings)
    assert null.query("method == 'grad'")["ssim"].iloc[1] == pytest.approx(expected[0], abs=1e-12)
    contrary = study.criteria.other_class("grad,gradcam")
    assert contrary["image"].nunique() == 2
    assert contrary.query("method == 'grad'")["ssim"].to_numpy() == pytest.approx(1)  # the same but for its sign


def test_controls_agree_with_themselves_whatever_the_network(study):
    verdicts = study.verdicts(",".join(CONTROLS), n_boot=50).set_index(["criterion", "baseline"])
    assert verdicts.loc[
        [("repeatability", "low"), ("randomization", "threshold")], "value"
    ].to_numpy() == pytest.approx(1)
    assert verdicts.loc["randomization", "verdict"].eq("FAIL").all()


def test_the_low_baseline_is_one_number_or_the_stricter_of_two_that_are_measured(study):
    compare = CRITERIA["reproducibility"].compare
    surrogates, different = compare(study.maps, study.protocol, "grad").low
    assert (surrogates.name, surrogates.paired) == ("surrogates", True)
    assert (different.name, different.paired) == ("different images", False)
    np.testing.assert_array_equal(study.store.get(different.scores), study.criteria.thresholds("grad")["ssim"])
    (fixed,) = compare(study.maps, PROTOCOLS["published"], "grad").low
    assert (fixed.name, fixed.scores) == ("0.5", 0.5)
    verdicts = study.verdicts("grad,gradcam", n_boot=50).query("baseline == 'low'")
    means = {name: study.criteria.null("grad,gradcam", other) for name, other in study.criteria.partners.items()}
    means = {name: frame.groupby("method")["ssim"].mean() for name, frame in means.items()}
    between = study.criteria.thresholds("grad,gradcam").groupby("method")["ssim"].mean()
    for row in verdicts.itertuples():
        both = {"surrogates": means[row.criterion][row.method], "different images": between[row.method]}
        assert row.against == max(both, key=both.get)
        assert row.reference == pytest.approx(max(both.values()))
    low = study.criteria.low_baselines("repeatability", "grad,gradcam").pivot(
        index="method", columns="baseline", values="mean"
    )
    np.testing.assert_allclose(low["surrogates"], means["repeatability"][low.index])
    np.testing.assert_allclose(low["different images"], between[low.index])


def test_as_run_takes_the_average_box_from_the_test_set(store):
    for protocol, splits in (("as_run", ["test"]), ("published", ["train", "val"])):
        study = Study("phantom-pneumonia", "tiny", protocol, store=store)
        images = [study.images.split(split) for split in splits]
        masks = np.concatenate([split.truth[split.labels == 1] for split in images])
        np.testing.assert_allclose(study.maps.average(), masks.mean(axis=0), atol=1e-6)


def test_verdicts_have_the_promised_columns_and_agree_with_their_numbers(study):
    verdicts = study.verdicts("grad,gradcam", n_boot=200)
    assert {"method", "criterion", "baseline", "value", "reference", "verdict"} <= set(verdicts.columns)
    cells = verdicts.groupby("method").apply(lambda rows: list(zip(rows["criterion"], rows["baseline"], strict=True)))
    expected = [
        ("utility", "average"),
        ("utility", "localizer"),
        ("randomization", "threshold"),
        ("repeatability", "low"),
        ("repeatability", "localizer"),
        ("reproducibility", "low"),
        ("reproducibility", "localizer"),
    ]
    assert all(cell == expected for cell in cells)
    better = np.where(verdicts["criterion"] == "randomization", verdicts["ci_high"] < 0, verdicts["ci_low"] > 0)
    assert ((verdicts["verdict"] == "PASS") == better).all()


def test_examples_answer_each_question_twice(study):
    examples = study.examples("grad,gradcam")
    assert len(examples) == 8
    assert {(e.criterion, e.answer) for e in examples} == {
        (criterion, answer) for criterion in CRITERIA for answer in ("best", "worst")
    }
    assert all(e.first.shape == e.second.shape == e.truth.shape for e in examples)


def test_a_change_of_scoring_recomputes_no_map(study, store, monkeypatch):
    study.criteria.localization("grad")
    before = kinds(store)
    trapezoid = replace(PROTOCOLS["corrected"], name="trapezoid", auprc="trapezoid")
    monkeypatch.setitem(PROTOCOLS, "trapezoid", trapezoid)
    frame = Study("phantom-pneumothorax", "tiny", "trapezoid", store=store).criteria.localization("grad")
    after = kinds(store)
    assert after.pop("localization_scores") > before.pop("localization_scores")
    assert after == before
    assert frame.query("method == 'constant'")["auprc"].mean() > 0.5


@pytest.mark.parametrize("protocol", ["published", "as_run"])
def test_the_named_protocols_run(store, protocol):
    study = Study("phantom-pneumothorax", "tiny", protocol, store=store)
    verdicts = study.verdicts(METHODS, n_boot=50)
    assert len(verdicts) == 4 * 7
    assert np.isfinite(verdicts[["value", "reference"]]).all(axis=None)
    sign = np.where(verdicts["criterion"] == "randomization", -1, 1)
    assert ((verdicts["verdict"] == "PASS") == (sign * verdicts["difference"] > 0)).all()


def test_a_control_that_is_asked_for_is_not_there_twice(study):
    frame = study.criteria.localization("grad,constant,sobel")
    assert not frame.duplicated(["image", "method", "model"]).any()
    assert set(frame.query("method == 'constant'")["model"]) == {*study.networks.judged, "control"}
    assert set(frame.query("method == 'centre'")["model"]) == {"control"}


def test_other_scores_of_the_same_maps(study):
    frame = study.criteria.localization("grad", "hit_rate", models=(study.networks.main,))
    assert list(frame.columns) == ["image", "method", "model", "hit_rate"]
    assert set(frame["method"]) == {"grad", *CONTROLS, "average", "unet"}
    truth = study.images.split("test").truth[list(study.images.explained)]
    constant = frame.query("method == 'constant'")["hit_rate"]
    np.testing.assert_allclose(constant, truth.mean((1, 2)))


def test_randomization_in_another_order_and_by_another_score(study):
    down = study.criteria.sensitivity("grad", score="spearman")
    up = study.criteria.sensitivity("grad", "bottom_up", "spearman")
    assert list(up.columns) == ["image", "method", "stage", "replicate", "spearman"]
    assert list(up["stage"].unique()) == list(study.networks.stages[::-1])
    last = {
        order: frame[frame["stage"] == study.networks.stages_in(order)[-1]]["spearman"].to_numpy()
        for order, frame in (("top_down", down), ("bottom_up", up))
    }
    np.testing.assert_allclose(last["top_down"], last["bottom_up"], atol=1e-6)  # all weights random, the same ones
    one = study.criteria.sensitivity("grad", score="spearman", stage=study.networks.stages[3])
    assert one["stage"].unique() == [study.networks.stages[3]]
    assert study.criteria.thresholds("grad", "hog")["hog"].between(-1, 1).all()


def test_complete_methods_keep_what_their_maps_should_add_up_to(study):
    maps = study.maps.raw("ig", baseline="white")
    assert maps.totals.shape == (3,)
    np.testing.assert_allclose(maps.residuals, maps.values.sum((1, 2, 3)) - maps.totals, atol=1e-5)
    assert study.maps.raw("grad").totals is None
    assert not np.array_equal(maps.totals, study.maps.raw("ig").totals)  # another baseline, another total
    faults = study.maps.faults("ig,grad", (study.networks.main,)).set_index("method")
    assert faults.loc["ig", "residual"] > 0
    assert np.isnan(faults.loc["grad", "residual"])


def test_maps_of_some_images_with_other_parameters(study):
    images = study.images.explained[:2]
    maps = study.maps.raw("xrai", images=images, baselines=("black",))
    assert maps.values.shape[:2] == (2, 1)
    np.testing.assert_array_equal(study.maps.raw("grad", images=images).values, study.maps.raw("grad").values[:2])
    assert study.maps.seconds("guided_gradcam", None) == pytest.approx(
        sum(study.maps.seconds(name) for name in ("gradcam", "guided_backprop"))
        + study.store.sidecar(study.maps.artefact("guided_gradcam"))["seconds"]
    )


def test_faults_count_every_map(study):
    faults = study.maps.faults("grad,gradcam")
    assert faults["maps"].eq(3).all()
    assert len(faults) == 2 * 4


def test_names_are_checked():
    assert select("paper") == list(PAPER_EIGHT)
    assert set(select("all")) > set(PAPER_EIGHT)
    assert select("gradcam, gradient, grad")[:2] == ["gradcam", "grad"]
    assert select("gradcam,gradient,grad").count("grad") == 1
    for call, message in (
        (lambda: select("grad,gardcam"), "did you mean 'gradcam'"),
        (lambda: Study("phantom"), "unknown data set 'phantom'"),
        (lambda: Study("phantom-pneumonia", "quik"), "did you mean 'quick'"),
        (lambda: Study("phantom-pneumonia", "tiny").images.split("tests"), "did you mean 'test'"),
        (lambda: Study("phantom-pneumonia", "tiny").networks.trained("resnet-1"), "unknown classifier"),
    ):
        with pytest.raises(SaltrustError, match=message):
            call()


def test_labels_alone_are_refused_before_anything_is_made(tmp_path):
    table = "{file: t.csv, image: i, split: s}"
    card = f"name: bare\nfinding: any\ntruth: none\nget: {{root: .}}\ntable: {table}\nfindings: "
    (tmp_path / "bare.yaml").write_text(f"{card}[a]\n")
    with pytest.raises(SaltrustError, match=r"has labels alone \(truth 'none'\): no map can be judged by them"):
        Study(str(tmp_path / "bare.yaml"), "tiny")
    (tmp_path / "bare.yaml").write_text(f"{card}[a, b]\n")  # whose maps are compared with each other
    assert list(chapters.of(Study(str(tmp_path / "bare.yaml"), "tiny").card)) == ["dataset", "multilabel", "alarm"]


def test_maps_of_another_output_are_other_maps(study):
    spec = study.maps.artefact("grad")
    other = replace(spec, target=1)
    assert spec.target == 0
    assert other.digest != spec.digest
    assert other.title() == f"{spec.title()}, output 1"


def test_a_network_starts_from_the_very_weights_that_its_name_says(tmp_path, monkeypatch):
    """Or what is trained where they are missing, on another node for example, would pass for the other one."""
    file = tmp_path / "weights.pth"
    file.write_bytes(b"weights")
    there = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setattr(classifiers, "imagenet_weights", lambda architecture: file)
    assert _named_weights("densenet121", there) == file
    assert _named_weights("densenet121", None) is None
    with pytest.raises(SaltrustError, match=r"SHA-256 cafe.*here there are others"):
        _named_weights("densenet121", "cafe")
    monkeypatch.setattr(classifiers, "imagenet_weights", lambda architecture: None)
    with pytest.raises(SaltrustError, match=r"here there are none; put their file in \$SALTRUST_WEIGHTS"):
        _named_weights("densenet121", there)
