"""Characters that are not seen are found and written out; what spells words of other scripts stays."""

import pytest

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.visible import brief, hidden, visible

SEEN = ["pneumothorax", "пневмоторакс", "肺", "می\u200cکند", "a\u0301", "€", "\N{NO-BREAK SPACE}", "👩\u200d⚕"]
HIDDEN = ["\0", "\n", "\t", "\x1b", "\x7f", "\x85", "\xad", "\u200b", "\u200e", "\u202e", "\u2028", "\u2066", "\ufeff"]
HIDDEN += ["\ud800", "\udcff", "\U000e0041"]


@pytest.mark.parametrize("text", SEEN)
def test_what_is_seen_stays_as_it_is(text):
    assert (hidden(text), visible(text)) == ("", text)


@pytest.mark.parametrize("letter", HIDDEN, ids=ascii)
def test_what_is_not_seen_is_found_and_written_out(letter):
    assert hidden(f"a{letter}b") == letter
    assert hidden(f"a{letter}b", allowed=letter) == ""
    assert visible(f"a{letter}b") == f"a{ascii(letter)[1:-1]}b"


def test_an_error_is_one_line_of_bounded_length():
    assert str(SaltrustError("a\nb\x1b[31m")) == r"a\nb\x1b[31m"
    assert str(SaltrustError(SaltrustError("a\nb"))) == r"a\nb"
    assert len(str(SaltrustError("x" * 10**6))) == 201
    assert len(str(SaltrustError("word " * 10**5))) == 1801
    assert str(unknown_name("card", "x" * 10**6, ["y"])).endswith("known: y")


def test_what_is_short_is_not_cut():
    text = f"{'x' * 400} {'y' * 400}"
    assert brief(text) == text
