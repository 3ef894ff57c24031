"""`saltrust compare`: two runs side by side."""

import click


@click.command("compare")
@click.argument("first")
@click.argument("second")
def command(first: str, second: str) -> None:
    """Show in what two runs differ.

    Their parameters, numbers, verdicts, and estimates with intervals; on a page, also the figures.
    FIRST and SECOND are the folder, page or name of a run, or 'published'.
    """
    from saltrust.publishing import compare

    found = compare.compare(compare.find(first, other=second), compare.find(second, other=first))
    print(compare.told(found), end="\n\n")
    print(compare.save(found))
