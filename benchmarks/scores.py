"""Scores beside scikit-learn and scikit-image."""

import numpy as np
from skimage.metrics import structural_similarity
from sklearn.metrics import average_precision_score

from benchmarks.harness import BENCHMARKS, Comparison, Size
from benchmarks.inputs import fields, radiographs
from saltrust.methods.preparation import prepare
from saltrust.scores.auprc import average_precision
from saltrust.scores.ssim import ssim


def _maps(size: Size) -> np.ndarray:
    return prepare(fields((size.maps, 1, size.pixels, size.pixels)), "sum_abs", clip=99.0)  # which ties 1 % of pixels


@BENCHMARKS.register("auprc")
def auprc(size: Size) -> Comparison:
    maps = _maps(size)
    truths = [truth for truth in radiographs(8, size.pixels).truth if truth.any()]
    pairs = [(one, truths[i % len(truths)]) for i, one in enumerate(maps)]
    return Comparison(
        work=f"AUPRC of {size.maps} maps of {size.pixels} px",
        beside="scikit-learn",
        ours=lambda: np.array([average_precision(scores, truth) for scores, truth in pairs]),
        theirs=lambda: np.array([average_precision_score(truth.ravel(), scores.ravel()) for scores, truth in pairs]),
        agree=lambda one, other: np.abs(one - other).max() <= 1e-9,
        target=2,
        repeats=size.repeats,
        note="Maps clipped at their 99th percentile, so that values tie. Equal within 1e-9.",
    )


@BENCHMARKS.register("ssim")
def similarity(size: Size) -> Comparison:
    maps = _maps(size)
    others = np.roll(maps, 1, axis=0)
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return Comparison(
        work=f"SSIM of {size.maps} pairs of {size.pixels} px",
        beside="scikit-image",
        ours=lambda: ssim(maps, others, data_range=1.0),
        theirs=lambda: np.array([structural_similarity(a, b, **window) for a, b in zip(maps, others, strict=True)]),
        agree=lambda one, other: np.abs(one - other).max() <= 1e-6,
        target=1.2,
        repeats=size.repeats,
        note="Gaussian window of 11 pixels, population covariance. Equal within 1e-6.",
    )
