"""The ways to test a claim, on tables that are made up, so that each answer is known."""

from types import MethodType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr, tukey_hsd
from sklearn.metrics import average_precision_score, roc_auc_score

from saltrust.analysis.claims.checks import CHECKS, MARGIN, TOO_SMALL
from saltrust.analysis.claims.tables import Evidence
from saltrust.stats.bootstrap import clusters_of

IMAGES = [f"image {i}" for i in range(40)]
NOISE = np.random.default_rng(0).normal(0, 0.05, (40, 4))
SCORES = pd.DataFrame(NOISE + [0.2, 0.3, 0.5, 0.3], index=IMAGES, columns=["grad", "ig", "xrai", "average"])
PAIRS = pd.DataFrame(
    np.random.default_rng(1).normal(0.4, 0.05, (60, 3)),
    columns=["grad", "ig", "xrai"],
    index=[f"pair {i}" for i in range(60)],
)


def evidence(limits=None, clusters=None, **tables):
    """limits: by table, why columns cannot answer. clusters: what images belong to."""
    tables = {"utility": SCORES, "threshold": PAIRS} | tables
    made = SimpleNamespace(table=tables.__getitem__, n_boot=500, seed=0, _contrasts={})
    made.limits = lambda table: (limits or {}).get(table, {})
    made.clusters = lambda images: clusters_of(images, clusters)
    made.contrast = MethodType(Evidence.contrast, made)
    return made


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


def classified(n=80, copies=1, clusters=None, **scores):
    """Test images of which a random part has the finding, and scores of them by network; each as often as `copies`."""
    present = np.repeat(np.random.default_rng(0).uniform(size=n) < 0.4, copies)
    made = evidence(clusters=clusters)
    test = SimpleNamespace(present=present, ids=np.array([f"image {i}" for i in range(len(present))]))
    made.study = SimpleNamespace(images=SimpleNamespace(split=lambda name: test))
    made.image_scores = lambda network: scores[network](present)
    return made, present


def graded_scores(present):
    return np.round(np.random.default_rng(1).normal(size=len(present)) + present, 1)  # with ties


@pytest.mark.parametrize(("curve", "theirs"), [("roc", roc_auc_score), ("precision_recall", average_precision_score)])
def test_the_areas_of_networks_are_those_of_sklearn(curve, theirs):
    on, present = classified(localizer=graded_scores)
    found = check("areas", on=on, of={"localizer": 0.99}, curve=curve)
    expected = theirs(present, graded_scores(present))
    assert found.estimate == pytest.approx(expected, abs=1e-12)
    assert found.ci_low < found.estimate < found.ci_high < 0.99
    assert found.agrees == "no"
    assert check("areas", on=on, of={"localizer": expected}, curve=curve).agrees == "yes"


def test_of_several_networks_each_must_have_the_papers_area():
    on, present = classified(main=graded_scores, other=lambda present: -graded_scores(present))
    own = roc_auc_score(present, graded_scores(present))
    assert check("areas", on=on, of={"main": own, "other": 1 - own}).agrees == "yes"
    assert check("areas", on=on, of={"main": own, "other": own}).agrees == "no"


def test_rounding_of_the_papers_area_is_allowed_for():
    on, present = classified(main=graded_scores)
    above = check("areas", on=on, of={"main": 0}).ci_high + 0.02
    assert check("areas", on=on, of={"main": above}).agrees == "no"
    assert check("areas", on=on, of={"main": above}, tolerance=0.05).agrees == "yes"


def test_an_area_needs_images_of_both_kinds():
    on, present = classified(n=30, main=graded_scores)
    found = check("areas", on=on, of={"main": 0.9})
    assert found.agrees == TOO_SMALL
    assert found.limit == f"{present.sum()} images of one kind"


def test_an_area_is_uncertain_by_patient():
    """Copies of images say nothing new."""

    def fourfold(present):
        return np.repeat(graded_scores(present[::4]), 4)

    patients = {f"image {i}": f"patient {i // 4}" for i in range(240)}
    by_image, by_patient = (
        check("areas", on=classified(n=60, copies=4, clusters=clusters, main=fourfold)[0], of={"main": 0.5})
        for clusters in (None, patients)
    )
    assert by_patient.estimate == by_image.estimate
    widths = [found.ci_high - found.ci_low for found in (by_image, by_patient)]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.2)


# --- intervals by patient, and the paper's own test -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("above", {"columns": ["xrai"], "than": "average"}),
        ("value", {"column": "xrai", "mean": 0.5, "sd": 0.2}),
        ("highest", {"column": "xrai"}),
    ],
)
def test_intervals_are_by_patient_where_several_images_are_of_one(name, parameters):
    """Four copies of each score: as many images say four times as much, as many patients no more."""
    frame = pd.DataFrame(np.repeat(SCORES.to_numpy()[:10], 4, axis=0), index=IMAGES, columns=SCORES.columns)
    patients = {image: f"patient {i // 4}" for i, image in enumerate(IMAGES)}
    by_image, by_patient = (
        check(name, on=evidence(utility=frame, clusters=clusters), table="utility", **parameters)
        for clusters in (None, patients)
    )
    widths = [found.ci_high - found.ci_low for found in (by_image, by_patient)]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.15)


def test_significance_is_that_of_tukeys_test():
    """Where images do not differ, the mixed model is one of groups, whose test scipy has."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(0, 0.1, (40, 4)), index=IMAGES, columns=SCORES.columns)
    frame = frame.sub(frame.mean(axis=1), axis=0) * (4 / 3) ** 0.5 + [0.2, 0.22, 0.3, 0.24]  # no image is better
    expected = tukey_hsd(*(frame[column] for column in frame)).confidence_interval(0.95)
    for column, than in (("xrai", "average"), ("average", "grad")):
        found = check("above", on=evidence(utility=frame), table="utility", columns=[column], than=than, tukey=True)
        i, j = (list(frame).index(name) for name in (column, than))
        assert found.estimate == pytest.approx(frame[column].mean() - frame[than].mean())
        assert (found.ci_low, found.ci_high) == pytest.approx((expected.low[i, j], expected.high[i, j]), abs=0.004)


def test_a_difference_may_be_clear_alone_but_not_among_many():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(0, 0.1, (40, 8)), index=IMAGES, columns=[*"abcdefgh"])
    frame["h"] = frame["g"] + rng.normal(0, 0.1, 40)
    frame["h"] += 0.055 - (frame["h"] - frame["g"]).mean()
    alone, among = (
        check("above", on=evidence(utility=frame), table="utility", columns=["h"], than="g", tukey=tukey).agrees
        for tukey in (False, True)
    )
    assert (alone, among) == ("yes", "unclear")


def test_of_two_tables_each_method_is_compared_with_itself():
    noise = np.random.default_rng(2).permuted(NOISE - NOISE.mean(axis=0), axis=0)
    random = pd.DataFrame(noise, IMAGES, SCORES.columns) + SCORES.mean() - [0.0, 0.1, 0.2, 0.0]
    on = evidence(utility_random=random.assign(average=SCORES["average"]))
    both = {"table": "utility", "than_table": "utility_random", "tukey": True}
    found = check("above", on=on, columns=["ig", "xrai"], **both)
    assert (found.agrees, found.estimate) == ("yes", pytest.approx(0.1))
    assert found.ci_low > 0.05
    assert found.why.endswith("by the paper's mixed model and Tukey's HSD")
    assert check("same", on=on, columns=["grad"], **both).agrees == "yes"
    family = on._contrasts[("utility", "utility_random")]
    assert list(family.index) == [("grad", "grad"), ("ig", "ig"), ("xrai", "xrai")]  # the average is the same in both


def test_as_well_or_better_is_more_than_better():
    """The average is above GRAD and like IG: it does as well as most, but is above one of three only."""
    close = SCORES.assign(ig=SCORES["average"] + 0.01 * np.tile([1, -1], 20))
    better = check("most", on=evidence(utility=close), table="utility", than="average", less=True)
    as_well = check("most", on=evidence(utility=close), table="utility", than="average", less=True, or_same=True)
    assert (better.agrees, as_well.agrees) == ("unclear", "yes")
    above = evidence(utility=SCORES.assign(grad=0.4 + NOISE[:, 0]))
    assert check("most", on=above, table="utility", than="average", less=True, or_same=True).agrees != "yes"


def test_several_means_must_each_be_the_papers():
    means = {"grad": 0.2, "xrai": 0.5}
    assert check("values", table="utility", means=means).agrees == "yes"
    off = check("values", table="utility", means=means | {"xrai": 0.6})
    assert off.agrees == "no"
    assert off.estimate == pytest.approx(SCORES["xrai"].mean() - 0.6)
    assert off.ours.startswith("1 of 2: GRAD ")
    spread = MARGIN * SCORES["xrai"].std()
    assert check("values", table="utility", means={"xrai": SCORES["xrai"].mean() - spread}).agrees == "unclear"


# --- what a run is too small for --------------------------------------------------------------------------------------

SHORT = {"utility": {"ig": ("5 of 25 steps",)}}


@pytest.mark.parametrize(
    ("name", "parameters", "agrees"),
    [
        ("above", {"columns": ["xrai", "ig"], "than": "average"}, TOO_SMALL),
        ("above", {"columns": ["ig", "grad"], "than": "average"}, "no"),  # GRAD can be judged, and is below
        ("above", {"columns": ["xrai"], "than": "average"}, "yes"),
        ("above", {"columns": ["xrai"], "than": "ig"}, TOO_SMALL),
        ("most", {"than": "average"}, TOO_SMALL),
        ("most", {"columns": ["grad", "ig", "xrai"], "than": 0.1}, "yes"),  # two of three suffice
        ("highest", {"column": "xrai"}, TOO_SMALL),  # with more steps IG might lead
        ("highest", {"column": "grad"}, "no"),  # XRAI leads GRAD whatever IG does
        ("highest", {"column": "ig"}, TOO_SMALL),
        ("highest", {"column": "xrai", "among": ["grad", "xrai"]}, "yes"),
        ("same", {"columns": ["ig"], "than": "average"}, TOO_SMALL),
        ("same", {"columns": ["ig", "xrai"], "than": "average"}, "no"),
        ("value", {"column": "ig", "mean": 0.9, "sd": 0.1}, TOO_SMALL),
        ("value", {"column": "ig", "mean": 0.9}, TOO_SMALL),
        ("value", {"column": "grad", "mean": 0.9, "sd": 0.1}, "no"),
        ("values", {"means": {"ig": 0.3, "grad": 0.2}}, TOO_SMALL),
        ("values", {"means": {"ig": 0.3, "grad": 0.9}}, "no"),
        ("ranks", {"values": {"grad": 1, "ig": 2, "xrai": 3, "average": 2.5}}, TOO_SMALL),
    ],
)
def test_what_rests_on_a_column_that_cannot_be_judged_has_no_answer(name, parameters, agrees):
    found = check(name, on=evidence(limits=SHORT), table="utility", **parameters)
    assert found.agrees == agrees
    assert agrees != TOO_SMALL or found.limit == "5 of 25 steps"


def test_no_model_is_fitted_to_a_single_image():
    on = evidence(utility=SCORES[:1], limits={"utility": dict.fromkeys(SCORES, ("1 image",))})
    found = check("above", on=on, table="utility", columns=["xrai"], than="average", tukey=True)
    assert (found.agrees, found.limit) == (TOO_SMALL, "1 image")


def test_reasons_are_told_once_with_what_they_hold_for():
    limits = {"utility": {"ig": ("5 images", "5 of 25 steps"), "grad": ("5 images",)}, "threshold": {}}
    found = check("above", on=evidence(limits=limits), table="utility", columns=["ig", "grad"], than_table="threshold")
    assert found.limit == "5 images; 5 of 25 steps (IG)"


@pytest.mark.parametrize("limited", ["utility", "threshold"])
def test_a_comparison_has_two_sides(limited):
    found = check(
        "above",
        on=evidence(limits={limited: {"xrai": ("5 images",)}}),
        table="utility",
        columns=["xrai"],
        than_table="threshold",
    )
    assert (found.agrees, found.limit) == (TOO_SMALL, "5 images")


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


def cells(limits=None, **verdicts):
    """Table 2 with two comparisons: a verdict for each, "?" where its interval holds 0. limits: as in `evidence`."""
    rows = [
        (method, criterion, "low", text.strip("?"), -1.0 if "?" in text else 0.5, 1.0)
        for method, texts in verdicts.items()
        for criterion, text in zip(("utility", "randomization"), texts, strict=True)
    ]
    columns = ["method", "criterion", "baseline", "verdict", "ci_low", "ci_high"]
    made = evidence(limits=limits)
    made.verdicts = pd.DataFrame(rows, columns=columns)
    return made


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
    ("check_name", "found", "agrees"),
    [
        ("verdicts", {"grad": ("UNDECIDED", "PASS"), "xrai": ("FAIL", "PASS")}, "unclear"),  # the paper: GRAD passes
        ("verdicts", {"grad": ("PASS", "PASS"), "xrai": ("UNDECIDED", "PASS")}, "unclear"),  # the paper: XRAI fails
        ("verdicts", {"grad": ("UNDECIDED", "PASS"), "xrai": ("PASS", "PASS")}, "no"),
        ("none_passes", {"grad": ("UNDECIDED", "PASS"), "xrai": ("FAIL", "FAIL")}, "unclear"),
        ("none_passes", {"grad": ("UNDECIDED", "FAIL"), "xrai": ("FAIL", "FAIL")}, "yes"),
        ("most_fail", {"grad": ("UNDECIDED", "UNDECIDED"), "xrai": ("FAIL", "PASS")}, "unclear"),
        ("most_fail", {"grad": ("UNDECIDED", "FAIL"), "xrai": ("FAIL", "FAIL")}, "yes"),
    ],
)
def test_an_undecided_cell_is_neither_pass_nor_fail(check_name, found, agrees):
    column = {"criterion": "utility", "baseline": "low", "passed": ["grad"]} if check_name == "verdicts" else {}
    assert check(check_name, on=cells(**found), **column).agrees == agrees


SHORT_OF_XRAI = {"utility": {"xrai": ("5 of 25 steps",)}}


@pytest.mark.parametrize(
    ("check_name", "found", "agrees"),
    [
        ("verdicts", {"grad": ("PASS", "PASS"), "xrai": ("FAIL", "PASS")}, TOO_SMALL),  # alike, but who knows
        ("verdicts", {"grad": ("FAIL", "PASS"), "xrai": ("FAIL", "PASS")}, "no"),  # GRAD can be judged
        ("none_passes", {"grad": ("FAIL", "PASS"), "xrai": ("FAIL", "PASS")}, TOO_SMALL),
        ("none_passes", {"grad": ("FAIL", "PASS"), "xrai": ("FAIL", "FAIL")}, "yes"),  # it fails where it can be judged
        ("none_passes", {"grad": ("PASS", "PASS"), "xrai": ("FAIL", "PASS")}, "no"),
        ("most_fail", {"grad": ("FAIL", "PASS"), "xrai": ("FAIL", "FAIL")}, TOO_SMALL),
        ("most_fail", {"grad": ("FAIL", "FAIL"), "xrai": ("PASS", "FAIL")}, "yes"),
    ],
)
def test_a_cell_that_cannot_be_judged_decides_nothing(check_name, found, agrees):
    column = {"criterion": "utility", "baseline": "low", "passed": ["grad"]} if check_name == "verdicts" else {}
    outcome = check(check_name, on=cells(limits=SHORT_OF_XRAI, **found), **column)
    assert outcome.agrees == agrees
    assert agrees != TOO_SMALL or outcome.limit == "5 of 25 steps"


@pytest.mark.parametrize(
    ("baseline", "limits"),
    [
        ("threshold", {"threshold": {"grad": ("3 pairs",)}}),
        ("localizer", {"randomization": {"localizer": ("3 pairs",)}}),
    ],
)
def test_the_baseline_of_a_cell_must_be_judged_too(baseline, limits):
    on = cells(limits=limits, grad=("PASS", "PASS"))
    on.verdicts["baseline"] = baseline
    column = {"criterion": "randomization", "baseline": baseline, "passed": ["grad"]}
    assert check("verdicts", on=on, **column).agrees == TOO_SMALL


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
    on, few = evidence(), evidence(limits={"recall": {"vgg16/saliency": ("8 images",)}})
    on.roc = few.roc = pd.DataFrame(rows, columns=["network", "method", "threshold", "fpr", "recall"])
    assert check("roc_below", on=on).agrees == below
    assert check("roc_rate", on=on, method="deconvolution").agrees == rate
    assert check("roc_below", on=few).agrees == check("roc_rate", on=few, method="deconvolution").agrees == TOO_SMALL


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
