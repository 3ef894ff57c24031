"""Claims about an alarm, on answers that are made up: tables, what a run cannot tell, the paper's printed numbers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import recall_score, roc_auc_score

from saltrust.analysis import alarm, informer
from saltrust.analysis.claims import alarms
from saltrust.analysis.claims.alarms import ALARMS, made_from
from saltrust.analysis.claims.checks import CHECKS, TOO_SMALL
from saltrust.analysis.claims.limits import LIMITS, OF_FINDINGS, RESAMPLED
from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.artefacts.store import Store
from saltrust.core.profiles import PROFILES
from saltrust.scores.alarm import youden
from saltrust.study.multilabel import JUDGED, MultilabelStudy
from saltrust.study.study import Study

NAMES = ("one", "two")


def evidence(n=120, rare=0.4, told=1.0, side=8, monkeypatch=None):
    """Two findings. rare: share of the images with the second. told: how far apart the outputs are."""
    rng = np.random.default_rng(0)
    present = {s: rng.random((n, 2)) < [0.4, rare] for s in ("val", "test")}
    logits = {s: told * np.where(p, 1.0, -1.0) + rng.normal(0, 1.1, p.shape) for s, p in present.items()}
    thresholds = np.array([youden(logits["val"][:, k], present["val"][:, k]) for k in range(2)])
    predicted = {s: logits[s] >= thresholds for s in logits}
    several = SimpleNamespace(
        findings=NAMES,
        study=SimpleNamespace(seed=0, protocol=SimpleNamespace(cam_min_grid=1)),
        sizes=SimpleNamespace(resamples=8, size=96),
        network=SimpleNamespace(architecture="a network"),
        thresholds=thresholds,
        logits=logits.__getitem__,
        present=present.__getitem__,
        predicted=predicted.__getitem__,
        split=lambda split: _Images(n),
        clusters=lambda split: None,
    )
    found = Evidence(SimpleNamespace(seed=0, card=SimpleNamespace(truth="mask")), n_boot=200)
    found.several = several
    wrong = {s: (predicted[s] != present[s]).astype(float) for s in present}
    margin = {s: -np.abs(logits[s] - thresholds) for s in present}
    doubts = dict.fromkeys(ALARMS, margin) | {"lrp": wrong}
    monkeypatch.setattr(alarms, "_doubts", lambda study: doubts)
    monkeypatch.setattr(alarms, "cam_grid", lambda *given: side)
    return found, doubts


class _Images:
    def __init__(self, n):
        self.ids = np.array([f"image {i}" for i in range(n)])

    def __len__(self):
        return len(self.ids)


def test_found_and_cleared_are_sensitivity_and_specificity_once_flagged_answers_are_swapped(monkeypatch):
    on, doubts = evidence(monkeypatch=monkeypatch)
    found, cleared, flagged = (on.table(f"alarm_{name}") for name in ("found", "cleared", "flagged"))
    present = on.several.present("test")
    counts = alarm.alarms(on.several, doubts).set_index(["method", "finding"])["flagged"]
    for k, finding in enumerate(NAMES):
        assert found[f"{finding}/lrp"].mean() == cleared[f"{finding}/lrp"].mean() == 1  # it flags what is wrong
        assert flagged[f"{finding}/entropy"].sum() == counts["entropy", finding]
        said = on.several.predicted("test")[:, k] != flagged[f"{finding}/entropy"].astype(bool)
        assert found[f"{finding}/entropy"].mean() == pytest.approx(recall_score(present[:, k], said))
        assert cleared[f"{finding}/entropy"].mean() == pytest.approx(recall_score(~present[:, k], ~said))
        assert found[f"{finding}/lrp"].notna().sum() == present[:, k].sum()


def test_tables_of_resamples_hold_the_experiment_and_then_its_resamples(monkeypatch):
    on, doubts = evidence(monkeypatch=monkeypatch)
    expected = alarm.repeated(on.several, doubts, 8)
    for statistic in ("f1", "first_quartile", "median"):
        pd.testing.assert_frame_equal(on.table(f"alarm_{statistic}"), expected[statistic])
    assert {name for name in TABLES if name.startswith("alarm_")} == set(OF_FINDINGS)


def test_an_alarm_that_knows_what_is_wrong_is_above_the_others_and_they_are_not_above_one_another(monkeypatch):
    on, _ = evidence(monkeypatch=monkeypatch)
    monkeypatch.setattr(on, "limits", lambda table: {})
    best = CHECKS["resampled_above"](on, "alarm_f1", ["lrp"], ["entropy", "copies"])
    f1 = on.table("alarm_f1")
    assert best.agrees == "yes"
    assert best.estimate == pytest.approx(f1.loc[0, "lrp"] - f1.loc[0, "entropy"])
    gaps = (f1["lrp"] - f1["entropy"])[1:]
    assert (best.ci_low, best.ci_high) == pytest.approx(tuple(np.quantile(gaps, [0.025, 0.975])))
    assert best.ours.startswith("LRP 1.000, compared with entropy 0.")
    assert CHECKS["resampled_above"](on, "alarm_f1", ["entropy"], ["lrp"]).agrees == "no"
    assert CHECKS["resampled_above"](on, "alarm_f1", ["entropy"], ["copies"]).agrees == "unclear"
    across = CHECKS["resampled_above"](on, "alarm_first_quartile", ["entropy"], ["copies"], "alarm_median")
    assert across.agrees == "no"  # both are the same doubt, and a quartile is below its median
    assert across.estimate < 0


@pytest.mark.parametrize(
    ("given", "limit", "tables", "columns"),
    [
        ({}, None, (), ()),
        ({"rare": 0.1}, "few_with_a_finding", RESAMPLED[1:], tuple(ALARMS)),
        ({"told": 0.0}, "unlearned_findings", OF_FINDINGS[1:], None),
        ({"side": 3}, "coarse_grid_of_an_alarm", RESAMPLED[1:], ("gradcam",)),
        ({"side": 3}, "coarse_grid_of_an_alarm", ("alarm_found",), ("one/gradcam", "two/gradcam")),
    ],
)
def test_what_a_run_cannot_tell(monkeypatch, given, limit, tables, columns):
    on, _ = evidence(**given, monkeypatch=monkeypatch)
    own = ("few_with_a_finding", "unlearned_findings", "coarse_grid_of_an_alarm")
    for name in own:
        for table in OF_FINDINGS[1:]:
            reasons = {column: why for column, why in LIMITS[name](on, table).items() if why}
            if name == limit and table in tables:
                assert set(reasons) == set(columns or on.table(table))
            elif name != limit:
                assert reasons == {}
        assert LIMITS[name](on, "utility") == {}


def test_a_finding_that_is_not_told_bars_its_own_answers_and_every_mean(monkeypatch):
    on, _ = evidence(monkeypatch=monkeypatch)
    logits = {split: on.several.logits(split) * [1, 0] for split in JUDGED}
    on.several.logits = logits.__getitem__
    of_found = {c for c, why in LIMITS["unlearned_findings"](on, "alarm_found").items() if why}
    assert of_found == {f"two/{name}" for name in ALARMS}
    (why,) = LIMITS["unlearned_findings"](on, "alarm_f1")["entropy"]
    area = roc_auc_score(on.several.present("test")[:, 1], logits["test"][:, 1])
    assert why == f"AUC {area:.2f} of two"


def test_limits_of_other_tables_leave_these_alone():
    """They would ask for the network of a data set with one finding."""
    images = SimpleNamespace(clusters=None, unit="image")
    given = {"card": SimpleNamespace(truth="mask"), "networks": None, "protocol": SimpleNamespace(cam_min_grid=1)}
    asked = Evidence(SimpleNamespace(seed=0, images=images, profile=None, **given))
    for table in OF_FINDINGS:
        asked._tables[table] = pd.DataFrame({"lrp": np.zeros(30), "gradcam": np.zeros(30)})
        for name in ("few_images", "few_passes", "coarse_grid", "unlearned", "unlearned_classes"):
            assert LIMITS[name](asked, table) == {}


def test_the_mean_area_is_that_of_sklearn(monkeypatch):
    on, _ = evidence(monkeypatch=monkeypatch)
    expected = roc_auc_score(on.several.present("test"), on.several.logits("test"), average="macro")
    found = CHECKS["mean_area"](on, mean=expected)
    assert found.estimate == pytest.approx(expected, abs=1e-12)
    assert found.ci_low < expected < found.ci_high
    assert found.agrees == "yes"
    assert CHECKS["mean_area"](on, mean=0.5).agrees == "no"
    few, _ = evidence(rare=0.1, monkeypatch=monkeypatch)
    assert CHECKS["mean_area"](few, mean=0.5).agrees == TOO_SMALL


def test_one_film_more_is_no_more_than_chance():
    given = {"sensitivities": [0.690, 0.724], "specificities": [0.514, 0.510], "f1": 0.231}
    found = CHECKS["films_behind"](None, images=informer.IMAGES, **given)
    assert (found.agrees, found.estimate) == ("no", 1)
    assert found.ours == "20 and 21 of 29 films found, 131 and 130 of 255 cleared; p 1 at best"


@pytest.mark.parametrize(("more", "agrees"), [(5, "no"), (6, "unclear")])
def test_the_smallest_p_is_that_of_mcnemar_with_none_lost(more, agrees):
    n, positives, before = 500, 100, 60
    given = {"sensitivities": [before / positives, (before + more) / positives], "specificities": [0.5, 0.5]}
    f1 = 2 * before / (before + 200 + positives)
    found = CHECKS["films_behind"](None, images=n, **given, f1=round(f1, 3))
    p = min(binomtest(more + lost, more + 2 * lost).pvalue for lost in range(5))
    assert found.agrees == agrees
    assert found.ours.endswith(f"p {p:.3g} at best")


def test_cells_of_consolidation_are_in_each_others_place_and_those_of_edema_are_where_they_belong():
    found = CHECKS["cells_in_place"](None, exchanged="Consolidation")
    assert (found.agrees, found.ours) == ("no", "2 of 4 means follow as printed, 4 with the cells exchanged")
    assert CHECKS["cells_in_place"](None, exchanged="Edema").agrees == "unclear"  # equal cells explain nothing


def test_the_alarms_are_made_from_one_network_and_grad_cam_of_the_layer_that_the_protocol_asks_for(
    tmp_path, tiny_profile
):
    sizes = replace(PROFILES["smoke"].multilabel, size=96, train=12, val=24, test=20)
    grids = {}
    with tiny_profile(multilabel=sizes):
        for protocol in ("published", "corrected"):
            several = MultilabelStudy(Study("phantom-chest5", "tiny", protocol, store=Store(tmp_path)))
            needed = list(made_from(several))
            assert several.network in needed
            of_cam = [one for one in needed if getattr(one, "method", None) == "gradcam"]
            assert [one.data for one in of_cam] == [several.images.artefact(split) for split in JUDGED]
            (grids[protocol],) = {one.cam_min_grid for one in of_cam}
    assert grids["published"] < grids["corrected"]  # the last layer's 3 x 3 positions are too few for the second
