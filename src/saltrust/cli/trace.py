"""`saltrust trace`: what is behind a published result."""

import click

from saltrust.cli import options
from saltrust.core import data_cards
from saltrust.core.profiles import PROFILES


@click.command("trace")
@click.argument("result")
@click.option("--dataset", default="phantom-pneumothorax", show_default=True, help="name of a data card")
@options.profile
@click.option("--names", is_flag=True, help="name every artefact, too")
def command(result: str, dataset: str, profile: str, names: bool) -> None:
    """Say what is behind a figure, table or number of the book.

    RESULT is its <chapter>/<name>. Names notebook, parameters, code, artefacts and data.
    """
    from saltrust.publishing import provenance

    known = provenance.read(data_cards.load(dataset), PROFILES[profile].name)
    for executed, found in provenance.trace(known, result):
        print(provenance.to_text(known, executed, found))
        if names:
            print(*(one.name for one in known.behind(executed.asked(found))), sep="\n")
