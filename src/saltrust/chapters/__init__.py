"""Chapters (floor 5): what a chapter is, how it is run, and what it leaves behind.

The package may import `study` and what lies below, and not `analysis`, its sibling: it runs notebooks whatever they
ask. A chapter is a notebook with parameters; its results are a folder of figures, tables and numbers, each with a note
beside it. Only this package knows how that folder is laid out.
"""

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
