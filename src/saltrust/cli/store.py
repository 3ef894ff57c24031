"""`saltrust store`: look after what has been computed."""

from collections.abc import Iterable
from datetime import timedelta
from math import ceil, isnan
from typing import TYPE_CHECKING

import click

from saltrust.cli import tables
from saltrust.core import paths, scratch
from saltrust.core.errors import SaltrustError
from saltrust.core.progress import track

if TYPE_CHECKING:
    from saltrust.artefacts.maintenance import Stored


@click.group("store")
def command() -> None:
    """Look after what has been computed and is kept."""


@command.command("ls")
def ls() -> None:
    """List what lies in the store, by kind.

    In brackets stands what killed runs left.
    """
    from saltrust.artefacts import maintenance

    artefacts = list(maintenance.stored(paths.STORE))
    found = [*artefacts, *_left(timedelta(0))]
    if not found:
        print(f"Nothing is stored in {paths.STORE}")
        return
    _show(found)
    print(f"{len(artefacts)} artefacts, {sum(one.size for one in found) / 1e6:,.1f} MB in {paths.STORE}")


@command.command("verify")
@click.option("--delete", is_flag=True, help="delete what is damaged; it is computed again when needed")
def verify(delete: bool) -> None:
    """Compare every file of the store with its checksum."""
    from saltrust.artefacts import maintenance

    artefacts = list(maintenance.stored(paths.STORE))
    found = list(maintenance.damaged(track(artefacts, "verifying", len(artefacts))))
    for one, why in found:
        print(f"{one.name}  {why}")
    if found and delete:
        maintenance.remove((one for one, _ in found), paths.STORE)
    elif found:
        raise SaltrustError(f"{len(found)} of {len(artefacts)} artefacts are damaged; --delete removes them")
    print(f"{len(artefacts) - len(found)} of {len(artefacts)} artefacts are whole")


def _number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """NaN is in every range."""
    if isnan(value):
        raise click.BadParameter("nan is no number", context, parameter)
    return value


@command.command("gc")
@click.option("--delete/--dry-run", help="delete, or only say what would go")
@click.option(
    "--days",
    default=1,
    show_default=True,
    type=click.IntRange(0, 36_500),
    help="keep what was made or read within these days",
)
@click.option(
    "--hours",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    callback=_number,
    help="delete nothing where it took more than this to compute",
)
def gc(delete: bool, days: int, hours: float) -> None:
    """Name, or delete, what no result needs.

    That is what no published chapter and no run was made from, and what killed runs left. All that was made or read
    since a process began that still runs is kept. Once nothing runs, what was computed for chapters that are not
    published yet is named, too: --hours keeps --delete from taking it by mistake.
    """
    from saltrust.artefacts import maintenance
    from saltrust.chapters import results_folder

    artefacts, young = list(maintenance.stored(paths.STORE)), timedelta(days=days)
    old = maintenance.unneeded(artefacts, paths.STORE, lambda: results_folder.artefacts_named(paths.RESULTS), young)
    left = _left(young)
    going = [*old, *left]
    if going:
        _show(going)
    else:
        print("Nothing to collect.")
    if began := maintenance.at_work(paths.STORE):
        print(f"Kept: all that was made or read since {began.astimezone():%Y-%m-%d %H:%M}, as a process still runs.")
    size, lost = sum(one.size for one in going), sum(one.seconds for one in going) / 3600
    found = f"{len(old)} of {len(artefacts)} artefacts, {len(left)} leftovers, {lost:,.1f} hours of computing"
    if not delete:
        print(f"{found}, {size / 1e6:,.1f} MB to be freed by --delete")
        return
    if lost > hours:
        raise SaltrustError(
            f"{found}: more than --hours {hours:g}, so nothing is deleted; --hours {ceil(lost)} deletes them, "
            "a larger --days keeps what was used lately"
        )
    freed = maintenance.remove(going, paths.STORE)
    kept = f", {(size - freed) / 1e6:,.1f} MB kept: used meanwhile, or another user's" if freed < size else ""
    print(f"{found}, {freed / 1e6:,.1f} MB freed{kept}")


def _left(younger: timedelta) -> list["Stored"]:
    """What killed runs left in the store, among the results and in the folder for temporary files."""
    from saltrust.artefacts import maintenance
    from saltrust.chapters import results_folder

    return maintenance.leftovers(paths.STORE, younger, results_folder.in_work(paths.RESULTS), scratch.folders())


def _show(found: Iterable["Stored"]) -> None:
    """Their listing by kind."""
    from saltrust.artefacts import maintenance

    table = maintenance.listing(found)
    numbers = ["megabytes", "hours to compute", "oldest, days", "newest, days"]
    rows = [(kind, count, *(f"{value:,.2f}" for value in rest)) for kind, count, *rest in table.to_numpy()]
    tables.show(["kind", "artefacts", *numbers], rows, right=["artefacts", *numbers])
