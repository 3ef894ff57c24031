"""Each example shows what it says: ours is what the number should be, and the library's is another, or it refuses."""

import re

import pytest

from saltrust.analysis.libraries.examples import EXAMPLES, example_table
from saltrust.models.torchvision_compat import torchvision  # noqa: F401  # first: a library imports it, too

BY_HAND = {
    "guided_function": (0, -1),  # the gradient of -relu(x)
    "deeplift_function": (1, 2),  # the slope 1 at x = 1, times the change of 2
    "deeplift_overlap": (6, 3),  # 3 from each window; the second overwrites the first
    "deeplift_relu_then_maximum": (1, 2),
    "deeplift_reused": (2, "captum .* refuses: RuntimeError: A Module ReLU"),
    "trapezoid": (1, 0.8),  # (5 - 1) / 5
    "smoothgrad_absolute": (-2, 2),
    "lrp_pooling": (0.5, 1),  # 1 of the sum 4, of a mean of 2; or half of 2
    "lrp_gelu": (0.841345, "captum .* refuses: TypeError: Module of type .*GELU.* has no rule defined"),
    "path_with_both_ends": (1, 1.125),  # the mean of 3 t² at 0, 1/4, 1/2, 3/4 and 1
    "smoothgrad_squares": (-2, 4),
    "xrai_baselines": (-1, -0.5),  # -2 times the mean of 0.5 - (-1) and 0.5 - 1; or of 0.5 - 0 and 0.5 - 0.5
    "guided_ig": (-2, "PAIR saliency .* refuses: TypeError: quantile"),
    "scaled_cam": (0.01, 1),
}


def test_there_is_an_answer_for_each():
    assert set(EXAMPLES) == set(BY_HAND)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_it_says(name):
    should_be, ours, theirs = EXAMPLES[name].numbers()
    expected, found = BY_HAND[name]
    assert should_be == pytest.approx(expected, rel=1e-5)
    assert ours == pytest.approx(expected, rel=1e-4, abs=1e-6)
    if isinstance(found, str):
        assert re.match(found, theirs)
    else:
        assert theirs == pytest.approx(found, rel=1e-5)


def test_the_table_has_numbers_or_refusals():
    table = example_table()
    assert list(table["name"]) == list(EXAMPLES)
    assert (table["theirs"].isna() == (table["refusal"] != "")).all()
    assert (table["refusal"] != "").sum() == 3
