"""References: votes counted pixel by pixel; STAPLE derived again, and on readers whose errors are known."""

from itertools import product

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.scores.agreement import counted, iou
from saltrust.scores.consensus import REFERENCES, majority, staple, voted


@pytest.fixture
def masks():
    rng = np.random.default_rng(5)
    return rng.random((4, 6, 7)) < np.array([0.2, 0.4, 0.5, 0.7])[:, None, None]


@pytest.mark.parametrize("votes", [1, 2, 3, 4])
def test_votes_are_counted_pixel_by_pixel(masks, votes):
    expected = [[sum(bool(one[y, x]) for one in masks) >= votes for x in range(7)] for y in range(6)]
    np.testing.assert_array_equal(voted(masks, votes), expected)
    assert majority(4) == 3
    np.testing.assert_array_equal(voted(masks), voted(masks, 3))


@pytest.mark.parametrize("votes", [0, 5])
def test_more_votes_than_readers_are_refused(masks, votes):
    with pytest.raises(SaltrustError, match=f"{votes} votes of 4 readers: 1 to 4 are possible"):
        voted(masks, votes)


def slow_staple(masks, prior, rounds):
    """Equations 15, 18 and 19 of the paper with its letters, pixel by pixel and reader by reader."""
    D = masks.reshape(len(masks), -1).T  # D[i][j]: decision of reader j on pixel i
    p, q = [0.99] * len(masks), [0.99] * len(masks)
    readers = range(len(masks))
    for _ in range(rounds):
        W = []
        for d in D:
            a, b = prior, 1 - prior
            for j in readers:
                a *= p[j] if d[j] else 1 - p[j]
                b *= 1 - q[j] if d[j] else q[j]
            W.append(a / (a + b))
        p = [sum(w for w, d in zip(W, D, strict=True) if d[j]) / sum(W) for j in readers]
        q = [sum(1 - w for w, d in zip(W, D, strict=True) if not d[j]) / sum(1 - w for w in W) for j in readers]
    return W, p, q


@pytest.mark.parametrize("prior", [None, 0.3])
def test_staple_is_the_papers(masks, prior):
    masks[:, :3, :3] = True  # so that there is something to agree on
    found = staple(masks, prior)
    weights, sensitivity, specificity = slow_staple(masks, masks.mean() if prior is None else prior, found.rounds)
    np.testing.assert_allclose(found.sensitivity, sensitivity, atol=1e-5)
    np.testing.assert_allclose(found.specificity, specificity, atol=1e-5)
    np.testing.assert_allclose(found.probability.ravel(), weights, atol=1e-5)


def test_staple_finds_how_well_simulated_readers_see():
    rng = np.random.default_rng(11)
    sensitivity, specificity = np.array([0.95, 0.8, 0.6, 0.9]), np.array([0.9, 0.99, 0.97, 0.8])
    truth = rng.random((300, 300)) < 0.2
    drawn = rng.random((4, 300, 300)) < np.where(truth, sensitivity[:, None, None], 1 - specificity[:, None, None])
    found = staple(drawn, prior=0.2)
    np.testing.assert_allclose(found.sensitivity, sensitivity, atol=0.02)
    np.testing.assert_allclose(found.specificity, specificity, atol=0.01)
    best = iou(counted(found.mask, truth))
    assert best >= max(iou(counted(voted(drawn, votes), truth)) for votes in (1, 2, 3, 4))
    assert best > iou(counted(drawn[0], truth))


def test_where_nobody_or_everybody_marked_everything():
    none = staple(np.zeros((3, 2, 2), bool))
    assert not none.mask.any()
    assert np.isnan(none.sensitivity).all()
    assert none.specificity.tolist() == [1, 1, 1]
    every = staple(np.ones((3, 2, 2), bool))
    assert every.mask.all()
    assert every.sensitivity.tolist() == [1, 1, 1]
    assert np.isnan(every.specificity).all()


def test_readers_who_contradict_each_other_in_every_pixel():
    left = np.array([[True, False]] * 2)
    found = staple(np.array([left, ~left]))
    assert np.isfinite(found.probability).all()


def test_staple_refuses_what_it_cannot_count():
    with pytest.raises(SaltrustError, match="up to 62 readers, not 63"):
        staple(np.zeros((63, 2, 2), bool))
    with pytest.raises(SaltrustError, match="a prior of 2 is no probability"):
        staple(np.zeros((3, 2, 2), bool), prior=2)


def test_a_reference_without_the_reader_does_not_change_with_his_marks(masks):
    """What `holds` says is what happens when one reader draws something else."""
    other = masks.copy()
    other[0] = ~other[0]
    for name, reference in REFERENCES.items():
        before, after = reference(masks)[0], reference(other)[0]
        assert np.array_equal(before, after) != reference.holds, name
        assert before.shape == (3 if name == "pairwise" else 1, 6, 7)


def test_every_reference_of_every_reader(masks):
    three = masks[:3]
    for reader in range(3):
        a, b = (three[k] for k in range(3) if k != reader)
        expected = {
            "consensus": (three.sum(axis=0) >= 2)[None],
            "union": (three[0] | three[1] | three[2])[None],
            "intersection": (three[0] & three[1] & three[2])[None],
            "others": (a & b)[None],
            "pairwise": np.array([a, b]),
        }
        for name, mask in expected.items():
            np.testing.assert_array_equal(REFERENCES[name](three, 2)[reader], mask, err_msg=name)
        np.testing.assert_array_equal(REFERENCES["others"](three, 1)[reader], (a | b)[None])
        np.testing.assert_array_equal(REFERENCES["staple"](three)[reader, 0], staple(three).mask)
        np.testing.assert_array_equal(REFERENCES["others_staple"](three)[reader, 0], staple(np.array([a, b])).mask)


def test_who_is_in_the_consensus_scores_higher():
    """Readers who draw at random agree with nobody, but with a consensus that holds them."""
    rng = np.random.default_rng(2)
    masks = rng.random((3, 200, 200)) < 0.1

    def mean(name):
        return iou(counted(masks[:, None], REFERENCES[name](masks))).mean()

    p = 0.1
    two = 3 * p**2 * (1 - p) + p**3  # probability of two marks or three
    held = p * (1 - (1 - p) ** 2)  # of a mark of this reader, and one of another
    assert mean("pairwise") == pytest.approx(p / (2 - p), abs=0.005)
    assert mean("consensus") == pytest.approx(held / (p + two - held), abs=0.01)
    assert mean("consensus") > 3 * mean("pairwise")


def test_one_reader_alone_agrees_with_nobody(masks):
    for reference, votes in product(REFERENCES.values(), (None, 1)):
        with pytest.raises(SaltrustError, match="agreement needs two readers or more"):
            reference(masks[:1], votes)
