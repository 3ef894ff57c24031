"""`saltrust datasets`: which there are, to get one, and whether its files are in order."""

import click

from saltrust.cli import tables
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError


@click.group("datasets", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the data sets, get one, or check its files."""
    if context.invoked_subcommand:
        return
    rows = []
    for card in map(data_cards.load, [*data_cards.names(), *data_cards.assessed()]):
        state = "here" if card.available else f"not here: expected in {card.root} ({card.how_to_get})"
        rows.append((card.name, card.title, card.truth, state))
    tables.show(["data set", "title", "truth", "state"], rows)


@command.command("get")
@click.argument("name")
def get(name: str) -> None:
    """Fetch the files of an open data set, check them by their checksum, and unpack them where its card expects them.

    Of a set that is not open, says who has it and which files are expected. NAME is that of a card, or its file.
    """
    from saltrust.datasets.fetching import fetch

    card = data_cards.load(name)
    if card.get and not card.available and not card.get.archives and card.get.tree:
        print(f"Expected in {card.root}:\n{card.get.tree}")
    print(f"{fetch(card)}\nCompare it with its card: saltrust datasets check {name}")


@command.command("check")
@click.argument("name")
@click.option("--root", default="", help="folder of the files, in the place of the card's")
@click.option("--sample", default=200, show_default=True, type=click.IntRange(0), help="images to open, 0 for all")
def check(name: str, root: str, sample: int) -> None:
    """Compare the files of a data set with its card.

    Says what is there, what is missing and what disagrees with the card NAME (or a file), and draws a contact sheet.
    """
    from saltrust.datasets.check import check as compare_with_card
    from saltrust.publishing.contact_sheet import contact_sheet

    card = data_cards.load(name)
    if root:
        card = data_cards.rooted(card, root)
    lines, sound = compare_with_card(card, sample)
    signs = {True: "ok", False: "WRONG", None: ""}
    tables.show(["", "checked", "found"], [(signs[line.good], line.what, line.found) for line in lines])
    if sound:
        print(f"Contact sheet: {contact_sheet(card, sound)}")
    if wrong := sum(line.good is False for line in lines):
        if card.get and card.get.tree:
            print(f"Expected:\n{card.get.tree}")
        raise SaltrustError(f"data set '{card.name}': {wrong} of {len(lines)} checks failed")
