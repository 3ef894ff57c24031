"""The alarm on known answers: what is chosen, what is flipped, what a resample changes, and the sentence at the end."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis import alarm
from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import written
from saltrust.core.protocols import PROTOCOLS
from saltrust.scores.alarm import f1, youden
from saltrust.stats.selective import adds_to
from saltrust.study.doubts import DOUBTS
from saltrust.study.multilabel import alarm_methods

NAMES = ("one", "two")


@pytest.fixture
def study():
    """Two findings; wrong answers are those that were turned round, and known."""
    rng = np.random.default_rng(0)
    present = {split: rng.random((n, 2)) < 0.4 for split, n in (("val", 120), ("test", 160))}
    logits = {split: np.where(p, 1.0, -1.0) + rng.normal(0, 1.1, p.shape) for split, p in present.items()}
    thresholds = np.array([youden(logits["val"][:, k], present["val"][:, k]) for k in range(2)])
    return SimpleNamespace(
        findings=NAMES,
        study=SimpleNamespace(seed=0),
        thresholds=thresholds,
        logits=lambda split: logits[split],
        present=lambda split: present[split],
        predicted=lambda split: logits[split] >= thresholds,
        split=lambda split: present[split],
        clusters=lambda split: None,
    )


@pytest.fixture
def doubts(study):
    """Of an oracle, which doubts what is wrong, in the place of every doubt but the margin; and of the margin."""
    wrong = {split: (study.predicted(split) != study.present(split)).astype(float) for split in ("val", "test")}
    margin = {split: -np.abs(study.logits(split) - study.thresholds) for split in ("val", "test")}
    return {name: margin if name == "margin" else wrong for name in DOUBTS}


def test_an_oracle_makes_every_answer_right_and_nothing_is_flagged_without_an_alarm(study, doubts):
    table = alarm.alarms(study, doubts).set_index(["method", "finding"])
    for k, finding in enumerate(NAMES):
        bare = f1(study.predicted("test")[:, k], study.present("test")[:, k])
        wrong = int((study.predicted("test") != study.present("test"))[:, k].sum())
        assert table.loc[(alarm.NO_ALARM, finding), ["f1", "flagged"]].tolist() == [bare, 0]
        oracle = table.loc[("ixg", finding)]
        assert (oracle["f1"], oracle["flagged"], oracle["flipped_right"], oracle["flipped_wrong"]) == (
            1,
            wrong,
            wrong,
            0,
        )
        assert (table.loc[(slice(None), finding), "f1_no_alarm"] == bare).all()
    mean = table.loc[("ixg", alarm.MEAN)]
    assert mean["f1"] == 1
    assert mean["flagged"] == table.loc[("ixg", "one"), "flagged"] + table.loc[("ixg", "two"), "flagged"]
    assert list(table.reset_index().columns) == [
        *("method", "finding", "f1", "f1_no_alarm", "tau", "flagged", "flipped_right", "flipped_wrong")
    ]


def test_on_the_papers_grid_no_alarm_is_better_on_the_validation_images_than_by_exact_search(study, doubts):
    # chosen and measured on the same images, the exact search cannot lose
    same = SimpleNamespace(**vars(study))
    same.logits, same.present, same.predicted = (
        (lambda of: lambda split: of("val"))(getattr(study, name)) for name in ("logits", "present", "predicted")
    )
    both = {"margin": {"val": doubts["margin"]["val"], "test": doubts["margin"]["val"]}}
    exactly, on_grid = (
        alarm.alarms(same, both, exact=one).set_index(["method", "finding"])["f1"] for one in (True, False)
    )
    assert (exactly >= on_grid - 1e-12).all()
    assert exactly["margin", "one"] >= exactly[alarm.NO_ALARM, "one"]


def test_resamples_change_nothing_where_every_image_is_drawn_once(study, doubts, monkeypatch):
    monkeypatch.setattr(alarm, "times_drawn", lambda n, n_boot, seed, clusters: np.ones((n_boot, n), int))
    table = alarm.alarms(study, doubts)
    mean = table[table["finding"] == alarm.MEAN].set_index("method")["f1"]
    for nested in (False, True):
        found = alarm.resampled_f1(study, doubts, 20, nested)
        assert len(found) == 20
        for method, values in found.items():
            np.testing.assert_allclose(values, mean[method], atol=1e-12)
    gained = alarm.gains(found, table).set_index("method")
    assert gained.loc["ixg", "gain"] == pytest.approx(1 - mean[alarm.NO_ALARM])
    assert (gained["ci_low"] == gained["ci_high"]).all()


def test_nested_resamples_choose_thresholds_anew(study, doubts):
    fixed, nested = (alarm.resampled_f1(study, {"margin": doubts["margin"]}, 40, one) for one in (False, True))
    assert fixed[alarm.NO_ALARM].mean() > nested[alarm.NO_ALARM].mean() - 0.1
    assert not np.allclose(fixed[alarm.NO_ALARM], nested[alarm.NO_ALARM])


def test_selective_prediction_compares_each_doubt_with_the_margin_on_the_same_images(study, doubts):
    table, beside = alarm.selective(study, doubts, 40)
    assert (table.loc[table["score"] == "ixg", "auroc"] == 1).all()
    assert {"score", "finding", "auroc", "ci_low", "ci_high", "aurc"} <= set(table.columns)
    assert list(table.columns[:2]) == ["score", "finding"]
    assert len(table) == len(DOUBTS) * 2
    assert set(beside["score"]) == set(DOUBTS) - {"margin"}
    margin = table[table["score"] == "margin"].set_index("finding")["auroc"]
    for row in beside.itertuples():
        assert row.difference == pytest.approx(1 - margin[row.finding])
        assert row.p <= row.p_holm <= min(1, 2 * row.p)  # over two findings


def test_swaps_are_counted_over_all_findings(study, doubts):
    swaps = alarm.flipped(alarm.alarms(study, doubts)).set_index("method")
    assert alarm.NO_ALARM not in swaps.index
    assert swaps.loc["ixg", "flipped_wrong"] == 0
    assert swaps.loc["ixg", "p"] == pytest.approx(2 * 0.5 ** swaps.loc["ixg", "flipped_right"])


@pytest.mark.parametrize(
    ("spans", "difference", "p", "said"),
    [
        (
            {"ixg": (0.02, 0.01, 0.03), "lrp": (0.01, -0.01, 0.02)},
            0.1,
            0.01,
            ["raises the mean F1", "better", "10 of 10"],
        ),
        ({"ixg": (-0.02, -0.03, -0.01), "lrp": (-0.01, -0.02, -0.001)}, -0.1, 0.01, ["lowers", "worse", "10 of 10"]),
        (
            {"ixg": (0.0, -0.01, 0.01), "lrp": (0.01, -0.01, 0.02)},
            -0.1,
            0.9,
            ["No alarm", "0.55", "0.70", "no demonstrable difference"],
        ),
    ],
)
def test_the_sentence_follows_the_numbers(spans, difference, p, said):
    rows = [{"method": name, "f1": 0.5, "gain": g, "ci_low": lo, "ci_high": hi} for name, (g, lo, hi) in spans.items()]
    rows.append({"method": alarm.BEST_F1, "f1": 0.5, "gain": 0.05, "ci_low": 0.0, "ci_high": 0.1})
    beside = pd.DataFrame(
        [{"score": s, "finding": f, "difference": difference, "p_holm": p} for s in ("ixg", "lrp") for f in range(5)]
    )
    areas = {"ixg": 0.55, "lrp": 0.5, "margin": 0.7}
    found = pd.DataFrame([{"score": s, "finding": f, "auroc": a} for s, a in areas.items() for f in range(5)])
    text = alarm.answer(pd.DataFrame(rows), found, beside)
    assert all(word in text for word in said), text
    assert "without any map" in text  # the threshold of the best F1 gains more


def test_one_alarm_is_no_pair():
    rows = [{"method": name, "f1": 0.5, "gain": -0.02, "ci_low": -0.03, "ci_high": -0.01}
            for name in ("ixg", alarm.BEST_F1)]  # fmt: skip
    beside = pd.DataFrame([{"score": "ixg", "finding": f, "difference": 0.0, "p_holm": 1.0} for f in range(5)])
    found = pd.DataFrame([{"score": s, "finding": f, "auroc": 0.5} for s in ("ixg", "margin") for f in range(5)])
    text = alarm.answer(pd.DataFrame(rows), found, beside)
    assert text.startswith("An alarm from maps lowers the mean F1; maps alike, Input × Gradient changes it by −0.020")


def test_doubts_from_maps_of_a_method_that_cannot_explain_are_left_out_and_named(study):
    study.no_training, study.alarm_methods = "", alarm_methods(PROTOCOLS["corrected"])
    study.unexplained = {"lrp": "no rule", "input_x_gradient": ""}.get
    assert alarm.left_out(study) == "Left out: maps alike, LRP (no rule)."
    study.unexplained = {"lrp": "no rule", "input_x_gradient": "no gradient"}.get
    told = alarm.left_out(study)
    assert told.startswith("Left out: maps alike, Input × Gradient, ")
    assert told.endswith("(no gradient); maps alike, LRP (no rule).")
    study.title = "a network"
    with pytest.raises(SaltrustError, match="on a network: input_x_gradient: no gradient; lrp: no rule$"):
        alarm.doubts_of(study)


def test_there_are_words_for_the_maps_of_every_protocol():
    methods = {method for protocol in PROTOCOLS.values() for method in alarm_methods(protocol).values()}
    assert set(alarm.KINSHIP) == methods


def test_what_maps_add_is_asked_of_those_that_there_are(study, doubts):
    del doubts["lrp"]
    assert set(alarm.added(study, doubts)["score"]) == {"ixg"}


def test_over_all_findings_an_answer_is_a_row_and_a_film_a_group(study, doubts):
    """Beside the same regression from a table of rows, one after the other."""
    rng = np.random.default_rng(0)
    wrong = study.predicted("test") != study.present("test")
    doubts["ixg"] = {"test": wrong + 3 * rng.normal(size=wrong.shape) * [1, 50]}
    doubts["ixg"]["test"][7, 0] = np.nan
    rows = pd.DataFrame(
        [
            {"film": n, "finding": k, "wrong": wrong[n, k], "margin": doubts["margin"]["test"][n, k],
             "maps": doubts["ixg"]["test"][n, k]}
            for n in range(160) for k in (0, 1)
        ]
    )  # fmt: skip
    rows["maps"] = rows.groupby("finding")["maps"].transform(lambda of: (of - of.mean()) / of.std(ddof=0))
    rows = rows.dropna()
    second = rows["finding"] == 1
    base = np.column_stack([second, rows["margin"] * ~second, rows["margin"] * second])
    expected = adds_to(rows["wrong"], base, rows["maps"], rows["film"])
    (found,) = alarm.added_to_all(study, {name: doubts[name] for name in ("ixg", "margin")}).itertuples()
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-4)
    assert found.coefficient == pytest.approx(expected.coefficients[0], abs=1e-3)
    assert (found.answers, found.patients, found.reason) == (319, 160, "")
    assert found.p_independent == pytest.approx(adds_to(rows["wrong"], base, rows["maps"]).p, abs=1e-4)
    told = alarm.all_together(alarm.added_to_all(study, doubts))
    assert told.startswith(f"maps alike, Input × Gradient: {written(found.coefficient, '+.2f')} log odds")
    assert "maps alike, LRP: a plane separates" in told  # that doubt knows what is wrong

    study.clusters = lambda split: np.arange(160) // 4
    assert alarm.added_to_all(study, doubts)["patients"].tolist() == [40, 40]


@pytest.mark.parametrize("clusters", [None, np.repeat(np.arange(80), 2)])
def test_the_experiment_again_is_the_experiment_and_what_resamples_make_of_it(study, doubts, clusters):
    """Beside the table of alarms, the resamples of the chapter, and box plots that are drawn one value at a time."""
    study.clusters = lambda split: clusters if split == "test" else None
    few = {name: doubts[name] for name in ("margin", "lrp")}
    found = alarm.repeated(study, few, 6, drawn=400)
    means = alarm.alarms(study, few).query("finding == @alarm.MEAN").set_index("method")["f1"]
    nested = alarm.resampled_f1(study, few, 6, nested=True)
    assert len(found) == 7
    for name in few:
        assert found.loc[0, ("f1", name)] == pytest.approx(means[name])
        np.testing.assert_allclose(found["f1", name][1:], nested[name])
        fixed = alarm.resampled_f1(study, few, 400, nested=False)[name]
        assert found.loc[0, ("median", name)] == pytest.approx(fixed.median(), abs=0.4 * fixed.std() + 1e-12)
        assert found.loc[0, ("first_quartile", name)] == pytest.approx(fixed.quantile(0.25), abs=0.4 * fixed.std())
    oracle = found.xs("lrp", axis=1, level=1).loc[0]  # of this network, not of those with other thresholds
    assert (oracle == 1).all()


def test_images_of_one_patient_are_drawn_again_together():
    times, clusters = np.array([2, 2, 0, 1, 1, 0]), np.array(["a", "a", "b", "c", "c", "b"])
    drawn = alarm._drawn_again(times, 50, np.random.default_rng(0), clusters)
    assert (drawn[:, [0, 3]] == drawn[:, [1, 4]]).all()
    assert (drawn[:, [2, 5]] == 0).all()
    assert (drawn.sum(axis=1) == times.sum()).all()
