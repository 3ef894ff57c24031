"""The alternative annotator test, against the paper's procedure step by step, and cases whose answer is known."""

import numpy as np
import pytest
from scipy.stats import t as student

from saltrust.core.errors import SaltrustError
from saltrust.stats.alternative_annotator import EPSILON, alternative_annotator
from saltrust.stats.bootstrap import difference


def by_the_paper(candidate, readers, epsilon, q=0.05):
    """Section 3 of Calderon et al., one image at a time: winning rate, average advantage, p of each reader."""
    advantages, p = [], []
    for own, other in zip(candidate.tolist(), readers.tolist(), strict=True):
        gaps, wins = [], 0
        for f, h in zip(own, other, strict=True):
            if f != f or h != h:
                continue
            w_f, w_h = int(f >= h), int(h >= f)
            gaps.append(w_h - w_f)
            wins += w_f
        n, mean = len(gaps), sum(gaps) / len(gaps)
        variance = sum((gap - mean) ** 2 for gap in gaps) / (n - 1)
        advantages.append(wins / n)
        p.append(float(student.cdf((mean - epsilon) / (variance / n) ** 0.5, n - 1)))
    harmonic = sum(1 / k for k in range(1, len(p) + 1))
    ranked = sorted(p)
    won = max((k for k in range(1, len(p) + 1) if ranked[k - 1] <= k * q / (len(p) * harmonic)), default=0)
    return won / len(p), sum(advantages) / len(p), p


def drawn(seed, readers=4, images=60, levels=5, missing=0.2, ahead=0.0):
    """Alignments with ties, and gaps where a reader did not read."""
    rng = np.random.default_rng(seed)
    candidate, own = rng.integers(0, levels, (2, readers, images)).astype(float)
    own[rng.random(own.shape) < missing] = np.nan
    return candidate + ahead * rng.random(own.shape), own


@pytest.mark.parametrize("ahead", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.2])
def test_as_published_it_is_the_papers_procedure(ahead, epsilon):
    rates = []
    for seed in range(12):
        candidate, own = drawn(seed, ahead=ahead)
        rate, advantage, p = by_the_paper(candidate, own, epsilon)
        found = alternative_annotator(candidate, own, epsilon, "published", n_boot=20)
        assert found.winning_rate == pytest.approx(rate)
        assert found.advantage == pytest.approx(advantage)
        np.testing.assert_allclose(found.readers["p"], p, rtol=1e-9)
        assert found.readers["n"].tolist() == (~np.isnan(own)).sum(axis=1).tolist()
        rates.append(rate)
    if (ahead, epsilon) == (0.0, 0.0):
        assert max(rates) < 1
    if (ahead, epsilon) == (2.5, 0.2):
        assert max(rates) == 1


def test_the_bootstrap_says_what_students_t_says_of_independent_images():
    for seed in range(6):
        candidate, own = drawn(seed, images=200, ahead=1.0)
        p = [
            alternative_annotator(candidate, own, 0.1, test, n_boot=4000).readers["p"]
            for test in ("bootstrap", "published")
        ]
        np.testing.assert_allclose(*p, atol=0.03)


def test_the_interval_is_that_of_the_mean_where_all_readers_read_all():
    candidate, own = drawn(3, missing=0)
    found = alternative_annotator(candidate, own, n_boot=300, seed=5)
    expected = difference((candidate >= own).mean(axis=0), 0.0, paired=True, n_boot=300, seed=5)
    assert found.advantage == pytest.approx(expected["difference"])
    assert (found.ci_low, found.ci_high) == pytest.approx((expected["ci_low"], expected["ci_high"]))


@pytest.mark.parametrize("test", ["bootstrap", "published"])
def test_a_candidate_as_good_as_all_beats_them_only_where_it_costs_less(test):
    own = drawn(0, missing=0)[1]
    twin = alternative_annotator(own, own, EPSILON, test)
    assert (twin.advantage, twin.winning_rate, twin.passed) == (1.0, 1.0, True)
    assert twin.readers["of_reader"].tolist() == [1.0] * 4
    strict = alternative_annotator(own, own, 0.0, test)
    assert (strict.advantage, strict.winning_rate, strict.passed) == (1.0, 0.0, False)


@pytest.mark.parametrize("test", ["bootstrap", "published"])
def test_one_who_is_always_ahead_or_always_behind(test):
    own = drawn(1, missing=0)[1]
    ahead, behind = (alternative_annotator(own + step, own, 0.0, test) for step in (1e-6, -1e-6))
    assert (ahead.advantage, ahead.winning_rate, ahead.ci_low, ahead.ci_high) == (1.0, 1.0, 1.0, 1.0)
    assert (behind.advantage, behind.winning_rate, behind.ci_low, behind.ci_high) == (0.0, 0.0, 0.0, 0.0)
    assert not alternative_annotator(own - 1, own, 0.9, test).passed


def test_of_two_readers_the_one_who_is_beaten_counts_half():
    own = np.zeros((2, 40))
    candidate = np.stack([np.ones(40), -np.ones(40)])
    found = alternative_annotator(candidate, own)
    assert found.readers["beaten"].tolist() == [True, False]
    assert (found.winning_rate, found.advantage, found.passed) == (0.5, 0.5, True)


@pytest.mark.parametrize("seed", range(5))
def test_only_which_of_two_is_higher_counts(seed):
    candidate, own = drawn(seed)
    found, other = (alternative_annotator(*pair, n_boot=50) for pair in ((candidate, own), (candidate**3, own**3)))
    assert found.readers.equals(other.readers)


def test_rounding_makes_no_winner():
    own = np.full((2, 30), 0.3)
    assert alternative_annotator(own - 1e-15, own).readers["advantage"].tolist() == [1.0, 1.0]


def test_copies_of_an_image_are_no_more_evidence():
    """Each image five times: its patient is drawn, and p stays. Student's t takes the copies for images."""
    candidate, own = drawn(2, images=40, ahead=0.9)
    patients = np.array([f"p{k:02d}" for k in range(40)])
    many = [np.repeat(one, 5, axis=1) for one in (candidate, own)]
    once = alternative_annotator(candidate, own)
    again = alternative_annotator(*many, clusters=np.repeat(patients, 5))
    np.testing.assert_allclose(again.readers["p"], once.readers["p"])
    assert (again.ci_low, again.ci_high) == pytest.approx((once.ci_low, once.ci_high))
    few, copies = (alternative_annotator(*pair, test="published").readers["p"] for pair in ((candidate, own), many))
    lower = few < 0.5
    assert lower.any()
    assert (copies[lower] < few[lower]).all()


def test_patients_whose_images_are_alike_deceive_students_t_and_not_the_bootstrap():
    """The candidate is behind by epsilon exactly. At 5 %, that should be rejected once in twenty."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 6)
    rejected = {"bootstrap": 0, "published": 0}
    for _ in range(150):
        behind = rng.random(40)[patients] < 0.6  # of readers 0.6, of the candidate 0.4: 0.2 behind
        candidate, own = np.where(behind, 0.0, 1.0)[None], np.where(behind, 1.0, 0.0)[None]
        for test in rejected:
            found = alternative_annotator(candidate, own, 0.2, test, patients, n_boot=200)
            rejected[test] += int(found.readers["p"][0] <= 0.05)
    assert rejected["bootstrap"] / 150 < 0.1
    assert rejected["published"] / 150 > 0.15


def test_a_reader_on_whom_nothing_can_be_said_has_no_test():
    own = np.full((3, 30), 0.5)
    own[1] = np.nan
    own[2, 1:] = np.nan
    found = alternative_annotator(own, own)
    assert found.readers["n"].tolist() == [30, 0, 1]
    assert found.readers["p"].isna().tolist() == [False, True, True]
    assert found.readers["beaten"].tolist() == [True, False, False]
    assert (found.winning_rate, found.advantage) == (1.0, 1.0)
    one_patient = alternative_annotator(own, own, clusters=np.zeros(30))
    assert one_patient.readers["p"].isna().all()
    assert np.isnan([one_patient.winning_rate, one_patient.advantage, one_patient.ci_low]).all()
    assert not one_patient.passed
    assert alternative_annotator(own, own, test="published", clusters=np.zeros(30)).winning_rate == 1.0


def test_a_resample_without_a_readers_images_is_not_for_the_candidate():
    own = np.full((1, 200), np.nan)
    own[0, :2] = 0.5
    found = alternative_annotator(own + 1, own, n_boot=2000)
    assert found.readers["p"][0] == pytest.approx((1 - 2 / 200) ** 200, abs=0.04)  # nothing else speaks against it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros(3)), r"alignments of shapes \(3,\) and \(3,\): pass \(readers, images\)"),
        ((np.zeros((2, 3)), np.zeros((2, 4))), r"alignments of shapes \(2, 3\) and \(2, 4\)"),
        ((np.zeros((0, 3)), np.zeros((0, 3))), "alignments of shapes"),
        ((np.zeros((2, 3)), np.zeros((2, 3)), 1.0), "an epsilon of 1.0: must be a share"),
        ((np.zeros((2, 3)), np.zeros((2, 3)), -0.1), "an epsilon of -0.1: must be a share"),
        ((np.zeros((2, 3)), np.zeros((2, 3)), 0.1, "ttest"), "unknown test 'ttest'; known: bootstrap, published"),
        ((np.zeros((2, 3)), np.zeros((2, 3)), 0.1, "bootstrap", np.zeros(2)), r"clusters of shape \(2,\) for 3 images"),
        ((np.zeros((2, 3)), np.zeros((2, 3)), 0.1, "bootstrap", None, 0), "0 resamples: pass at least 1"),
    ],
)
def test_what_cannot_be_tested_is_refused(arguments, message):
    with pytest.raises(SaltrustError, match=message):
        alternative_annotator(*arguments)
