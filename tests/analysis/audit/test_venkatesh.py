"""Findings about the study of radiologists: on what can be computed by hand, and against other implementations."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.stats import tukey_hsd
from skimage import measure
from skimage.draw import polygon2mask
from skimage.filters import threshold_otsu
from skimage.measure import regionprops
from skimage.morphology import disk
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score
from torch import nn

from saltrust.analysis.audit import venkatesh
from saltrust.analysis.audit.table import FINDINGS
from saltrust.analysis.audit.venkatesh import (
    AREA,
    NOTCHED,
    areas,
    flattened,
    least_difference,
    outputs,
)
from saltrust.artefacts.maps import RawMaps
from saltrust.core import data_cards
from saltrust.datasets.bones.parameters import BonesParameters
from saltrust.methods.explained import Explained
from saltrust.methods.preparation import prepare
from saltrust.methods.registry import VENKATESH_SIX
from saltrust.models.architectures import Stage
from saltrust.models.classifiers import predict
from saltrust.models.randomization import randomized

SEEDED = SimpleNamespace(seed=0)


def found(name, study=SEEDED):
    return FINDINGS[name].demonstrate(study)


# --- networks ---------------------------------------------------------------------------------------------------------


def test_areas_are_those_of_sklearn_and_networks_are_equally_good():
    present, scores = outputs(np.random.default_rng(1), 4000, 3)
    assert areas(present, scores) == pytest.approx([roc_auc_score(present, one) for one in scores], abs=1e-12)
    assert areas(present, scores) == pytest.approx([AREA] * 3, abs=0.025)  # four standard errors
    healthy = scores[:, ~present]
    assert np.corrcoef(healthy)[0, 1] == pytest.approx(venkatesh.ALIKE, abs=0.02)


def test_choosing_on_the_test_set_gains_what_the_largest_of_normal_numbers_lies_above_their_mean():
    """The spread of the areas by DeLong's components, of outputs that share nothing but their correlation."""
    by_validation, by_test = found("chosen_on_test")
    spreads = []
    for seed in range(5):
        present, scores = outputs(np.random.default_rng(100 + seed), venkatesh.TEST_FILMS, venkatesh.CHECKPOINTS)
        spreads.append(areas(present, scores).std())
    largest = np.random.default_rng(0).standard_normal((4000, venkatesh.CHECKPOINTS)).max(axis=1).mean()
    assert by_test == pytest.approx(largest * np.mean(spreads), rel=0.15)
    assert abs(by_validation) < by_test / 4


def test_the_least_difference_is_where_tukey_s_p_is_one_in_twenty():
    rng = np.random.default_rng(0)
    groups = rng.standard_normal((3, 5000))
    groups -= groups.mean(axis=1, keepdims=True)
    groups[0] += least_difference(groups)
    p = tukey_hsd(*groups).pvalue
    assert p[0, 1] == pytest.approx(0.05, abs=1e-3)
    assert p[1, 2] == pytest.approx(1)


def test_equal_networks_are_called_different_by_resamples_and_seldom_by_intervals():
    by_interval, by_tukey = found("bootstrap_values")
    assert by_interval <= 0.2
    assert by_tukey >= 0.5


# --- what they see ----------------------------------------------------------------------------------------------------


def test_a_squeezed_film_holds_the_image_flattened_between_its_borders():
    rows = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[:, None], 64, axis=1)
    columns = rows.T
    across, along = flattened(np.stack([rows, columns]))
    inner = round(64 * 400 / 512)
    above = (64 - inner) // 2
    assert (across[: above + 1] == across[0]).all()
    assert (across[above + inner - 1 :] == across[-1]).all()
    steps = np.diff(across[above + 2 : above + inner - 2, 0].astype(int))
    assert steps.mean() == pytest.approx(255 / 63 * 512 / 400, rel=0.02)  # steeper by how much flatter it is
    np.testing.assert_allclose(along, columns, atol=1)  # nothing changes from left to right
    assert flattened(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 64, 64, 3)


def test_a_deep_network_with_torch_s_weights_gives_every_image_the_same_output(monkeypatch):
    """Of sixty convolutions with batch normalization; InceptionV3 has 94."""
    blocks = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(60)]
    network = nn.Sequential(nn.Conv2d(3, 8, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1)).eval()
    stages = [Stage("all", tuple(str(k) for k in range(len(network))))]
    images = torch.rand((5, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    images[0] = 0
    totals = {"ig": np.ones(4)}
    for init in ("truncated_normal", "torch_default"):
        blank, *others = Explained(randomized(network, stages, init, 0, "reset")).scalars(images).tolist()
        totals[init] = np.array(others) - blank
    maps = {name: RawMaps(None, values) for name, values in totals.items()}
    monkeypatch.setattr(venkatesh, "_random_states", lambda study: [*totals][1:])
    study = SimpleNamespace(maps=SimpleNamespace(raw=maps.__getitem__), store=SimpleNamespace(get=maps.__getitem__))
    assert found("dead_networks", study) == (0, 1)


def test_classes_are_predicted_from_squeezed_images(study, table):
    network = study.networks.trained()
    pixels = study.networks.test().pixels[list(study.images.explained)]
    scores = np.array(network.record["test_scores"])[list(study.images.explained)]
    classifier = study.networks.artefact(study.networks.main)
    squeezed = predict(classifier.network(study.store.get), flattened(pixels), input_range=classifier.input_range)[:, 0]
    assert table.loc["squeezed", "as_code"] == ((scores >= 0) != (squeezed >= 0)).mean()
    assert table.loc["squeezed", "as_text"] == 0


# --- masks ------------------------------------------------------------------------------------------------------------


def test_a_box_loses_its_corners():
    assert found("corners") == (1, pytest.approx(0.88, abs=0.005))


def test_outlines_are_filled_across_their_dent():
    (points,) = NOTCHED.parts
    exact = polygon2mask((320, 320), np.array(points)[:, ::-1]).sum()
    dent = 80 * 180
    as_text, as_code = found("convex_fill")
    assert as_text == 1
    assert as_code == pytest.approx((exact + dent) / exact, rel=0.02)


def around(saliency):
    """Boxes around the parts above Otsu's threshold, by scikit-image."""
    mask = saliency > threshold_otsu(saliency)
    for part in regionprops(measure.label(mask, connectivity=1)):
        top, left, bottom, right = part.bbox
        mask[top:bottom, left:right] = True
    return mask


def by_hand(saliency):
    """These, opened: maps of 64 pixels by a disk of 2, twice."""
    eroded = binary_erosion(binary_erosion(around(saliency), disk(2)), disk(2))
    return binary_dilation(binary_dilation(eroded, disk(2)), disk(2))


def trapezoid(scores, truth):
    precision, recall, _ = precision_recall_curve(truth.ravel(), scores.ravel())
    return auc(recall, precision)


@pytest.fixture(scope="module")
def maps(study):
    """By method and network, maps of 64 x 64 pixels in [0, 1], cut at the 99th percentile but for XRAI and edges."""
    found = {}
    for method in (*VENKATESH_SIX, "canny"):
        for network in (study.networks.main, study.networks.replicate):
            clip = None if method in ("xrai", "canny") else 99
            channels = "sum" if method == "xrai" else "sum_abs"  # its regions may have negative values, which stay low
            found[method, network] = prepare(study.maps.raw(method, network).values, channels, clip)
    return found


def test_masks_on_a_study_are_those_of_scikit_image(study, table, maps):
    main, replicate = study.networks.main, study.networks.replicate
    pairs = [pair for m in VENKATESH_SIX for pair in zip(maps[m, main], maps[m, replicate], strict=True)]
    overlaps = []
    for first, second in (map(by_hand, pair) for pair in pairs):
        either = (first | second).sum()
        overlaps.append((first & second).sum() / either if either else np.nan)
    assert table.loc["dropped_pairs", "as_text"] == pytest.approx(np.nansum(overlaps) / len(overlaps))
    assert table.loc["dropped_pairs", "as_code"] == pytest.approx(np.nanmean(overlaps))
    grad = maps["grad", main]
    both = [((a > 0) & (b > 0)).sum() / ((a > 0) | (b > 0)).sum() for a, b in pairwise(grad)]
    assert table.loc["raw_overlap", "as_code"] == pytest.approx(np.mean(both))
    assert table.loc["raw_overlap", "as_code"] > 0.9 > table.loc["raw_overlap", "as_text"]


def test_edges_and_verdicts_on_a_study_are_those_of_scikit_learn(study, table, maps):
    main, truth = study.networks.main, study.images.split("test").truth[list(study.images.explained)]
    edges = [around(one) for one in maps["canny", main]]
    kept = np.mean([trapezoid(*pair) for pair in zip(edges, truth, strict=True)])
    assert table.loc["kept_edges", "as_code"] == pytest.approx(kept)
    cleaned = np.mean([trapezoid(by_hand(one), there) for one, there in zip(maps["canny", main], truth, strict=True)])
    assert table.loc["kept_edges", "as_text"] == pytest.approx(cleaned)
    of_edges = np.mean([trapezoid(*pair) for pair in zip(maps["canny", main], truth, strict=True)])
    passed = []
    for change, least in (
        (lambda one: one, of_edges),
        (lambda one: one * (one > threshold_otsu(one)), of_edges),
        (by_hand, kept),
    ):
        for method in VENKATESH_SIX:
            areas = [trapezoid(change(one), there) for one, there in zip(maps[method, main], truth, strict=True)]
            passed.append(np.mean(areas) > least)
    assert table.loc["overwritten", "as_code"] == np.mean(np.array(passed) != passed[-1])


def test_boxes_that_are_deleted_are_counted(study, table, maps):
    boxes = deleted = 0
    for one in maps["ig", study.networks.main]:
        for part in regionprops(measure.label(around(one), connectivity=1)):
            boxes += 1
            deleted += not by_hand(one)[tuple(part.coords.T)].any()
    assert table.loc["opening", "as_code"] == pytest.approx(deleted / boxes)


# --- readers ----------------------------------------------------------------------------------------------------------


def test_readers_agree_with_a_consensus_that_holds_them_as_the_study_s_do():
    pairwise, consensus = found("own_consensus")
    assert pairwise == pytest.approx(0.388, abs=0.08)  # of the study's, on 588 films; here on few
    assert consensus == pytest.approx(0.613, abs=0.08)
    overlaps = []
    for masks in venkatesh._readings(0):
        for a, b in ((0, 1), (0, 2), (1, 2)):
            either = (masks[a] | masks[b]).sum()
            overlaps.append((masks[a] & masks[b]).sum() / either if either else 1.0)
    assert pairwise == pytest.approx(np.mean(overlaps))


def test_readers_are_those_of_the_phantom():
    parameters = BonesParameters.of(**data_cards.load("phantom-bones").parameters)
    drew = np.array([masks.any(axis=(1, 2)) for masks in venkatesh._readings(0)])
    assert len(drew) <= venkatesh.READ
    assert (1 - drew.mean(axis=0)) == pytest.approx(parameters.miss, abs=0.15)


def test_an_empty_map_is_ahead_of_the_worst_method():
    as_text, as_code = found("nothing")
    truth = np.array([masks.sum(axis=0) >= 2 for masks in venkatesh._readings(0)])
    expected = (1 + truth.mean(axis=(1, 2))) / 2
    assert [trapezoid(np.zeros(one.shape), one) for one in truth[:3]] == pytest.approx(expected[:3])
    assert as_code == pytest.approx(expected.mean())
    assert as_text == 0.438 < as_code
