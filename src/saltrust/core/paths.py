"""Where things lie, for a clone of the project and for an installed package.

A clone holds chapters, data cards and the book's sources in its top folder, and its results beside them. A wheel brings
them along inside the package (`BROUGHT`; pyproject.toml says what); results then go to the folder in which a command is
given. Every place can be moved by an environment variable; a relative one counts from where a command is given, also
for the processes that it starts elsewhere.
"""

import os
from pathlib import Path

MOVABLE = ("SALTRUST_PROJECT", "SALTRUST_CARDS", "SALTRUST_RESULTS", "SALTRUST_DATA", "SALTRUST_WEIGHTS")


def moved() -> dict[str, str]:
    """The places that environment variables name, by variable."""
    return {name: str(Path(os.environ[name]).absolute()) for name in MOVABLE if os.environ.get(name)}


PACKAGE = Path(__file__).resolve().parents[1]
BROUGHT = PACKAGE / "project"
INSTALLED = "SALTRUST_PROJECT" not in moved() and BROUGHT.is_dir()
PROJECT = Path(moved().get("SALTRUST_PROJECT", BROUGHT if INSTALLED else PACKAGE.parents[1]))
WORK = Path.cwd() if INSTALLED else PROJECT  # the folder of what a user has and makes; kernels start there

CARDS = Path(moved().get("SALTRUST_CARDS", PROJECT / "data_cards"))
CHAPTERS = PROJECT / "notebooks"
BOOK = PROJECT / "book"  # its sources
MEASURED = PROJECT / "benchmarks" / "measured"  # what comes with the project, until it is measured here

RESULTS = Path(moved().get("SALTRUST_RESULTS", WORK / "results"))
STORE = RESULTS / "store"
RUNS = RESULTS / "runs"  # chapters that a user ran again
ASSESSED = RESULTS / "cards"  # data cards that name a user's models, written by `saltrust assess`
BUILD = RESULTS / "book" if INSTALLED else BOOK  # where the book is put together: its sources in a clone, else a copy
