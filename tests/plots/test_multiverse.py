"""Figures of the specification curve say what its rows say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgba

from saltrust.analysis.multiverse.effects import effects, flip_rates, verdict_shares
from saltrust.analysis.multiverse.factors import FACTORS
from saltrust.core.outcomes import OUTCOMES
from saltrust.plots.multiverse import (
    PROTOCOL_MARKS,
    choice_bars,
    share_matrix,
    sorted_curves,
    specification_curve,
)
from saltrust.plots.style import FAIL, OUTCOME_COLOURS, PASS


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture
def curve():
    """Two methods and criteria, two choices; as_run stands outside the grid."""
    rows = []
    for method, criterion, height in (
        ("grad", "utility", 0.1),
        ("grad", "randomization", -0.2),
        ("ig", "utility", 0.0),
        ("ig", "randomization", 0.3),
    ):
        sign = -1 if criterion == "randomization" else 1
        for k, (scalar, clip) in enumerate((s, c) for s in ("logit", "argmax") for c in ("none", "99th")):
            difference = height + 0.1 * (k % 2) - 0.02 * k
            rows.append({"scalar": scalar, "clip": clip, "difference": difference, "in_grid": True, "protocol": ""})
            rows[-1] |= {"method": method, "criterion": criterion, "sign": sign}
        rows[-2]["protocol"] = "corrected, published"
        rows.append(rows[-1] | {"in_grid": False, "protocol": "as_run", "difference": height, "scalar": "", "clip": ""})
    frame = (
        pd.DataFrame(rows).reindex(columns=[*rows[0], *(name for name in FACTORS if name not in rows[0])]).fillna("")
    )
    gap = (frame["sign"] * frame["difference"]).round(9)
    frame["verdict"] = np.select([gap > 0.05, gap <= -0.05], ["PASS", "FAIL"], "UNDECIDED")
    assert set(frame["verdict"]) == set(OUTCOMES)
    return frame.assign(ci_low=frame["difference"] - 0.05, ci_high=frame["difference"] + 0.05)


def marks(axis):
    """(marker, x, y, verdict) of the named protocols, the verdict as the mark is filled."""
    said = {("full", True): "PASS", ("left", True): "UNDECIDED", ("full", False): "FAIL"}
    return [
        (
            line.get_marker(),
            line.get_xdata()[0],
            line.get_ydata()[0],
            said[line.get_fillstyle(), line.get_mfc() == line.get_mec()],
        )
        for line in axis.lines
        if line.get_marker() in PROTOCOL_MARKS.values()
    ]


def dots(axis):
    return axis.collections[-1]


def test_the_matrix_shows_each_share_and_the_named_verdicts(curve):
    shares = verdict_shares(curve)
    (axis,) = share_matrix(shares, curve).axes
    expected = [
        text
        for passed, undecided in zip(shares["PASS"].to_numpy().flat, shares["UNDECIDED"].to_numpy().flat, strict=True)
        for text in (f"{passed:.0%}", *([f"{undecided:.0%} undecided"] if undecided else []))
    ]
    assert [text.get_text() for text in axis.texts] == expected
    assert any("undecided" in text for text in expected)
    np.testing.assert_allclose(axis.images[0].get_array(), shares["PASS"] - shares["FAIL"])
    assert to_hex(axis.images[0].to_rgba(np.array([[1.0]]))[0, 0]) == PASS
    assert to_hex(axis.images[0].to_rgba(np.array([[-1.0]]))[0, 0]) == FAIL
    assert len(marks(axis)) == 4 * 3
    for (method, criterion), own in curve.groupby(["method", "criterion"]):
        place = shares["PASS"].columns.get_loc(criterion), shares["PASS"].index.get_loc(method)
        said = {mark: verdict for mark, x, y, verdict in marks(axis) if (round(x), round(y)) == place}
        for name, mark in PROTOCOL_MARKS.items():
            assert said[mark] == own[own["protocol"].str.contains(name)]["verdict"].item()


def test_curves_are_sorted_coloured_by_verdict_and_marked(curve):
    figure = sorted_curves(curve)
    assert len(figure.axes) == 4
    own = curve[(curve["method"] == "grad") & (curve["criterion"] == "randomization")]
    axis = figure.axes[1]
    crossed = own[own["in_grid"]].sort_values("difference")
    np.testing.assert_allclose(dots(axis).get_offsets()[:, 1], crossed["difference"])
    colours = [to_rgba(OUTCOME_COLOURS[verdict]) for verdict in crossed["verdict"]]
    np.testing.assert_allclose(dots(axis).get_facecolors(), colours)
    found = {mark: (x, y, verdict) for mark, x, y, verdict in marks(axis)}
    row = own[own["protocol"].str.contains("published")].iloc[0]
    at = (crossed.index.get_loc(row.name) + 0.5) / len(crossed)
    assert found[PROTOCOL_MARKS["published"]][:2] == pytest.approx((at, row["difference"]))
    assert found[PROTOCOL_MARKS["published"]][2] == row["verdict"]
    outside = own[~own["in_grid"]].iloc[0]
    assert found[PROTOCOL_MARKS["as_run"]][1] == outside["difference"]
    assert 0 <= found[PROTOCOL_MARKS["as_run"]][0] <= 1


def test_the_dashboard_shades_the_values_that_are_taken(curve):
    own = curve[(curve["method"] == "ig") & (curve["criterion"] == "utility")]
    rates = flip_rates(effects(curve))["utility"]
    figure = specification_curve(own, rates)
    top, *strips = figure.axes
    assert len(dots(top).get_offsets()) == 4
    order = sorted(("scalar", "clip"), key=lambda name: -rates[name])
    assert [axis.get_ylabel() for axis in strips] == [FACTORS[name].title for name in order]
    crossed = own[own["in_grid"]].sort_values("difference")
    for axis, name in zip(strips, order, strict=True):
        values = [text.get_text() for text in axis.get_yticklabels()]
        taken = np.array([crossed[name] == value for value in values], float)
        np.testing.assert_array_equal(axis.images[0].get_array(), taken)


def test_a_long_dashboard_shows_shares_of_its_stretches(curve):
    own = curve[(curve["method"] == "ig") & (curve["criterion"] == "utility")]
    long = pd.concat([own] * 60, ignore_index=True)
    *_, strip = specification_curve(long, {"scalar": 1.0, "clip": 0.0}).axes
    shares = strip.images[0].get_array()
    assert shares.shape == (2, 80)  # the largest number up to 96 that divides 240
    np.testing.assert_allclose(shares.sum(0), 1)


def test_bars_are_flip_rates_and_diamonds_variances():
    frame = pd.DataFrame(
        [
            ("utility", "scalar", 0.25, 0.5),
            ("utility", "clip", np.nan, np.nan),
            ("utility", "interactions", np.nan, 0.125),
        ],
        columns=["criterion", "choice", "flip_rate", "variance"],
    )
    (axis,) = choice_bars(frame).axes
    assert axis.patches[0].get_width() == 0.25
    np.testing.assert_array_equal(axis.lines[0].get_xdata(), [0.5, np.nan, 0.125])
    assert [text.get_text() for text in axis.texts] == ["–"]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["explained output", "clipping", "all interactions"]
