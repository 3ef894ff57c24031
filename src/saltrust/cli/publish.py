"""`saltrust publish`: execute a chapter for the book."""

from saltrust.chapters.chapter import Chapter
from saltrust.cli.chapter_commands import ChapterGroup, Given
from saltrust.cli.options import verbose
from saltrust.core.errors import SaltrustError


def publish(chapter: Chapter, given: Given) -> None:
    """Execute a chapter in the place of its last run, and print the notebook."""
    if several := [name for name, values in given.items() if len(values) > 1]:
        raise SaltrustError(f"parameter '{several[0]}' has several values; the book shows one run")

    from saltrust.chapters import execute

    print(execute.publish(chapter, {name: value for name, (value,) in given.items()}))


command = ChapterGroup(
    "publish",
    publish,
    "Execute one chapter for the book.\n\nThe book shows it in the place of its last run.",
    [verbose],
)
