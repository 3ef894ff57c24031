"""Characters that are not seen: they break a line, steer a terminal, turn the reading direction, or hide in a name."""

import unicodedata

WORD, LONG = 400, 2_000  # characters of a word, and of a text, from which they are cut
JOINERS = "\u200c\u200d"  # they spell words of Persian and of Indic scripts, and pictograms


def hidden(text: str, allowed: str = "") -> str:
    r"""The first character of a text that is not seen, "" if there is none.

    Args:
        text: any.
        allowed: characters that may be there.

    >>> hidden("pneumo\u200bthorax") == "\u200b", hidden("a\nb", allowed="\n")
    (True, '')
    """
    if text.isascii() and text.isprintable():
        return ""
    return next((letter for letter in text if letter not in allowed and _is_hidden(letter)), "")


def visible(text: str) -> str:
    r"""A text on one line, in which characters that are not seen are written out.

    >>> print(visible("a\nb\x1b[31m"))
    a\nb\x1b[31m
    """
    return "".join(_written_out(letter) if hidden(letter) else letter for letter in text) if hidden(text) else text


def brief(text: str) -> str:
    """A text in which long words are cut in their middle, and which is itself cut so where it is long.

    >>> len(brief("9" * 5000)), brief("short")
    (201, 'short')
    """
    words = [_cut(word, WORD, 100) for word in text.split(" ")]
    return _cut(" ".join(words), LONG, 900)


def _cut(text: str, most: int, ends: int) -> str:
    return text if len(text) <= most else f"{text[:ends]}…{text[-ends:]}"


def _is_hidden(letter: str) -> bool:
    """Control characters, surrogates, separators of lines and paragraphs, and what steers their display."""
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp", "Cf") and letter not in JOINERS


def _written_out(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
