"""The command line: one line for each thing a user does; a mistake is answered by one clear line and exit code 2."""

import json
import sys
from typing import Annotated

import typer

from saltrust import book, cards, chapters
from saltrust.errors import SaltrustError
from saltrust.profiles import PROFILES

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command("run")
def run_chapter(
    chapter: str,
    dataset: Annotated[str, typer.Option(help="name of a data card")] = "",
    profile: Annotated[str, typer.Option(help="smoke, quick or full")] = "",
    parameter: Annotated[list[str] | None, typer.Option("-p", help="name=value, a parameter of the chapter")] = None,
) -> None:
    """Execute one chapter on one data set."""
    given = dict(_split(text) for text in parameter or ())
    given |= {name: value for name, value in (("dataset", dataset), ("profile", profile)) if value}
    print(chapters.run(chapters.load(chapter), given))


@app.command("chapters")
def list_chapters() -> None:
    """List the chapters, with their parameters, defaults and what they mean."""
    for name in chapters.NAMES:
        chapter = chapters.load(name)
        print(f"{name}  {chapter.title}")
        for parameter in chapter.parameters:
            print(f"    {parameter.name} = {parameter.default!r}  {parameter.help}")


@app.command("datasets")
def list_datasets() -> None:
    """List the data cards and whether their data is on this machine."""
    for name in cards.names():
        card = cards.load(name)
        state = "here" if card.available else f"not here: expected in {card.root}, from {card.get.source}"
        print(f"{name}  {card.title} ({card.truth}; {state})")


@app.command("methods")
def list_methods(
    as_json: Annotated[bool, typer.Option("--json", help="everything that the registry knows of each")] = False,
) -> None:
    """List the saliency methods by family, with their parameters, defaults and what they mean."""
    from saltrust.methods.registry import FAMILIES, by_family, catalogue

    if as_json:
        print(json.dumps(catalogue(), indent=1))
        return
    for method in by_family():
        print(f"{method.name}  {method.abbreviation}  {method.title} ({FAMILIES[method.family].lower()})")
        for name, note in method.help.items():
            print(f"    {name} = {method.defaults[name]!r}  {note}")


@app.command("book")
def build_book(profile: Annotated[str, typer.Option(help="whose results the book shows")] = "quick") -> None:
    """Build the book from the results that are there, and print where it is."""
    print(f"The book is at {book.build(PROFILES[profile].name)}")


def _split(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise SaltrustError(f"-p {text}: write name=value")
    return name.strip(), value.strip()


def main() -> None:
    """Entry point of `saltrust`."""
    try:
        app()
    except SaltrustError as error:
        print(f"saltrust: {error}", file=sys.stderr)
        sys.exit(2)
