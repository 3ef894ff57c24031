"""Formulas as MathML, so that a page needs no script and no network."""

import re
from xml.etree import ElementTree

from latex2mathml.converter import convert

# latex2mathml 3 writes these as a plain tilde and as a rare operator that few fonts hold.
OPERATORS = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    "<mi>&#x029F5;</mi>": "<mo>&#x02216;</mo>",
}
LARGE = r"\displaystyle"
# What it writes; a text within a formula could bring along any other.
ELEMENTS = {"math", "menclose", "mfrac", "mi", "mn", "mo", "mover", "mpadded", "mphantom", "mroot", "mrow", "mspace"}
ELEMENTS |= {"msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover"}
ACTING = re.compile(r"on|href|src|style$")  # how names of attributes begin that load or run something


def to_mathml(latex: str, block: bool) -> str:
    r"""A formula as a <math> element.

    A formula within the text that starts with \displaystyle keeps its place and has large signs with limits above and
    below.

    Args:
        latex: The formula, without dollars.
        block: Whether it stands on its own line rather than within the text.

    Raises:
        ValueError: for a formula that cannot be read, or a command that is not known, which would appear as text, or
            markup in a text within it.

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
    try:
        for one in ElementTree.fromstring(element).iter():
            if one.tag.rpartition("}")[2] not in ELEMENTS or any(map(ACTING.match, one.attrib)):
                raise ValueError(f"{one.tag} in a formula")
    except ElementTree.ParseError as error:
        raise ValueError(f"markup in a formula: {error}") from error
    for written, meant in OPERATORS.items():
        element = element.replace(written, meant)
    if large and not block:
        element = element.replace('display="block"', 'display="inline" displaystyle="true"', 1)
    return element
