"""Findings: each demonstration shows what is known of it, on small networks or on what can be computed by hand."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score

from saltrust.analysis.audit.arun import DRAWS, SSIM_STEPS, TABLE_S1, overlaps, ssim_at, thresholds
from saltrust.analysis.audit.table import FINDINGS
from saltrust.datasets.cells import CellParameters, cell
from saltrust.methods.preparation import prepare
from saltrust.methods.registry import PAPER_EIGHT
from saltrust.models.classifiers import predict


def test_every_finding_says_what_differs_and_has_two_numbers(table):
    assert list(table.index) == list(FINDINGS)
    assert not table["finding"].duplicated().any()
    assert table[["finding", "paper", "text", "code", "measure"]].map(len).gt(3).all(axis=None)
    assert np.isfinite(table[["as_text", "as_code"]]).all(axis=None)


@pytest.mark.parametrize(
    ("name", "as_text", "as_code"),
    [
        ("grid", 1 / 10, 1 / 8),  # 320 pixels, halved five times by convolutions without a margin
        ("functional_relu", 1, 0),  # InceptionV3 has 94 BasicConv2d, each with a call of relu
        ("pole", 1, 0),
        ("divisor", 56 / 55, 1),
        ("same_layers", 8, 2),
        ("axes", 1, -1),
        ("one_film", 51_000, 1),  # 20 of 29, then 21
        ("printed_means", 4, 2),
        ("two_areas", 0.8, 0.796),
    ],
)
def test_what_can_be_known_beforehand(table, name, as_text, as_code):
    assert table.loc[name, "as_text"] == pytest.approx(as_text, abs=1e-5)
    assert table.loc[name, "as_code"] == pytest.approx(as_code, abs=1e-5)


def test_lrp_without_biases_is_input_x_gradient_but_for_captums_on_a_pooling_that_is_no_module(table):
    assert table.loc["functional_pooling", "as_text"] == pytest.approx(1, abs=1e-4)
    assert abs(table.loc["functional_pooling", "as_code"]) < 0.9


def test_a_map_that_marks_nothing_wrong_is_precise_unless_missed_pixels_count_twice(table):
    grades = cell((0, 0), 64, CellParameters(), "CCellP", "black").grades
    assert table.loc["missed", "as_text"] == pytest.approx((grades == 2).sum() / (grades > 0).sum(), abs=1e-5)
    assert table.loc["missed", "as_code"] == pytest.approx(1, abs=1e-5)


def test_larger_images_are_judged_by_the_same_network(study, table):
    own = study.images.split("val")
    scores = predict(study.networks.artefact(study.networks.main).network(study.store.get), own.pixels)[:, 0]
    assert table.loc["validated_large", "as_text"] == ((scores > 0) == own.present).mean()
    assert 0 <= table.loc["validated_large", "as_code"] <= 1
    (larger,) = FINDINGS["validated_large"].maps(study)
    assert (larger.size, larger.count) == (round(64 * 512 / 224), 12)


def test_turned_rectangles_and_resized_truth(table):
    assert table.loc["turned", "as_text"] == table.loc["rim", "as_text"] == 0
    # Of 100,000 places drawn by hand; 200 give it to three standard errors.
    x, y, angle = np.random.default_rng(0).uniform(-1, 1, (3, 100_000))
    turn = np.radians(60 * angle)
    out = np.maximum(np.abs(np.cos(turn) * x + np.sin(turn) * y), np.abs(np.cos(turn) * y - np.sin(turn) * x)) > 1
    assert table.loc["turned", "as_code"] == pytest.approx(out.mean(), abs=3 * np.sqrt(out.mean() / 200))
    assert 0.001 < table.loc["rim", "as_code"] < 0.2


def test_the_class_that_is_explained_is_the_predicted_one(study, table):
    scores = np.array(study.networks.trained().record["test_scores"])[list(study.images.explained)]
    assert table.loc["predicted_class", "as_code"] == (scores < 0).mean()


def test_the_text_s_side_is_the_protocol_s_where_they_agree(study, table):
    utility = study.criteria.localization("smoothgrad,grad,guided_gradcam", models=(study.networks.main,))
    means = utility.groupby("method")["auprc"].mean()
    for name, method in (("squares", "smoothgrad"), ("clipping", "grad"), ("displayed_product", "guided_gradcam")):
        assert table.loc[name, "as_text"] == pytest.approx(means[method])
    assert table.loc["first_layer", "as_text"] == table.loc["displayed_product", "as_text"]


def test_constant_maps_score_the_prevalence_by_steps_and_more_by_straight_lines(study, table):
    share = study.images.split("test").truth[list(study.images.explained)].mean()
    assert table.loc["area", "as_text"] == pytest.approx(share)
    assert table.loc["area", "as_code"] == pytest.approx((1 + share) / 2)


def test_the_ladder_goes_from_the_text_to_the_code(study, table):
    """Against scikit-image, to 1e-9."""
    first, second = (study.maps.raw("grad", model).values for model in (study.networks.main, study.networks.replicate))
    expected = {}
    for name, (preparation, settings) in SSIM_STEPS.items():
        window = (
            {"win_size": settings.size}
            if settings.window == "uniform"
            else {"gaussian_weights": True, "sigma": settings.sigma, "truncate": (settings.size // 2) / settings.sigma}
        )
        pairs = zip(*(prepare(maps, preparation.channels, preparation.clip) for maps in (first, second)), strict=True)
        options = {"data_range": settings.data_range, "use_sample_covariance": settings.sample_covariance}
        expected[name] = np.mean([structural_similarity(one, other, **options, **window) for one, other in pairs])
    found = {name: ssim_at(study, name, ["grad"])["grad"] for name in SSIM_STEPS}
    assert found == pytest.approx(expected, abs=1e-9)
    steps = ["preparation", "window", "data_range"]
    assert list(table.loc[steps[1:], "as_text"]) == list(table.loc[steps[:-1], "as_code"])


def test_statistics_that_are_kept_leave_another_map(table):
    assert table.loc["batchnorm", "as_text"] != table.loc["batchnorm", "as_code"]


def test_the_average_of_test_images_has_seen_the_answers(study, table):
    truth = study.images.split("test").truth
    average = truth[study.images.split("test").present].mean(axis=0)
    scores = [average_precision_score(truth[i].ravel(), average.ravel()) for i in study.images.explained]
    assert table.loc["leak", "as_code"] == pytest.approx(np.mean(scores), abs=1e-9)


def test_clamping_and_signs_count_values(study, table):
    raw = study.maps.raw("grad").values
    assert table.loc["clamping", "as_code"] == pytest.approx((np.abs(raw) > 0.1).mean())
    scaled = np.abs(raw) / np.abs(raw).max(axis=(1, 2, 3), keepdims=True)
    assert table.loc["clamping", "as_text"] == pytest.approx((scaled > 0.1).mean())
    assert 0 < table.loc["signs", "as_text"] < 1


def test_a_t_test_over_resamples_calls_more_pairs_different_the_more_there_are(study, table):
    """By scipy, on means of images that are drawn one resample at a time."""
    scores = study.criteria.localization("paper", models=(study.networks.main,))
    frame = scores[scores["method"].isin(PAPER_EIGHT)].pivot(index="image", columns="method", values="auprc")
    for column, n_boot in (("as_text", 30), ("as_code", 1000)):
        rng = np.random.default_rng(study.seed)
        drawn = [rng.integers(len(frame), size=len(frame)) for _ in range(n_boot)]
        means = {name: [frame[name].to_numpy()[one].mean() for one in drawn] for name in PAPER_EIGHT}
        p = [ttest_rel(means[a], means[b]).pvalue for a, b in combinations(PAPER_EIGHT, 2)]
        assert table.loc["t_test", column] == pytest.approx(np.mean(np.array(p) <= 0.01), abs=1.5 / 28)
    assert table.loc["t_test", "as_code"] > 0.8


def test_what_is_left_out_and_what_a_folder_may_hold(study, table):
    """By the study's own tables of scores, and by scikit-image."""
    scores = {}
    for name, criterion in (("text", "reproducibility"), ("code", "repeatability")):
        frame = study.criteria.stability("paper")[criterion]
        scores[name] = frame[frame["method"].isin(PAPER_EIGHT)]["ssim"].mean()
    assert table.loc["folder", "as_text"] == pytest.approx(scores["text"])
    assert table.loc["folder", "as_code"] == pytest.approx(scores["code"])
    assert scores["text"] != scores["code"]
    first, second = (study.maps.display("gradcam", name) for name in (study.networks.main, study.networks.replicate))
    options = {"data_range": 1.0, "gaussian_weights": True, "use_sample_covariance": False}
    kept = [structural_similarity(*pair, **options) for pair in zip(first[::2], second[::2], strict=True)]
    empty = [structural_similarity(one, np.zeros_like(one), **options) for one in first[1::2]]
    assert table.loc["constant_maps", "as_code"] == pytest.approx(np.mean(kept), abs=1e-9)
    assert table.loc["constant_maps", "as_text"] == pytest.approx(np.mean(kept + empty), abs=1e-9)


def test_the_high_baseline_is_that_of_the_u_net_s_bytes(study, table):
    maps = [study.maps.localizer(k).astype(float) for k in (1, 2)]
    stored = [np.rint(255 * one).astype(np.uint8) for one in maps]
    for column, both, span in (("as_text", maps, 2), ("as_code", stored, 255)):
        options = {"data_range": span, "win_size": 7}
        expected = [structural_similarity(*pair, **options) for pair in zip(*both, strict=True)]
        assert table.loc["high_baseline", column] == pytest.approx(np.mean(expected), abs=1e-9)


def test_the_table_s_deviations_are_equal_and_those_here_are_not(study, table):
    assert table.loc["deviations", "as_text"] == 0
    assert set(TABLE_S1) == set(PAPER_EIGHT)
    differences = []
    for method in PAPER_EIGHT:
        pairs = study.criteria.thresholds(method)["ssim"]
        random = study.criteria.sensitivity(method, stage=study.networks.stages[-1]).query("replicate == 1")["ssim"]
        differences.append(abs(random.std(ddof=0) - pairs.std(ddof=0)))
    assert table.loc["deviations", "as_code"] == pytest.approx(max(differences))
    assert max(differences) > 0


def test_thresholds_are_means_of_pairs_of_different_images(study):
    """Four images make six pairs, fewer than are asked for: every draw is all of them."""
    drawn = thresholds(study, "gradcam")
    assert drawn.shape == (DRAWS,)
    expected = study.criteria.thresholds("gradcam")["ssim"].mean()
    assert drawn == pytest.approx(np.full(DRAWS, expected), abs=1e-12)


def test_overlaps_are_intersections_over_unions():
    first = np.array([[[0, 4], [0, 4]], [[0, 2], [0, 2]], [[0, 2], [0, 2]]], float)
    second = np.array([[[2, 6], [0, 4]], [[0, 2], [0, 2]], [[5, 6], [0, 2]]], float)
    np.testing.assert_allclose(overlaps(first, second), [8 / 24, 1, 0])


def test_boxes_on_a_file_are_scaled_almost_rightly():
    truth = np.zeros((1, 128, 128), bool)
    truth[0, 10:60, 20:90] = True
    split = SimpleNamespace(truth=truth)
    images = SimpleNamespace(split=lambda name: split, explained=(0,))
    _, overlap = FINDINGS["boxes"].demonstrate(SimpleNamespace(images=images, seed=0))
    assert 0.95 < overlap < 1


def test_the_table_is_tidy(table):
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["finding", "paper", "text", "code", "measure", "as_text", "as_code"]
