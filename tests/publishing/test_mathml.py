"""Formulas as MathML."""

from xml.etree import ElementTree

import pytest

from saltrust.publishing.mathml import to_mathml

MATHML = "{http://www.w3.org/1998/Math/MathML}"


def test_a_large_formula_in_text_has_limits_above_and_below():
    element = ElementTree.fromstring(to_mathml(r"\displaystyle \sum_{k=1}^n x \sim y \setminus z", block=False))
    assert (element.get("display"), element.get("displaystyle")) == ("inline", "true")
    assert element.find(f".//{MATHML}munderover") is not None
    assert {mo.text for mo in element.iter(f"{MATHML}mo")} >= {
        "\N{N-ARY SUMMATION}",
        "\N{TILDE OPERATOR}",
        "\N{SET MINUS}",
    }


MARKUP = ["<script>alert(1)</script>", '<mtext onclick="alert(1)">', '<a href="javascript:alert(1)">x</a>', "<b>", "&x"]


@pytest.mark.parametrize("formula", [r"\nosuchcommand x", "a^b^c", *(rf"\text{{{text}}}" for text in MARKUP)])
def test_a_formula_that_cannot_be_read_is_refused(formula):
    with pytest.raises(ValueError, match="."):
        to_mathml(formula, block=True)
