"""Formulas as MathML, so that a page needs no script and no network."""

import re

from latex2mathml.converter import convert

# latex2mathml 3 writes these as a plain tilde and as a rare operator that few fonts hold.
OPERATORS = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    "<mi>&#x029F5;</mi>": "<mo>&#x02216;</mo>",
}
LARGE = r"\displaystyle"


def to_mathml(latex: str, block: bool) -> str:
    r"""A formula as a <math> element.

    A formula within the text that starts with \displaystyle keeps its place and has large signs with limits above and
    below.

    Args:
        latex: The formula, without dollars.
        block: Whether it stands on its own line rather than within the text.

    Raises:
        ValueError: for a formula that cannot be read, or a command that is not known, which would appear as text.

    >>> to_mathml("x", block=False)
    '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>x</mi></mrow></math>'
    """
    large = latex.lstrip().startswith(LARGE)
    try:
        element = convert(latex.replace(LARGE, ""), display="block" if block or large else "inline")
    except Exception as error:  # the parser has a dozen types of its own, all of which mean the same here
        raise ValueError(f"{error!r}") from error
    if unknown := re.search(r"\\[A-Za-z]+", element):
        raise ValueError(f"unknown command {unknown[0]}")
    for written, meant in OPERATORS.items():
        element = element.replace(written, meant)
    if large and not block:
        element = element.replace('display="block"', 'display="inline" displaystyle="true"', 1)
    return element
