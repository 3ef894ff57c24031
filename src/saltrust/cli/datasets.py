"""`saltrust datasets`: which there are, and whether the files of one are in order."""

import click

from saltrust.cli import tables
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError


@click.group("datasets", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the data sets, or check the files of one."""
    if context.invoked_subcommand:
        return
    rows = []
    for card in map(data_cards.load, [*data_cards.names(), *data_cards.assessed()]):
        state = "here" if card.available else f"not here: expected in {card.root}, from {card.get.source}"
        rows.append((card.name, card.title, card.truth, state))
    tables.show(["data set", "title", "truth", "state"], rows)


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
