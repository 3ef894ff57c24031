"""`saltrust chapters`: what can be run."""

import click

from saltrust import chapters
from saltrust.cli import tables


@click.command("chapters")
def command() -> None:
    """List the chapters and their parameters."""
    rows = []
    for chapter in map(chapters.load, chapters.NAMES):
        rows.append((chapter.name, "", chapter.title))
        rows += [(tables.INDENT + p.name, repr(p.default), p.help) for p in chapter.parameters]
    tables.show(["chapter", "default", "meaning"], rows)
