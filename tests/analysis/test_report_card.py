"""The report card: its rows are those of the study, its grades and warnings follow from them, its page is whole."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from torch import nn

from saltrust import plots
from saltrust.analysis.mixed_models import questions
from saltrust.analysis.multiverse.curve import specification_curve
from saltrust.analysis.report_card import GRADES, grades, report_card
from saltrust.analysis.report_card_warnings import WARNINGS, CardEvidence, warnings
from saltrust.artefacts.store import Store
from saltrust.core import data_cards
from saltrust.core.outcomes import OUTCOMES
from saltrust.methods.registry import CONTROLS
from saltrust.models.architectures import ARCHITECTURES, Architecture, Stage
from saltrust.plots.style import GRADE_MARKS
from saltrust.publishing.report_card_page import html
from saltrust.study.criteria import CRITERIA, Criterion, add, compared_with
from saltrust.study.study import Study

METHODS = "grad,gradcam"
NETWORKS = ("small", "smaller")


def small(width):
    def build(n_outputs):
        return nn.Sequential(
            nn.Conv2d(3, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
            nn.Linear(16 * width, n_outputs),
        )  # fmt: skip

    return build


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_profile):
    """A study of phantoms by two networks that train in a moment."""
    stages = (Stage("logits", ("7",)), Stage("conv2", ("3",)), Stage("conv1", ("0",)))
    for name, width in zip(NETWORKS, (8, 6), strict=True):
        ARCHITECTURES[name] = Architecture(name, name.title(), small(width), dict, 1e-3, stages)
    card = data_cards.load("phantom-pneumothorax").model_copy(update={"networks": NETWORKS})
    sizes = {"size": 48, "train": 12, "val": 12, "test": 24}
    with pytest.MonkeyPatch.context() as patch, tiny_profile(NETWORKS, **sizes):
        patch.setattr("saltrust.core.data_cards.load", lambda name: card)
        yield Study("phantom-pneumothorax", "tiny", store=Store(tmp_path_factory.mktemp("store")))
    for name in NETWORKS:
        del ARCHITECTURES[name]


@pytest.fixture(scope="module")
def card(study):
    return report_card(study, METHODS, n_boot=50)


def judged(*cells):
    """A card of judged methods: (method, criterion, baseline, verdict)."""
    frame = pd.DataFrame(cells, columns=["method", "criterion", "baseline", "verdict"]).assign(role="map")
    return frame.assign(score="SSIM", value=0.4, ci_low=0.3, ci_high=0.5, n=30, reference=0.2)


def test_the_card_has_each_comparison_of_the_study_and_its_controls(study, card):
    assert list(card.columns) == [
        *("method", "role", "criterion", "score", "value", "ci_low", "ci_high", "n", "baseline", "reference", "verdict")
    ]
    maps = card[card["role"] == "map"]
    verdicts = study.verdicts(METHODS, 50)
    keys = ["method", "criterion", "baseline"]
    pd.testing.assert_frame_equal(
        maps.sort_values(keys)[[*keys, "value", "reference", "verdict"]].reset_index(drop=True),
        verdicts.sort_values(keys)[[*keys, "value", "reference", "verdict"]].reset_index(drop=True),
        rtol=1e-9,
    )
    others = card[card["role"] != "map"]
    assert others[["baseline", "reference", "verdict"]].isna().all(axis=None)
    assert set(others.query("criterion == 'utility'")["method"]) == {*CONTROLS, "average", "unet"}
    assert set(others.query("criterion == 'repeatability'")["method"]) == {"unet"}
    assert (card["ci_low"] <= card["value"] + 1e-12).all()
    assert (card["value"] <= card["ci_high"] + 1e-12).all()
    assert set(card.query("criterion == 'randomization'")["n"]) == {len(study.images.cascaded)}


@pytest.mark.parametrize(
    ("low", "localizer", "grade"),
    [
        ("PASS", "PASS", "pass"),
        ("PASS", "UNDECIDED", "low"),
        ("PASS", "FAIL", "low"),
        *(("UNDECIDED", of_localizer, "undecided") for of_localizer in OUTCOMES),
        *(("FAIL", of_localizer, "fail") for of_localizer in OUTCOMES),
    ],
)
def test_a_grade_follows_from_the_low_baseline_and_then_from_the_localizer(low, localizer, grade):
    cells = ("grad", "utility", "average", low), ("grad", "utility", "localizer", localizer)
    alone = ("grad", "randomization", "threshold", low), ("xrai", "randomization", "threshold", "PASS")
    found = grades(judged(("xrai", "utility", "average", "PASS"), *alone, *cells))
    assert list(found.columns) == ["utility", "randomization"]
    assert found.loc["grad"].to_dict() == {
        "utility": grade,
        "randomization": {"PASS": "pass", "UNDECIDED": "undecided", "FAIL": "fail"}[low],
    }
    assert found.loc["xrai"].tolist() == ["pass", "pass"]


def evidence(**changes):
    """A study without a fault, but for the changes: fields of the card, the protocol, the models, the faults, …"""
    given = {
        "profile": "quick",
        "get": "somewhere",
        "auc": 0.95,
        "best_epoch": 3,
        "n": 200,
        "empty": 0,
        "residual": 0.01,
        "average": 0.2,
        "sobel": 0.1,
        "localizer": 0.9,
        "null": 0.1,
        "low_baseline": ("surrogates", "different images"),
        "until": 0.2,
        "verdict": "PASS",
        "rule": "interval",
        "ci_low": 0.1,
        "truth": "mask",
        "share": 0.02,
        "filled": 0,
        "refused": {},
    } | changes
    maps = pd.DataFrame({"method": ["grad", "xrai"], "role": "map", "value": [0.3, 0.4]})
    rivals = pd.DataFrame(
        {
            "method": ["sobel", "average", "unet"],
            "role": ["control", "control", "localizer"],
            "value": [given["sobel"], given["average"], given["localizer"]],
        }
    )
    utility = pd.concat([maps, rivals]).assign(criterion="utility", n=given["n"])
    card = pd.concat([utility, maps.assign(criterion="randomization", n=given["n"])], ignore_index=True)
    models = pd.DataFrame(
        {"model": ["small-1"], "role": "classifier", "auc": given["auc"], "ci_low": 0.5, "ci_high": 0.99}
    )
    faults = pd.DataFrame(
        {
            "method": ["grad"],
            "maps": 30,
            "not_finite": 0,
            "constant": 0,
            "empty": given["empty"],
            "residual": given["residual"],
        }
    )
    null = pd.DataFrame({"method": ["grad", "xrai", "unet"], "ssim": [0.05, given["null"], 0.9]})
    verdicts = pd.DataFrame(
        {"ci_low": [given["ci_low"], 0.2], "ci_high": [0.3, 0.4], "verdict": [given["verdict"], "PASS"]}
    )
    truth = np.zeros((20, 100))
    truth[:, : round(100 * given["share"])] = 1
    truth[: given["filled"]] = 1
    truth = truth.reshape(20, 10, 10)
    study = SimpleNamespace(
        profile=SimpleNamespace(name=given["profile"]),
        protocol=SimpleNamespace(name="any", low_baseline=given["low_baseline"], rule=given["rule"]),
        card=SimpleNamespace(get=given["get"], truth=given["truth"], localizer="unet", models=()),
        images=SimpleNamespace(explained=tuple(range(20)), split=lambda name: SimpleNamespace(truth=truth)),
        networks=SimpleNamespace(
            main="small-1",
            replication="trained apart",
            classifiers=("small-1",),
            trained=lambda name: SimpleNamespace(record={"epochs": 5, "best_epoch": given["best_epoch"]}),
            refused=lambda methods: given["refused"],
            table=lambda n_boot: models,
            title=lambda name=None: "Small",
        ),
        maps=SimpleNamespace(faults=lambda methods, models: faults, cascade_stages=lambda protocol: ("logits", "stem")),
        criteria=SimpleNamespace(
            partners={"repeatability": "small-2"},
            null=lambda methods, other: null,
            thresholds=lambda methods: pd.DataFrame({"method": ["grad", "xrai"], "ssim": [0.5, 0.5]}),
            sensitivity=lambda methods: pd.DataFrame(
                {
                    "method": ["grad", "grad", "xrai", "xrai"],
                    "stage": ["logits", "stem"] * 2,
                    "ssim": [given["until"], 0.1, 0.9, 0.9],
                }
            ),
        ),
        verdicts=lambda methods, n_boot: verdicts,
    )
    return CardEvidence(study, "grad,xrai", card)


def test_a_study_without_fault_has_the_one_warning_that_always_holds():
    (text,) = warnings(evidence())
    assert text == WARNINGS["networks"](evidence())


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("profile", {"profile": "smoke"}, "a few steps"),
        ("generated", {"get": None}, "drawn by a program"),
        ("classifiers", {"auc": 0.62}, "AUC of 0.62 (0.50 to 0.99)"),
        ("converged", {"best_epoch": 5}, "Not converged: Small was best when its training ended."),
        ("images", {"n": 30}, "30 images behind utility, 30"),
        ("refused", {"refused": {"gradcam": "no map", "lrp": "no rule"}}, "Not shown: GCAM (no map); LRP (no rule)."),
        ("faults", {"empty": 3}, "3 of 30 maps say nothing (GRAD 3 empty)"),
        ("residual", {"residual": 0.25}, "GRAD by 25%"),
        ("controls", {"average": 0.5}, "AVG 0.50; the best map, XRAI, 0.40"),
        ("edges", {"sobel": 0.35}, "(AUPRC 0.35) finds as much as, or more than, 1 of 2"),
        ("localizer", {"localizer": 0.3}, "(U-Net) finds no more than XRAI: AUPRC 0.30 against 0.40"),
        ("texture", {"null": 0.7}, "0.70 for maps that share their texture alone (XRAI)"),
        ("texture", {"low_baseline": 0.5}, "set at 0.5, not measured"),
        ("undecided", {"verdict": "UNDECIDED"}, "1 of 2 comparisons are in doubt: the interval"),
        ("undecided", {"verdict": "UNDECIDED"}, "it was not found to be worse"),
        ("undecided", {"ci_low": -0.1, "rule": "mean"}, "1 of 2 comparisons are in doubt: the interval"),
        ("undecided", {"ci_low": -0.1, "rule": "mean"}, "their PASS or FAIL may be chance"),
        ("boxes", {"truth": "box"}, "boxes"),
        ("size", {"share": 0.3}, "covers 30% of the image"),
        ("filled", {"filled": 1}, "The truth fills 1 of 20 images: of these every map has an AUPRC of 1"),
        ("late", {"until": 0.9}, "Only the last of 2 stages of random weights, stem, takes the maps below"),
    ],
)
def test_each_fault_has_its_warning_and_no_other(name, changes, said):
    found = evidence(**changes)
    assert said in WARNINGS[name](found)
    assert warnings(found) == [text for key in WARNINGS if key in (name, "networks") and (text := WARNINGS[key](found))]


def test_one_network_alone_is_told():
    found = evidence()
    found.study.criteria.partners = {}
    assert WARNINGS["networks"](found).startswith("There is one network")
    assert WARNINGS["texture"](found) is None


def test_every_warning_is_tested():
    cases = test_each_fault_has_its_warning_and_no_other.pytestmark[0].args[1]
    assert {name for name, *_ in cases} == set(WARNINGS) - {"networks"}


class Reader(HTMLParser):
    """Collects the elements of a page, and fails where they do not close in order."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, page):
        super().__init__()
        self.open, self.links, self.rows = [], [], 0
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href")]
        self.rows += tag == "tr"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_no_other_file_and_says_all(study, card):
    page = html(study, card, ["one < two & three"], plots.report_card_figure(card), "what “it” shows")
    read = Reader(page)
    assert [link.partition(",")[0] for link in read.links] == ["data:image/png;base64"]
    assert not re.search(r"https?://|url\(|@import", page)
    assert read.rows == 1 + card["method"].nunique()
    assert "one &lt; two &amp; three" in page
    assert "what “it” shows" in page
    row = card.query("method == 'gradcam' and criterion == 'utility'").iloc[0]
    assert f"{row['value']:.2f} <small>{row['ci_low']:.2f} to {row['ci_high']:.2f}</small>" in page
    assert page.count(GRADES["fail"].symbol) == 1 + (grades(card) == "fail").to_numpy().sum()  # one is the key's


def test_a_card_of_the_study_has_warnings(study, card):
    found = warnings(CardEvidence(study, METHODS, card, 50))
    assert any("drawn by a program" in text for text in found)
    assert all(text.endswith(".") and "nan" not in text and "\n" not in text for text in found)


def test_each_grade_has_a_shape_of_its_own_and_the_open_one_says_undecided():
    rows = [
        ("pass", "PASS", "PASS"),
        ("low", "PASS", "FAIL"),
        ("undecided", "UNDECIDED", "FAIL"),
        ("fail", "FAIL", "FAIL"),
    ]
    methods = dict(zip(("grad", "ig", "xrai", "gradcam"), rows, strict=True))
    cells = [
        (method, "utility", baseline, verdict)
        for method, (_, *verdicts) in methods.items()
        for baseline, verdict in zip(("average", "localizer"), verdicts, strict=True)
    ]
    figure = plots.report_card_figure(judged(*cells))
    (axis,) = figure.axes
    marks = {line.get_ydata()[0]: line for line in axis.lines if line.get_marker() not in ("None", "", None)}
    assert len({line.get_marker() for line in marks.values()}) == len(GRADES)
    for y, (grade, *_) in enumerate(methods.values()):
        assert marks[y].get_marker() == GRADE_MARKS[grade][0]
        assert (marks[y].get_markerfacecolor() == "white") == (grade == "undecided")
    assert {text.get_text() for text in figure.legends[0].get_texts()} > {grade.title for grade in GRADES.values()}
    assert len({grade.symbol for grade in GRADES.values()}) == len(GRADES)
    plt.close(figure)


def test_the_figure_marks_each_grade_and_each_baseline(card):
    figure = plots.report_card_figure(card)
    assert [axis.get_title() for axis in figure.axes] == [criterion.title for criterion in CRITERIA.values()]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["GRAD", "GCAM"]
    assert {"SOBEL", "AVG", "U-Net"} <= set(labels[2:])
    graded = grades(card)
    for axis, criterion in zip(figure.axes, CRITERIA, strict=True):
        marks = {line.get_ydata()[0]: line for line in axis.lines if line.get_marker() not in ("None", "", None)}
        for y, method in enumerate(graded.index):
            row = card.query("method == @method and criterion == @criterion").iloc[0]
            assert marks[y].get_marker() == GRADE_MARKS[graded.loc[method, criterion]][0]
            assert marks[y].get_xdata()[0] == row["value"]
        references = card[(card["criterion"] == criterion)]["reference"].dropna()
        drawn = [line.get_xdata()[0] for line in axis.lines if line.get_linewidth() == 2]
        assert set(references) <= set(drawn)
    plt.close(figure)


@pytest.fixture
def fifth():
    """A criterion more: does the map of one image change with the class that is explained?"""

    def compare(maps, protocol, method):
        other = maps.artefact(method, images=maps.images.cascaded, contrary=True)
        return compared_with(maps.artefact(method), other, maps, protocol)

    question, pictures = "Does it depend\non the class?", ("one class", "another")
    add(Criterion("another_class", question, pictures, "ssim", "low", compare, larger_is_better=False))
    yield CRITERIA["another_class"]
    del CRITERIA["another_class"]


def test_a_fifth_criterion_is_judged_graded_asked_and_drawn(study, fifth):
    verdicts = study.verdicts(METHODS, 50).query("criterion == 'another_class'")
    assert verdicts["baseline"].tolist() == ["low", "low"]
    expected = study.criteria.other_class(METHODS).groupby("method")["ssim"].mean()
    np.testing.assert_allclose(verdicts.set_index("method")["value"], expected[METHODS.split(",")])
    assert (verdicts["verdict"] == "PASS").equals(verdicts["ci_high"] < 0)
    assert (verdicts["verdict"] == "FAIL").equals(verdicts["ci_low"] >= 0)

    curve = specification_curve(study, "grad", 20)
    assert curve["criterion"].unique().tolist() == list(CRITERIA)
    own = curve.query("criterion == 'another_class' and in_grid")
    assert own[["window", "low_baseline"]].nunique().tolist() == [2, 3]
    assert own[["batchnorm", "auprc"]].eq("").all(axis=None)

    card = report_card(study, METHODS, 50)
    assert grades(card).columns[-1] == "another_class"
    figure = plots.report_card_figure(card)
    assert figure.axes[4].get_title() == "Another class"
    assert figure.axes[4].get_xlabel() == "SSIM, lower is better"
    assert "Randomization, Another class is better when low" in html(study, card, [], figure, "")
    questions_of = plots.four_questions(study.examples(METHODS))
    assert fifth.question in [text.get_text() for axis in questions_of.axes for text in axis.texts]
    plt.close("all")

    cams = "gradcam,layercam"  # which, unlike gradients, do more than change their sign with the class
    frames = {name: study.criteria.of(name, cams) for name in CRITERIA if name != "utility"}
    networks = {"trained": study.networks.classifiers, "untrained": study.networks.random}
    found = questions(study.criteria.localization(cams), frames, methods=cams.split(","), **networks)
    assert "another_class" in [question.name for question in found]
