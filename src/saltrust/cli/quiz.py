"""`saltrust quiz`: a study with people, as a page for the browser, and what its answers say."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from saltrust.cli import options, tables

if TYPE_CHECKING:
    import pandas as pd


@click.group("quiz")
def command() -> None:
    """Can people predict the network, with maps or without? Ask them.

    `make` writes a page, `read` what its answers say.
    """


@command.command("make")
@click.option("--dataset", default="cells", show_default=True, help="name or file of a data card")
@options.profile
@click.option("--network", help="whose answers are to be predicted, as in alexnet-2  [default: the main one]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("quiz.html"),
    show_default=True,
    help="HTML file to write",
)
@click.option("--tasks", type=click.IntRange(1, 40), help="how many  [default: 14, of a classroom 4]")
@click.option("--classroom", is_flag=True, help="short, with results on the screen; the file tells what is right")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="of the choice of images")
def make(
    dataset: str, profile: str, network: str | None, out: Path, tasks: int | None, classroom: bool, seed: int
) -> None:
    """Write one page that holds all it needs, and its key.

    Open the page with ?arm=neither, scores, maps or both, or let it deal the arms out by the participants' numbers:
    give each participant another one, counting from 1. Keep the key, <out>.key.json, to yourself: it holds what the
    page does not. The network is trained if it has not been.
    """
    from saltrust.publishing import quiz_page
    from saltrust.study.quiz import CLASSROOM_TASKS, TASKS, quiz_items
    from saltrust.study.study import Study

    quiz_page.key_of(out)  # before any work
    tasks = tasks or (CLASSROOM_TASKS if classroom else TASKS)
    items = quiz_items(Study(dataset, profile), tasks, seed, network)
    key = quiz_page.write(items, out, classroom, seed)
    print(f"Page: {out} ({out.stat().st_size / 2**20:.1f} MB, {len(items.tasks)} tasks; {items.origin})")
    print(f"Key: {key}; keep it to yourself, `saltrust quiz read` needs it")


@command.command("read")
@click.argument("key", type=click.Path(path_type=Path))
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--n-boot", default=2000, show_default=True, type=click.IntRange(1, 20_000), help="resamples")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="of the resamples")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="CSV file to write: a row for each answer")
def read(key: Path, answers: tuple[Path, ...], n_boot: int, seed: int, out: Path | None) -> None:
    """Say what the answers say.

    KEY is the file that `make` wrote beside the page, ANSWERS are the files that participants saved. A file that does
    not count is named in a line of its own.
    """
    from saltrust.analysis import quiz_answers
    from saltrust.analysis.quiz_reading import read_answers, read_key
    from saltrust.core.errors import SaltrustError
    from saltrust.core.visible import visible

    solved = read_key(key)
    found = read_answers(solved, answers)
    print(*found.notes, sep="\n", end="\n\n" if found.notes else "")
    if found.table.empty:
        raise SaltrustError(f"no answer counts; files that were read: {len(answers)}")
    print(
        f"{_count(len(found.table), 'answer')} of {_count(found.participants, 'participant')}; {visible(solved.origin)}"
    )
    if solved.classroom:
        print("The page was one for the classroom, which holds what is right: this is no study.")
    print()
    _show_arms(quiz_answers.by_arm(found.table, n_boot, seed))
    print()
    _show_kinds(quiz_answers.by_kind(found.table))
    print()
    try:
        _show_model(quiz_answers.model(found.table))
    except SaltrustError as error:
        print(f"No mixed model: {error}")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        found.table.to_csv(out, index=False)
        print(f"Table: {out}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _interval(row: "pd.Series", digits: int = 3) -> str:
    low, high = row["ci_low"], row["ci_high"]
    return "" if low != low else f"[{low:.{digits}f}, {high:.{digits}f}]"


def _show_arms(table: "pd.DataFrame") -> None:
    from saltrust.analysis.quiz_answers import MEASURES

    titles = {name: one.title for name, one in MEASURES.items()} | {"d_prime": "d'", "criterion": "criterion"}
    rows = [
        (titles[row["measure"]], row["arm"], _number(row["value"]), _interval(row), row["participants"])
        for _, row in table.sort_values("measure", key=lambda c: c.map([*titles].index), kind="stable").iterrows()
    ]
    tables.show(["measure", "arm", "mean", "95 %", "participants"], rows, right=["mean", "95 %", "participants"])


def _number(value: float) -> str:
    return "none" if value != value else f"{value:.3f}"


def _show_kinds(table: "pd.DataFrame") -> None:
    from saltrust.study.quiz import KINDS

    rows = [(KINDS[row["kind"]], _number(row["value"]), _interval(row), row["answers"]) for _, row in table.iterrows()]
    tables.show(["right, where the new image is one of the", "mean", "95 %", "answers"], rows, right=["mean", "95 %"])


def _show_model(fit) -> None:
    """The mixed model. fit: a CrossedFit."""
    print("right ~ maps x scores + (1 | participant) + (1 | task), log odds, Laplace")
    rows = [
        (row["term"], f"{row['estimate']:.3f}", f"{row['se']:.3f}", f"{row['z']:.2f}", f"{row['p']:.3f}")
        for _, row in fit.table.iterrows()
    ]
    tables.show(["term", "estimate", "s.e.", "z", "p"], rows, right=["estimate", "s.e.", "z", "p"])
    spreads = ", ".join(f"{name} {spread:.2f}" for name, spread in fit.spreads.items())
    print(f"Standard deviations of the intercepts: {spreads}." + ("" if fit.converged else " It did not converge."))
