"""Figures of the statistics say what the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from saltrust.plots import mixed_models as plots


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


MEANS = pd.Series({"xrai": 0.5, "grad": 0.3, "ig": 0.28})
CONTRASTS = pd.DataFrame(
    [("grad", "xrai", -0.2, 0.01), ("grad", "ig", 0.02, 0.6), ("xrai", "ig", 0.22, 0.001)],
    columns=["first", "second", "estimate", "p_adjusted"],
)
LETTERS = {"xrai": "a", "grad": "b", "ig": "b"}


def test_matrix_is_row_minus_column_and_coloured_where_it_differs():
    figure = plots.pairwise_matrix(MEANS, LETTERS, CONTRASTS, alpha=0.05)
    axis = figure.axes[0]
    coloured = np.ma.filled(axis.collections[0].get_array().reshape(3, 3), np.nan)
    np.testing.assert_allclose(coloured, [[np.nan, 0.2, 0.22], [-0.2, np.nan, np.nan], [-0.22, np.nan, np.nan]])
    texts = {text.get_position(): text.get_text() for text in axis.texts}
    assert texts[1.5, 0.5] == "+.20"
    assert texts[0.5, 1.5] == "−.20"
    assert texts[2.5, 1.5] == "+.02"
    assert {"0.50  a", "0.30  b", "0.28  b"} <= set(texts.values())
    assert [label.get_text() for label in axis.get_yticklabels()] == ["XRAI", "GRAD", "IG"]


def test_a_large_matrix_has_colours_but_no_numbers():
    levels = [f"m{i}" for i in range(plots.FITS_NUMBERS + 1)]
    pairs = [(a, b, 0.1, 0.01) for i, a in enumerate(levels) for b in levels[i + 1 :]]
    figure = plots.pairwise_matrix(
        pd.Series(1.0, levels), dict.fromkeys(levels, "a"), pd.DataFrame(pairs, columns=CONTRASTS.columns), alpha=0.05
    )
    assert len(figure.axes[0].texts) == len(levels)


def test_paired_differences_have_both_intervals():
    frame = pd.DataFrame(
        {
            "first": ["grad: trained", "ig: trained"],
            "estimate": [0.1, 0.2],
            "ci_low": [0.0, 0.1],
            "ci_high": [0.2, 0.3],
            "boot_low": [0.05, -np.inf],
            "boot_high": [0.15, np.inf],
        }
    )
    axis = plots.paired_differences({"AUPRC": frame, "SSIM": frame}).axes[0]
    bars, lines = axis.collections
    np.testing.assert_allclose([segment[:, 0] for segment in bars.get_segments()], [[0, 0.2], [0.1, 0.3]])
    np.testing.assert_allclose(lines.get_segments()[0][:, 0], [0.05, 0.15])
    np.testing.assert_allclose(axis.lines[0].get_xydata(), [[0.1, 0], [0.2, 1]])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["GRAD", "IG"]
    assert axis.get_xlabel() == "AUPRC"


def test_residuals_stand_above_their_quantiles():
    rng = np.random.default_rng(0)
    fitted, residuals = rng.random(50), rng.normal(0, 0.1, 50)
    figure = plots.residual_checks({"utility": (fitted, residuals), "randomization": (fitted, residuals)})
    above, below = figure.axes[0], figure.axes[2]
    np.testing.assert_allclose(above.collections[0].get_offsets(), np.c_[fitted, residuals])
    np.testing.assert_allclose(below.lines[0].get_ydata(), np.sort(residuals / residuals.std()))
    assert above.get_title() == "utility"
