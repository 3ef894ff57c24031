"""Claims about maps beside readers, on scores that are made up: tables by hand, and answers that are known."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.claims import readers
from saltrust.analysis.claims.checks import CHECKS, TOO_SMALL
from saltrust.analysis.claims.limits import OF_READERS
from saltrust.analysis.claims.readers import above_readers, average_reader, beside_readers
from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import VENKATESH_SIX

IMAGES = [f"image {i:02}" for i in range(60)]
SUBGROUPS = dict(zip(IMAGES, ["fracture"] * 30 + ["arthritis"] * 30, strict=True))
NAMES = ("one", "two", "three")
READ = {"consensus": 0.6, "others": 0.35, "pairwise": 0.4}  # scores of the average reader, by reference
CONSENSUS, PAIRWISE = "average reader, consensus", "average reader, pairwise"


def scores(utility=0.3, repeatability=0.5, reproducibility=0.45, **of_methods):
    """Rows as of a study. Each criterion's mean over the six methods; of_methods: other means of one, in the same
    order."""
    rng = np.random.default_rng(0)
    rows = []

    def add(image, rater, mode, reference, score, mean):
        value = mean + rng.normal(0, 0.05)
        rows.append((image, SUBGROUPS[image], rater, mode, reference, score, value))

    for image, method in product(IMAGES, (*VENKATESH_SIX, "canny")):
        means = of_methods.get(method, (utility, repeatability, reproducibility))
        for score in ("trapezoid", "average_precision"):
            add(image, method, "boxes", "consensus", score, means[0])
            add(image, method, "raw", "consensus", score, 0.9)
        add(image, method, "boxes", "repeatability", "iou", means[1])
        add(image, method, "boxes", "reproducibility", "iou", means[2])
        add(image, method, "raw", "repeatability", "iou", 1.0)
    for image, reader in product(IMAGES, NAMES):
        for reference, mean in READ.items():
            for score in ("iou", "trapezoid", "average_precision"):
                add(image, reader, "drawn", reference, score, mean)
    return pd.DataFrame(rows, columns=["image", "subgroup", "rater", "mode", "reference", "score", "value"])


def evidence(monkeypatch, rows, random="PASS", limits=None, protocol="published"):
    """random: the verdict on each method's cascade, in all of which the interval is without 0."""
    monkeypatch.setattr(readers, "by_image", lambda study: rows)
    found = Evidence(SimpleNamespace(seed=0, protocol=PROTOCOLS[protocol], images=SimpleNamespace(clusters=None)), 200)
    monkeypatch.setattr(found, "limits", lambda table: (limits or {}).get(table, {}))
    cells = [
        {"method": method, "criterion": "randomization", "baseline": "threshold", "verdict": random,
         "difference": -0.2, "ci_low": -0.3, "ci_high": -0.1}
        for method in (*VENKATESH_SIX, "guided_backprop")
    ]  # fmt: skip
    found.verdicts = pd.DataFrame(cells)
    return found


def test_areas_are_of_the_images_that_count_and_overlaps_of_all(monkeypatch):
    """By a study whose network is wrong about every third image."""
    rows = scores().drop(columns="subgroup")
    right = np.arange(60) % 3 > 0
    asked = {}

    class Reading:
        def __init__(self, study):
            self.choices = SimpleNamespace(mode="boxes")
            self.ids, self.judged = np.array(IMAGES), right
            self.subgroups = {name: np.array([*SUBGROUPS.values()]) for name in (*study, "size")}

        def maps_against(self, methods, modes):
            asked["against"] = methods, modes
            return rows[(rows["reference"] == "consensus") & (rows["mode"] != "drawn")]

        def readers_against(self):
            return rows[rows["mode"] == "drawn"]

        def between(self, methods, modes):
            asked["between"] = methods, modes
            return rows[rows["reference"].isin(["repeatability", "reproducibility"])]

    monkeypatch.setattr(readers, "ReaderStudy", Reading)
    found = readers.by_image(["finding"])
    assert asked == dict.fromkeys(("against", "between"), (VENKATESH_SIX, ["boxes"]))
    area = found["score"].isin(["trapezoid", "average_precision"])
    assert set(found[area]["image"]) == set(np.array(IMAGES)[right])
    assert set(found[~area]["image"]) == set(IMAGES)
    assert len(found) == len(rows) - (rows["score"] != "iou").sum() / 3
    assert found["subgroup"].eq(found["image"].map(SUBGROUPS)).all()
    assert readers.by_image([])["subgroup"].notna().all()  # by size, where nobody knows what an image shows


def test_the_average_reader_is_the_mean_over_readers_of_an_image_each_over_those_he_is_held_against():
    """One reader who is held against two others, and one against a single one, count the same."""
    given = [("a", "one", 0.2), ("a", "one", 0.4), ("a", "two", 0.9), ("b", "two", 0.5)]
    rows = pd.DataFrame(given, columns=["image", "rater", "value"])
    rows = rows.assign(mode="drawn", reference="pairwise", score="iou")
    others = rows.assign(value=0.0)
    noise = pd.concat([others.assign(mode="boxes"), others.assign(score="dice"), others.assign(reference="union")])
    found = average_reader(pd.concat([noise, rows]), "iou")
    assert found.to_dict() == {PAIRWISE: {"a": pytest.approx(0.6), "b": 0.5}}


def test_methods_and_readers_stand_beside_each_other_image_by_image():
    rows = scores()
    found = beside_readers(rows, "boxes", "repeatability", "iou")
    assert list(found) == [*VENKATESH_SIX, "canny", *(f"average reader, {name}" for name in READ)]
    assert list(found.index) == IMAGES
    one = rows[(rows["image"] == "image 07") & (rows["score"] == "iou")]
    xrai = one[(one["rater"] == "xrai") & (one["mode"] == "boxes") & (one["reference"] == "repeatability")]
    assert found.loc["image 07", "xrai"] == xrai["value"].item()
    drew = one[(one["mode"] == "drawn") & (one["reference"] == "others")]["value"]
    assert found.loc["image 07", "average reader, others"] == pytest.approx(drew.mean())
    with pytest.raises(KeyError, match="no maps in the mode 'drawn' against 'repeatability' by 'iou'"):
        beside_readers(rows, "drawn", "repeatability", "iou")


def test_subgroups_have_columns_of_their_own_for_the_six_methods():
    found = above_readers(scores(utility=0.3), "boxes", "trapezoid")
    assert list(found) == [f"{name}/{method}" for name in ("fracture", "arthritis") for method in VENKATESH_SIX]
    assert (found.notna().sum() == 30).all()
    assert found["arthritis/ig"].dropna().index.tolist() == IMAGES[30:]
    assert found.mean().to_numpy() == pytest.approx(0.3 - READ["consensus"], abs=0.04)
    others = above_readers(scores(utility=0.3), "boxes", "trapezoid", against="others")
    assert others.mean().to_numpy() == pytest.approx(0.3 - READ["others"], abs=0.04)


def test_tables_take_the_modes_and_scores_of_the_paper(monkeypatch):
    on = evidence(monkeypatch, scores(utility=0.3, repeatability=0.5, reproducibility=0.45))
    for table, mean in {"reader_utility": 0.3, "reader_repeatability": 0.5, "reader_reproducibility": 0.45}.items():
        assert on.table(table)[list(VENKATESH_SIX)].mean().to_numpy() == pytest.approx(mean, abs=0.03)
        assert on.table(table)[CONSENSUS].mean() == pytest.approx(0.6, abs=0.03)
    assert {name for name in TABLES if name.startswith("reader_")} == {*OF_READERS, "reader_scores"}
    rows = scores()
    rows.loc[rows["score"] == "average_precision", "value"] = 0.0
    for protocol, score in (("published", 0.3), ("corrected", 0.0)):
        by_protocol = evidence(monkeypatch, rows, protocol=protocol)
        assert by_protocol.table("reader_utility")["xrai"].mean() == pytest.approx(score, abs=0.03)


@pytest.mark.parametrize(("than", "agrees"), [(CONSENSUS, "yes"), (PAIRWISE, "no"), ("average reader, others", "no")])
def test_the_bar_turns_the_claim_round(monkeypatch, than, agrees):
    """As by the paper's own numbers: methods of 0.5 lie between a consensus of 0.6 and two readers of 0.4."""
    on = evidence(monkeypatch, scores())
    given = {"table": "reader_repeatability", "columns": list(VENKATESH_SIX), "than": than, "less": True}
    assert CHECKS["above"](on, **given).agrees == agrees


def test_a_subgroup_in_which_one_method_is_ahead_decides(monkeypatch):
    rows = scores()
    given = {"table": "reader_subgroups", "than": 0.0, "less": True}
    assert CHECKS["above"](evidence(monkeypatch, rows), **given).agrees == "yes"
    ahead = (rows["rater"] == "xrai") & (rows["mode"] == "boxes") & (rows["subgroup"] == "arthritis")
    rows.loc[ahead & (rows["score"] == "trapezoid"), "value"] = 0.9
    outcome = CHECKS["above"](evidence(monkeypatch, rows), **given)
    assert outcome.agrees == "no"
    assert outcome.ours == "11 of 12 clearly; the other way: XRAI on arthritis"
    few = evidence(monkeypatch, rows, limits={"reader_subgroups": {"fracture/ig": ("5 images",)}})
    assert CHECKS["above"](few, **given).limit == "5 images"


@pytest.mark.parametrize(
    ("given", "random", "than", "agrees"),
    [
        ({}, "PASS", CONSENSUS, "yes"),
        ({"xrai": (0.8, 0.8, 0.8)}, "PASS", CONSENSUS, "no"),
        ({"xrai": (0.8, 0.8, 0.8)}, "FAIL", CONSENSUS, "yes"),
        ({"xrai": (0.8, 0.8, 0.5)}, "PASS", CONSENSUS, "yes"),
        ({"xrai": (0.45, 0.45, 0.45)}, "PASS", PAIRWISE, "no"),
        ({"guided_backprop": (0.8, 0.8, 0.8)}, "PASS", CONSENSUS, "yes"),  # none of the six
    ],
)
def test_no_method_reaches_the_readers_and_depends_on_the_weights(monkeypatch, given, random, than, agrees):
    on = evidence(monkeypatch, scores(**given), random)
    assert CHECKS["none_reaches_readers"](on, than=than).agrees == agrees


def test_who_reaches_them_is_named_and_a_run_may_be_too_small(monkeypatch):
    rows = scores(xrai=(0.8, 0.8, 0.8))
    found = CHECKS["none_reaches_readers"](evidence(monkeypatch, rows), than=CONSENSUS)
    assert found.ours == "1 of 6 pass all, XRAI"
    coarse = evidence(monkeypatch, rows, limits={"reader_utility": {"xrai": ("10 of 100 steps",)}})
    found = CHECKS["none_reaches_readers"](coarse, than=CONSENSUS)
    assert (found.agrees, found.limit) == (TOO_SMALL, "10 of 100 steps")


def test_scores_are_asked_for_once(monkeypatch):
    asked = []
    on = evidence(monkeypatch, scores())
    rows = scores()
    monkeypatch.setattr(readers, "by_image", lambda study: asked.append(study) or rows)
    for table in OF_READERS:
        on.table(table)
    assert asked == [on.study]


@pytest.mark.parametrize(
    ("than", "agrees", "ours"),
    [([0.8, 0.6], "yes", "2 of 2 below, by 0.1 at least"), ([0.8, 0.4], "no", "1 of 2 below, by -0.1 at least")],
)
def test_printed_numbers_are_compared(than, agrees, ours):
    found = CHECKS["printed_below"](None, of=[0.5, 0.5], than=than)
    assert (found.agrees, found.ours) == (agrees, ours)
