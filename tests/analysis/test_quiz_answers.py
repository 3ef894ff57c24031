"""The analysis of a study with people, on simulated participants whose effects are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm, ttest_1samp
from statsmodels.stats.power import NormalIndPower

from saltrust.analysis.quiz_answers import by_arm, by_kind, detection, mean_interval, model, needed, power
from saltrust.analysis.quiz_reading import ARMS
from saltrust.core.errors import SaltrustError


def simulated(participants=160, tasks=14, maps=0.8, scores=0.0, bias=1.0, seed=0):
    """Answers of people who see the network's answer in noise: with maps better, in log odds of being right."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.resize(["tp", "fn", "fp", "tn"], tasks))
    ease, skill = 0.5 * rng.normal(size=tasks), 0.4 * rng.normal(size=participants)
    rows = []
    for person in range(participants):
        arm = ARMS[person % 4]
        for trial, task in enumerate(rng.permutation(tasks), 1):
            recognised = kinds[task] in ("tp", "fp")
            odds = 0.2 + ease[task] + skill[person]
            odds += maps * (arm in ("maps", "both")) + scores * (arm in ("scores", "both"))
            right = rng.random() < expit(odds + (bias if recognised else -bias))
            named = int(rng.integers(1, 4))
            local = int(rng.binomial(named, 0.8 if arm in ("maps", "both") else 0.5))
            rows.append(
                {
                    "participant": person + 1,
                    "arm": arm,
                    "trial": trial,
                    "task": f"t{task + 1}",
                    "kind": kinds[task],
                    "recognised": recognised,
                    "said": recognised == right,
                    "right": right,
                    "confidence": 3,
                    "named": named,
                    "local": local,
                    "telling": 0,
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def answers():
    return simulated()


def test_the_mixed_model_finds_the_effect_of_maps_and_none_of_scores(answers):
    found = model(answers)
    assert found.converged
    terms = found.table.set_index("term")
    assert list(terms.index) == ["intercept", "maps", "scores", "maps:scores"]
    assert terms.loc["maps", "p"] < 1e-4
    assert abs(terms.loc["maps", "estimate"] - 0.8) < 3 * terms.loc["maps", "se"]
    for name in ("scores", "maps:scores"):
        assert abs(terms.loc[name, "estimate"]) < 3 * terms.loc[name, "se"]
    assert found.spreads["task"] > 0.4, "the bias differs between tasks, too"


def test_effects_are_found_as_often_as_they_should_where_there_are_none():
    """Ten studies without an effect: by chance one of two hundred has a p below 0.005."""
    found = [
        model(simulated(32, 8, maps=0.0, seed=seed)).table.set_index("term").loc["maps", "p"] for seed in range(10)
    ]
    assert min(found) > 0.005
    assert max(found) > 0.3


def test_terms_that_the_arms_cannot_tell_apart_are_left_out(answers):
    two = answers[answers["arm"].isin(["neither", "maps"])]
    assert list(model(two).table["term"]) == ["intercept", "maps"]
    assert list(model(answers[answers["arm"] == "both"]).table["term"]) == ["intercept"]
    with pytest.raises(SaltrustError, match="two participants or more"):
        model(answers[answers["participant"] == 1])


def test_means_by_arm_are_of_participants_with_t_intervals(answers):
    table = by_arm(answers, n_boot=200).set_index(["measure", "arm"])
    for arm in ARMS:
        people = answers[answers["arm"] == arm].groupby("participant")["right"].mean()
        row = table.loc["right", arm]
        interval = ttest_1samp(people, 0).confidence_interval(0.95)
        assert row["value"] == pytest.approx(people.mean())
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
        assert (row["participants"], row["answers"]) == (40, 560)
        assert table.loc["confidence", arm]["value"] == 3
    for arm, ratio in zip(ARMS, (0.5, 0.5, 0.8, 0.8), strict=True):
        row = table.loc["local", arm]
        assert row["ci_low"] < ratio < row["ci_high"]


def test_a_bias_is_a_criterion_and_maps_are_d_prime(answers):
    table = by_arm(answers, n_boot=500).set_index(["measure", "arm"])
    assert (table.loc["criterion"]["ci_high"] < 0).all(), "all say 'it will' too often"
    assert (table.loc["said"]["ci_low"] > 0.5).all()
    assert table.loc["d_prime", "maps"]["ci_low"] > table.loc["d_prime", "neither"]["value"]
    for arm in ARMS:
        own = answers[answers["arm"] == arm]
        hit, alarm = ((own["said"] & (own["recognised"] == is_)).sum() + 0.5 for is_ in (True, False))
        signals, noises = ((own["recognised"] == is_).sum() + 1 for is_ in (True, False))
        z = norm.ppf([hit / signals, alarm / noises])
        assert table.loc["d_prime", arm]["value"] == pytest.approx(z[0] - z[1])
        assert table.loc["criterion", arm]["value"] == pytest.approx(-z.sum() / 2)


def test_detection_finds_what_an_observer_has():
    """Of many answers: an observer with d' 1.2 who says "it will" above -0.3, from the middle between both means."""
    n = 10**6
    hits, alarms = n * norm.sf(-0.3 - 0.6), n * norm.sf(-0.3 + 0.6)
    d, c = detection(np.array(hits), np.array(n), np.array(alarms), np.array(n))
    assert (float(d), float(c)) == pytest.approx((1.2, -0.3), abs=1e-4)
    d, _ = detection(np.array(7), np.array(7), np.array(0), np.array(7))
    assert float(d) == pytest.approx(2 * norm.ppf(7.5 / 8)), "all right is finite"


def test_by_kind_and_single_participants(answers):
    table = by_kind(answers).set_index("kind")
    for kind in ("tp", "fp"):
        assert table.loc[kind, "value"] > max(table.loc[["fn", "tn"], "value"])
    assert table["answers"].sum() == len(answers)
    alone = by_arm(answers[answers["participant"] == 3], n_boot=20)
    assert set(alone["arm"]) == {"maps"}
    assert alone["ci_low"].isna().all()
    assert alone["value"].notna().all()
    nothing = answers[answers["participant"] == 3].assign(named=0, local=0)
    assert by_arm(nothing, n_boot=20).set_index("measure").loc["local", "participants"] == 0
    assert np.isnan(mean_interval(np.array([]))).all()


def test_power_is_that_of_the_review_and_of_simulated_studies():
    assert power(0.056, participants=64, tasks=14) == pytest.approx(0.40, abs=0.005)
    rng = np.random.default_rng(0)
    base, effect, participants, tasks, spread = 0.5, 0.1, 60, 20, 0.12
    beta = base * (1 - base) / spread**2 - 1  # shares of participants: Beta distributions with that spread
    shares = []
    for mean in (base, base + effect):
        beta = mean * (1 - mean) / spread**2 - 1
        of_each = rng.beta(mean * beta, (1 - mean) * beta, size=(4000, participants // 2))
        shares.append(rng.binomial(tasks, of_each) / tasks)
    difference = shares[1].mean(axis=1) - shares[0].mean(axis=1)
    error = np.sqrt(sum(one.var(axis=1, ddof=1) for one in shares) / (participants / 2))
    found = (np.abs(difference / error) > norm.ppf(0.975)).mean()
    assert power(effect, participants, tasks, base, spread) == pytest.approx(found, abs=0.03)
    assert power(effect, participants, tasks, base, spread) < power(effect, participants, tasks, base) - 0.1


def test_power_is_that_of_statsmodels_where_both_groups_have_the_same_variance():
    effect = 0.1  # 0.45 and 0.55
    expected = NormalIndPower().power(effect / np.sqrt(0.2475), nobs1=30 * 10, alpha=0.05)
    assert power(effect, participants=60, tasks=10, base=0.45) == pytest.approx(expected, abs=1e-9)
    assert power(-effect, participants=60, tasks=10, base=0.55) == pytest.approx(expected, abs=1e-9)
    assert power(0.0, 64, 14) == pytest.approx(0.05)


def test_of_a_single_task_it_does_not_matter_that_participants_differ():
    """One answer each is drawn with the mean share, whoever gives it."""
    assert power(0.1, 60, 1, spread=0.3) == pytest.approx(power(0.1, 60, 1), abs=1e-12)


def test_the_participants_that_are_needed_just_suffice():
    count = needed(0.056, 14)
    assert count % 2 == 0
    assert power(0.056, count, 14) >= 0.8 > power(0.056, count - 2, 14)
    assert needed(0.056, 14, spread=0.1) > count


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: power(0.6, 64, 14), "shares between 0 and 1"),
        (lambda: power(0.1, 1, 14), "2 participants"),
        (lambda: power(0.1, 64, 14, spread=0.6), "have a standard deviation of 0.6"),
        (lambda: needed(0.0, 14), "no number of participants"),
    ],
)
def test_impossible_studies_are_refused(call, message):
    with pytest.raises(SaltrustError, match=message):
        call()
