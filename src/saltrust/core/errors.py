"""The one exception type that users see, and how an unknown name is reported."""

from collections.abc import Iterable
from difflib import get_close_matches


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
    known, shown = sorted(known), " ".join(str(name).split())
    near = get_close_matches(shown, known, n=1)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return SaltrustError(f"unknown {kind} '{shown}';{hint} known: {', '.join(known) or 'none'}")
