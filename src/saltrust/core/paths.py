"""Where things lie. Every place can be moved by an environment variable; a relative one counts from where a command is
given, also for the processes that it starts elsewhere."""

import os
from pathlib import Path

MOVABLE = ("SALTRUST_PROJECT", "SALTRUST_CARDS", "SALTRUST_RESULTS", "SALTRUST_DATA", "SALTRUST_WEIGHTS")


def moved() -> dict[str, str]:
    """The places that environment variables name, by variable."""
    return {name: str(Path(os.environ[name]).absolute()) for name in MOVABLE if os.environ.get(name)}


PROJECT = Path(moved().get("SALTRUST_PROJECT", Path(__file__).resolve().parents[3]))
CARDS = Path(moved().get("SALTRUST_CARDS", PROJECT / "data_cards"))
CHAPTERS = PROJECT / "notebooks"
BOOK = PROJECT / "book"
RESULTS = Path(moved().get("SALTRUST_RESULTS", PROJECT / "results"))
STORE = RESULTS / "store"
RUNS = RESULTS / "runs"  # chapters that a user ran again
ASSESSED = RESULTS / "cards"  # data cards that name a user's models, written by `saltrust assess`


def results_of(profile: str, dataset: str) -> Path:
    """Folder of what the chapters of one data set wrote under one profile: tables, figures, notebooks, numbers."""
    return RESULTS / profile / dataset
