"""What a chapter is, what it leaves behind, and how it is run."""

from saltrust.chapters.chapter import (
    ALWAYS,
    MIME,
    NAMES,
    Chapter,
    Parameter,
    check,
    combinations,
    complete,
    load,
    of,
)

__all__ = ["ALWAYS", "MIME", "NAMES", "Chapter", "Parameter", "check", "combinations", "complete", "load", "of"]
