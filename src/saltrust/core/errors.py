"""The one exception type that users see, and how an unknown name is reported."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 80  # characters of what somebody gave that a message repeats


class SaltrustError(Exception):
    """A user's mistake or a missing resource: one line that names what, where, and what is allowed."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> SaltrustError:
    """The error for a name that is not in a closed set, with the nearest known name suggested.

    Args:
        kind: what the name should have been, as a noun ("method", "data set").
        name: what was given.
        known: the allowed names.

    >>> print(unknown_name("shape", "disk", ["square", "disc"]))
    unknown shape 'disk'; did you mean 'disc'? known: disc, square
    """
    known, told = sorted(known), clipped(str(name))
    near = get_close_matches(told, known, n=1)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return SaltrustError(f"unknown {kind} '{told}';{hint} known: {', '.join(known) or 'none'}")


def clipped(text: str) -> str:
    """A text that somebody gave, in one line of at most LONGEST characters.

    >>> clipped("a\\nb"), len(clipped("9" * 5000))
    ('a b', 80)
    """
    line = " ".join(text.split()) if "\n" in text else text
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
