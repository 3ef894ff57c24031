"""Where things lie. Every place can be moved by an environment variable."""

import os
from pathlib import Path

PROJECT = Path(os.environ.get("SALTRUST_PROJECT", Path(__file__).resolve().parents[2]))
CARDS = Path(os.environ.get("SALTRUST_CARDS", PROJECT / "data_cards"))
CHAPTERS = PROJECT / "notebooks"
BOOK = PROJECT / "book"
RESULTS = Path(os.environ.get("SALTRUST_RESULTS", PROJECT / "results"))
STORE = RESULTS / "store"
RUNS = RESULTS / "runs"  # chapters that a user ran again
ASSESSED = RESULTS / "cards"  # data cards that name a user's models, written by `saltrust assess`


def results_of(profile: str, dataset: str) -> Path:
    """Folder of what the chapters of one data set wrote under one profile: tables, figures, notebooks, numbers."""
    return RESULTS / profile / dataset
