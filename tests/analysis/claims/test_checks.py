"""The ways to test a claim, on tables that are made up, so that each answer is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from saltrust.analysis.claims.checks import CHECKS

IMAGES = [f"image {i}" for i in range(40)]
NOISE = np.random.default_rng(0).normal(0, 0.05, (40, 4))
SCORES = pd.DataFrame(NOISE + [0.2, 0.3, 0.5, 0.3], index=IMAGES, columns=["grad", "ig", "xrai", "average"])
PAIRS = pd.DataFrame(
    np.random.default_rng(1).normal(0.4, 0.05, (60, 3)),
    columns=["grad", "ig", "xrai"],
    index=[f"pair {i}" for i in range(60)],
)


def evidence(**tables):
    tables = {"utility": SCORES, "threshold": PAIRS} | tables
    return SimpleNamespace(table=tables.__getitem__, n_boot=500, seed=0)


def check(name, *, on=None, **parameters):
    return CHECKS[name](on or evidence(), **parameters)


@pytest.mark.parametrize(
    ("parameters", "agrees"),
    [
        ({"columns": ["xrai"], "than": "average"}, "yes"),
        ({"columns": ["xrai"], "than": "average", "less": True}, "no"),
        ({"columns": ["grad"], "than": "average"}, "no"),
        ({"columns": ["ig"], "than": "average"}, "unclear"),
        ({"columns": ["xrai", "ig"], "than": "average"}, "unclear"),
        ({"columns": ["xrai", "ig", "grad"], "than": "average"}, "no"),
        ({"columns": ["xrai", "ig"], "than": ["ig", "grad"]}, "yes"),
        ({"columns": ["xrai"], "than": 0.4}, "yes"),
        ({"columns": ["grad", "ig"], "than_table": "threshold", "less": True}, "yes"),
        ({"than_table": "threshold"}, "no"),
    ],
)
def test_above(parameters, agrees):
    assert check("above", table="utility", **parameters).agrees == agrees


def test_a_difference_of_the_same_images_is_taken_image_by_image():
    wide = pd.DataFrame({"grad": np.linspace(0, 1, 40), "ig": np.linspace(0, 1, 40) + 0.01}, index=IMAGES)
    paired = check("above", on=evidence(utility=wide), table="utility", columns=["ig"], than="grad")
    assert (paired.estimate, paired.ci_low, paired.ci_high) == pytest.approx((0.01, 0.01, 0.01))
    assert paired.ours == "IG 0.510, compared with 0.500"
    others = evidence(utility=wide, threshold=wide.set_axis([f"pair {i}" for i in range(40)]))
    apart = check("above", on=others, table="utility", columns=["ig"], than="grad", than_table="threshold")
    assert apart.ci_low < -0.05 < 0.05 < apart.ci_high


def test_above_names_those_that_are_not():
    assert check("above", table="utility", than="average").ours == "1 of 3 clearly; the other way: GRAD; unclear: IG"


@pytest.mark.parametrize(
    ("than", "agrees", "bounds"),
    [(0.25, "yes", (2 / 3, 2 / 3)), (0.4, "no", (1 / 3, 1 / 3)), ("average", "unclear", (1 / 3, 2 / 3))],
)
def test_most_counts_those_beyond_doubt(than, agrees, bounds):
    outcome = check("most", table="utility", than=than)
    assert outcome.agrees == agrees
    assert (outcome.ci_low, outcome.ci_high) == pytest.approx(bounds)


@pytest.mark.parametrize(
    ("column", "lowest", "among", "agrees"),
    [
        ("xrai", False, None, "yes"),
        ("grad", True, None, "yes"),
        ("ig", False, None, "no"),
        ("ig", False, ["grad", "ig"], "yes"),
        ("ig", False, ["ig", "average"], "unclear"),
    ],
)
def test_highest(column, lowest, among, agrees):
    assert check("highest", table="utility", column=column, among=among, lowest=lowest).agrees == agrees


def test_highest_names_the_first_and_the_one_that_was_to_be():
    ours = check("highest", table="utility", column="grad").ours
    means = SCORES.mean()
    assert ours == f"XRAI {means['xrai']:.3f}, then GRAD {means['grad']:.3f}"


def test_no_difference_needs_more_than_an_interval_that_holds_zero():
    gaps = np.tile([-1.0, 1.0], 20)
    frame = pd.DataFrame({"ig": gaps, "grad": 0.0}, index=IMAGES)
    assert check("same", on=evidence(utility=frame), table="utility", columns=["ig"], than="grad").agrees == "yes"
    few = evidence(utility=frame[:6])  # the interval still holds 0, but is wider than half an SD
    assert check("same", on=few, table="utility", columns=["ig"], than=0.0).agrees == "unclear"
    assert check("same", table="utility", columns=["ig", "xrai"], than="average").agrees == "no"


@pytest.mark.parametrize(
    ("mean", "sd", "agrees"),
    [(0.5, 0.2, "yes"), (0.6, 0.2, "unclear"), (0.8, 0.2, "no"), (0.5, None, "yes"), (0.6, None, "no")],
)
def test_a_value_is_tested_for_equivalence(mean, sd, agrees):
    outcome = check("value", table="utility", column="xrai", mean=mean, sd=sd)
    assert outcome.agrees == agrees
    assert outcome.estimate == pytest.approx(SCORES["xrai"].mean())


def test_the_area_of_a_localizer_is_that_of_sklearn():
    rng = np.random.default_rng(0)
    present = rng.uniform(size=80) < 0.4
    scores = np.round(rng.normal(size=80) + present, 1)  # with ties
    study = SimpleNamespace(
        images=SimpleNamespace(split=lambda name: SimpleNamespace(present=present)),
        networks=SimpleNamespace(localizer=lambda: SimpleNamespace(record={"test_scores": scores.tolist()})),
    )
    found = CHECKS["localizer_auc"](SimpleNamespace(study=study, n_boot=500, seed=0), mean=0.99)
    assert found.estimate == pytest.approx(roc_auc_score(present, scores), abs=1e-12)
    assert found.ci_low < found.estimate < found.ci_high < 0.99
    assert found.agrees == "no"


def test_ranks_are_those_of_scipy():
    frame = pd.DataFrame([[0.1, 0.4, 0.3, 0.2, 0.5, 0.6, 0.7, 0.8]], columns=[*"abcdefgh"])
    order = dict(zip("abcdefgh", [1, 2, 3, 4, 5, 6, 7, 8], strict=True))
    found = check("ranks", on=evidence(utility=frame), table="utility", values=order)
    assert found.estimate == pytest.approx(spearmanr(frame.iloc[0], list(order.values())).statistic)
    assert found.agrees == "yes"
    reverse = {name: -value for name, value in order.items()}
    assert check("ranks", on=evidence(utility=frame), table="utility", values=reverse).agrees == "no"
    mixed = dict(zip("abcdefgh", [5, 2, 7, 4, 1, 8, 3, 6], strict=True))
    assert check("ranks", on=evidence(utility=frame), table="utility", values=mixed).agrees == "unclear"


@given(st.permutations(range(8)))
def test_the_interval_of_a_rank_correlation_holds_it_and_stays_in_its_range(order):
    frame = pd.DataFrame([order], columns=[*"abcdefgh"])
    values = dict(zip("abcdefgh", range(8), strict=True))
    found = check("ranks", on=evidence(utility=frame), table="utility", values=values)
    assert -1 <= found.ci_low <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.ci_high <= 1


def cells(**verdicts):
    """Table 2 with two comparisons: a verdict for each, "?" where its interval holds 0."""
    rows = [
        (method, criterion, "low", text.strip("?"), -1.0 if "?" in text else 0.5, 1.0)
        for method, texts in verdicts.items()
        for criterion, text in zip(("utility", "randomization"), texts, strict=True)
    ]
    columns = ["method", "criterion", "baseline", "verdict", "ci_low", "ci_high"]
    return SimpleNamespace(verdicts=pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize(
    ("found", "agrees", "ours"),
    [
        (("PASS", "FAIL"), "yes", "2 of 2 cells alike"),
        (("FAIL?", "FAIL"), "unclear", "1 of 2 cells alike; here GRAD FAIL?"),
        (("FAIL?", "PASS"), "no", "0 of 2 cells alike; here GRAD FAIL?, XRAI PASS"),
    ],
)
def test_a_column_of_table_2(found, agrees, ours):
    on = cells(grad=(found[0], "PASS"), xrai=(found[1], "PASS"))
    outcome = check("verdicts", on=on, criterion="utility", baseline="low", passed=["grad"])
    assert (outcome.agrees, outcome.ours) == (agrees, ours)
    assert (
        check("verdicts", on=on, criterion="randomization", baseline="low", passed=["grad"], among=["grad"]).agrees
        == "yes"
    )


@pytest.mark.parametrize(
    ("grad", "agrees"), [(("PASS", "FAIL"), "yes"), (("PASS", "PASS?"), "unclear"), (("PASS", "PASS"), "no")]
)
def test_none_passes(grad, agrees):
    assert check("none_passes", on=cells(grad=grad, xrai=("FAIL", "FAIL"))).agrees == agrees


@pytest.mark.parametrize(
    ("xrai", "agrees"), [(("FAIL", "PASS"), "yes"), (("FAIL?", "PASS"), "unclear"), (("PASS", "PASS"), "unclear")]
)
def test_most_fail(xrai, agrees):
    outcome = check("most_fail", on=cells(grad=("FAIL", "FAIL"), xrai=xrai))
    assert outcome.agrees == agrees
    assert outcome.ci_low <= outcome.estimate <= outcome.ci_high


@pytest.mark.parametrize(
    ("stopped", "agrees"),
    [
        (["early", "target"], "yes"),
        (["target", "target"], "no"),
        (["early", "early"], "no"),
        (["target", "early"], "no"),
    ],
)
def test_only_one_network_reaches_the_target(stopped, agrees):
    branches = pd.DataFrame({"network": ["vgg16", "resnet34"], "stopped": stopped})
    on = SimpleNamespace(graded=SimpleNamespace(accuracies=lambda: branches))
    assert check("only_reaches_target", on=on, network="resnet34").agrees == agrees


@pytest.mark.parametrize(("first", "below", "rate"), [("deconvolution", "yes", "yes"), ("saliency", "yes", "no")])
def test_roc_curves(first, below, rate):
    second = {"deconvolution": "saliency", "saliency": "deconvolution"}[first]
    slopes = {first: 0.8, second: 0.4}
    rows = [("vgg16", m, t, 0.1 + t / 10, slope * t / 10) for m, slope in slopes.items() for t in (1, 2, 3)]
    on = SimpleNamespace(roc=pd.DataFrame(rows, columns=["network", "method", "threshold", "fpr", "recall"]))
    assert check("roc_below", on=on).agrees == below
    assert check("roc_rate", on=on, method="deconvolution").agrees == rate


@pytest.mark.parametrize(
    ("operation", "of", "stated", "tolerance", "agrees"),
    [
        ("sum", [1, 2, 3], 6, 0, "yes"),
        ("product", [3, 5, 2], 31, 0, "no"),
        ("mean", [0.1, 0.3], 0.2, 1e-9, "yes"),
        ("difference", [0.655, 0.607], 0.047, 0.0015, "yes"),
        ("power", [2, 30], 1073741824, 0, "yes"),
    ],
)
def test_arithmetic(operation, of, stated, tolerance, agrees):
    outcome = CHECKS["arithmetic"](None, operation=operation, of=of, stated=stated, tolerance=tolerance)
    assert outcome.agrees == agrees
