"""What the numbers of Shu et al. imply. Oracle of the search: percentages printed from counts that are known."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltrust.analysis import informer
from saltrust.analysis.informer import FINDINGS, IXG, LRP, TABLE, counts_behind, means_of_table
from saltrust.core.errors import SaltrustError
from saltrust.scores.alarm import f1

PRINTED = (informer.IMAGES, informer.SENSITIVITIES, informer.SPECIFICITIES)


@pytest.mark.parametrize("known", [None, informer.F1_ENTROPY])
def test_the_papers_percentages_are_one_image(known):
    """The F1 is not needed: the four percentages have one solution."""
    (found,) = counts_behind(*PRINTED, known).to_dict("records")
    assert [found[name] for name in ("positives", "tp_before", "tp_after", "tn_before", "tn_after")] == [
        29, 20, 21, 131, 130,
    ]  # fmt: skip
    assert round(found["f1_before"], 3) == informer.F1_ENTROPY
    assert found["f1_after"] == pytest.approx(0.24, abs=1e-12)
    assert round(found["f1_after"], 3) == TABLE[IXG][0][FINDINGS.index("Consolidation")]
    before, after = informer.SENSITIVITIES
    assert round(informer.PATIENTS * (after - before)) == 51_000


def test_another_f1_has_no_solution():
    assert counts_behind(*PRINTED, 0.24).empty
    assert list(counts_behind(*PRINTED, 0.24)) == list(counts_behind(*PRINTED))


@st.composite
def counts(draw):
    n = draw(st.integers(2, 40))
    positives = draw(st.integers(1, n - 1))
    right = [draw(st.integers(0, most)) for most in (positives, positives, n - positives, n - positives)]
    return n, positives, right


@given(counts(), st.integers(1, 3))
def test_the_counts_that_were_printed_are_among_the_solutions(case, digits):
    n, positives, (tp, tp_after, tn, tn_after) = case
    shares = [round(count / positives, digits) for count in (tp, tp_after)]
    passed = [round(count / (n - positives), digits) for count in (tn, tn_after)]
    labels = np.arange(n) < positives
    predicted = np.r_[np.arange(positives) < tp, np.arange(n - positives) >= tn]
    found = counts_behind(n, tuple(shares), tuple(passed), round(f1(predicted, labels), digits), digits)
    own = found[found["positives"] == positives]
    own = own[(own[["tp_before", "tp_after", "tn_before", "tn_after"]] == [tp, tp_after, tn, tn_after]).all(axis=1)]
    assert own["f1_before"].tolist() == [pytest.approx(f1(predicted, labels), abs=1e-12)]


def test_the_search_is_exhaustive():
    """Oracle: all counts of twenty images, one after the other."""
    n, shares, passed = 20, (0.5, 0.8), (0.8, 0.6)
    slow = [
        (p, *c)
        for p in range(1, n)
        for c in product(range(p + 1), range(p + 1), range(n - p + 1), range(n - p + 1))
        if all(
            abs(count / of - share) <= 0.05 + 1e-9
            for count, of, share in zip(c, (p, p, n - p, n - p), (*shares, *passed), strict=True)
        )
    ]
    found = counts_behind(n, shares, passed, digits=1)
    assert len(slow) > 1
    assert [tuple(row) for row in found.iloc[:, :5].to_numpy().tolist()] == slow


def test_two_rows_of_the_table_do_not_have_their_means():
    found = means_of_table().set_index("alarm")
    assert found["agrees"].to_dict() == {name: name not in (IXG, LRP) for name in TABLE}
    for name, (cells, printed) in TABLE.items():
        ends = [np.mean(np.add(cells, off)) for off in (-0.0005, 0, 0.0005)]
        assert found.loc[name, ["low", "mean", "high"]].tolist() == pytest.approx(ends, abs=1e-12)
        assert found.loc[name, "agrees"] == (round(ends[0], 3) <= printed <= round(ends[2], 3))


def test_with_the_cells_of_consolidation_exchanged_all_means_agree():
    """Those of atelectasis would do for the means, too, but the text says that Input × Gradient, not LRP, moved it."""
    fits = {finding: means_of_table(exchanged=finding)["agrees_exchanged"].all() for finding in FINDINGS}
    assert [finding for finding, does in fits.items() if does] == ["Atelectasis", "Consolidation"]
    found = means_of_table().set_index("alarm")
    assert found["mean_exchanged"].round(3).to_dict() == {name: printed for name, (_, printed) in TABLE.items()}
    atelectasis = means_of_table(exchanged="Atelectasis")
    assert atelectasis["mean_exchanged"].round(3).tolist() != atelectasis["printed"].tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: counts_behind(1, (0.5, 0.5), (0.5, 0.5)), "counts of 1 images"),
        (lambda: counts_behind(9, (0.5, 1.5), (0.5, 0.5)), "1.5"),
        (lambda: counts_behind(9, (0.5, 0.5), (0.5, np.nan)), "nan"),
        (lambda: counts_behind(9, (0.5, 0.5), (0.5, 0.5), digits=0), "0 digits"),
        (lambda: means_of_table(exchanged="Edem"), "no cells of 'Edem'"),
        (lambda: means_of_table({IXG: TABLE[IXG]}), f"between {IXG} and {LRP}"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(SaltrustError, match=message):
        call()
