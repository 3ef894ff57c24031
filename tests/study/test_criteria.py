"""Which maps are compared with which."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from saltrust.artefacts.maps import LocalizerMaps
from saltrust.core.protocols import PROTOCOLS
from saltrust.study.criteria import different_pairs, localization, similarity
from saltrust.study.examples import extremes


@pytest.mark.parametrize(("n", "count", "expected"), [(30, 50, 50), (4, 50, 6), (2, 50, 1)])
def test_pairs_are_distinct_and_of_different_images(n, count, expected):
    pairs = different_pairs(n, count, seed=0)
    assert len(set(pairs)) == len(pairs) == expected
    assert all(0 <= i < j < n for i, j in pairs)
    assert pairs == different_pairs(n, count, seed=0)


def test_another_seed_draws_other_pairs_evenly():
    assert different_pairs(30, 50, seed=0) != different_pairs(30, 50, seed=1)
    assert different_pairs(30, 50, seed=(0, 7)) != different_pairs(30, 50, seed=(0, 8))
    drawn = np.bincount(np.array([different_pairs(10, 9, seed) for seed in range(200)]).ravel(), minlength=10)
    assert drawn.min() > 0.8 * drawn.mean()


def test_extremes_know_which_end_is_good():
    frame = pd.DataFrame({"image": ["a", "b", "c"], "ssim": [0.2, 0.9, 0.5]})
    assert [(answer, row["image"]) for answer, row in extremes(frame, "ssim", larger=True)] == [
        ("best", "b"),
        ("worst", "a"),
    ]
    assert [(answer, row["image"]) for answer, row in extremes(frame, "ssim", larger=False)] == [
        ("best", "a"),
        ("worst", "b"),
    ]


def heat_maps(kind: str) -> tuple[LocalizerMaps, dict[object, np.ndarray]]:
    """Two localizers' maps as far as scores ask for them, and what the store would hold."""
    rng = np.random.default_rng(0)
    images = SimpleNamespace(size=32)
    maps = tuple(LocalizerMaps(SimpleNamespace(localizer=kind, seed=seed), images, (0, 1)) for seed in (0, 1))
    smooth = [gaussian_filter(rng.random((2, 1, 32, 32)), (0, 0, 2, 2)) ** 8 for _ in maps]  # many pixels below 1/510
    return maps, {id(one): values.astype(np.float32) for one, values in zip(maps, smooth, strict=True)}


@pytest.mark.parametrize("kind", ["unet", "retinanet"])
@pytest.mark.parametrize("protocol", ["published", "as_run", "corrected"])
def test_a_localizer_s_likeness_is_that_of_its_bytes_or_floats(protocol, kind):
    """scikit-image on what the paper's scripts read: the U-Net's bytes, range 255; other maps are floats."""
    p = PROTOCOLS[protocol]
    maps, held = heat_maps(kind)
    found = similarity(*maps, p).compute(lambda one: held[id(one)])
    first, second = (held[id(one)][:, 0].astype(float) for one in maps)
    span = p.ssim.data_range
    if protocol != "corrected" and kind == "unet":
        first, second, span = np.rint(first * 255).astype(np.uint8), np.rint(second * 255).astype(np.uint8), 255
    settings = {"win_size": p.ssim.size, "gaussian_weights": p.ssim.window == "gaussian", "data_range": span}
    settings["use_sample_covariance"] = p.ssim.sample_covariance
    expected = [structural_similarity(a, b, **settings) for a, b in zip(first, second, strict=True)]
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_localizer_s_utility_is_that_of_its_bytes():
    """Below 1/510 a byte is 0: such pixels tie, whatever the float said. AUPRC from scikit-learn."""
    truth = np.zeros((2, 32, 32), bool)
    truth[:, 4:20, 6:22] = True
    (maps, _), held = heat_maps("unet")
    values = held[id(maps)][:, 0].astype(float)
    held[id(maps.data)] = SimpleNamespace(require_truth=lambda: truth)

    def expected(protocol: str) -> list[float]:
        shown = values if protocol == "corrected" else np.rint(values * 255)
        pairs = zip(shown, truth, strict=True)
        if protocol == "corrected":
            return [average_precision_score(t.ravel(), v.ravel()) for v, t in pairs]
        return [auc(*precision_recall_curve(t.ravel(), v.ravel())[1::-1]) for v, t in pairs]

    for protocol in PROTOCOLS:
        found = localization(maps, PROTOCOLS[protocol]).compute(lambda one: held[id(one)])
        assert found == pytest.approx(expected(protocol), abs=1e-9)
    floats = localization(maps, replace(PROTOCOLS["published"], eight_bit=())).compute(lambda one: held[id(one)])
    assert np.abs(floats - expected("published")).max() > 1e-3  # so the choice is seen
