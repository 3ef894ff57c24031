"""The command line: one line for each thing a user does; a mistake is answered by one clear line and exit code 2."""

import argparse
import errno
import json
import sys
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Annotated

import typer

from saltrust import chapters
from saltrust.chapters.chapter import Chapter, Parameter
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.profiles import PROFILES
from saltrust.core.progress import track

# What only one command needs is imported there: torch alone takes seconds.
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


# The options of these three are the parameters of the chapter, which its notebook names: they are read by `_options`.
_CHAPTER = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("run", context_settings=_CHAPTER, add_help_option=False)
def run_chapter(context: typer.Context) -> None:
    """Execute one chapter, with any parameters, into a folder of its own; several values of one give several runs."""
    chapter, given = _asked("run", context.args)
    combinations = chapters.combinations(given)
    for values in combinations:  # all before the first one runs
        chapters.complete(chapter, values)

    from saltrust.chapters import execute
    from saltrust.publishing import run_page, sweep

    folders, failed = [], []
    for values in combinations:
        try:
            folders.append(execute.run(chapter, values, run_page.write))
        except SaltrustError as error:
            if len(combinations) == 1:
                raise
            print(f"saltrust: {error}", file=sys.stderr)
            failed.append(" ".join(f"{name}={value}" for name, value in values.items() if len(given[name]) > 1))
        else:
            print(folders[-1] / "index.html", flush=True)
    if len(folders) > 1:
        print(f"All runs in one table: {sweep.tabulate(chapter, folders)}")
    if failed:
        raise SaltrustError(f"{len(failed)} of {len(combinations)} runs failed: {'; '.join(failed)}")


@app.command("publish", context_settings=_CHAPTER, add_help_option=False)
def publish_chapter(context: typer.Context) -> None:
    """Execute one chapter for the book, which shows it in the place of its last run."""
    chapter, given = _asked("publish", context.args)
    if several := [name for name, values in given.items() if len(values) > 1]:
        raise SaltrustError(f"parameter '{several[0]}' has several values; the book shows one run")

    from saltrust.chapters import execute

    print(execute.publish(chapter, {name: value for name, (value,) in given.items()}))


@app.command("plan", context_settings=_CHAPTER, add_help_option=False)
def plan_work(context: typer.Context) -> None:
    """Say what `run` with the same options would compute, what is stored, and the time; without a chapter, the book."""
    from saltrust.cli import plan

    words = [word for word in context.args if word != "--json"]
    name, rest = _named(words)
    if name in ("", plan.BOOK.name):
        chapter = plan.BOOK
        if {"--help", "-h"} & set(rest):
            print("saltrust plan CHAPTER takes what `saltrust run CHAPTER` takes, and --json. Without a chapter:\n")
    else:
        chapter = chapters.load(name)
    work = plan.combined(chapter, _options("plan", chapter, rest))
    notes = () if plan.as_by_default(work) else (plan.COARSE,)
    found = plan.plan(work)
    print((plan.as_json if "--json" in context.args else plan.as_text)(found, notes))


@app.command("compute")
def compute_missing(
    dataset: Annotated[str, typer.Option(help="name or file of a data card")],
    profile: Annotated[str, typer.Option(help="smoke, quick or full")] = "quick",
    stage: Annotated[str, typer.Option(help="data, networks, maps or all")] = "all",
    part: Annotated[str, typer.Option(help="a job of that stage, as `saltrust plan --json` names it, or all")] = "all",
) -> None:
    """Compute what the chapters of a data set need, or one job of it; any number of processes share the work."""
    from saltrust.chapters.execute import Interruptible
    from saltrust.cli import plan
    from saltrust.core import progress

    with Interruptible(), progress.shown(f"{Path(dataset).stem} {part}"):
        failed = plan.compute(dataset, profile, stage, part)
    for line in failed:
        print(line)


@app.command("compare")
def compare_runs(
    first: Annotated[str, typer.Argument(help="folder, page or name of a run, or 'published'")],
    second: Annotated[str, typer.Argument(help="the other one")],
) -> None:
    """Show in what two runs differ: parameters, numbers, verdicts, estimates with intervals; on a page, the figures."""
    from saltrust.publishing import compare

    found = compare.compare(compare.find(first, other=second), compare.find(second, other=first))
    print(compare.told(found), end="\n\n")
    print(compare.save(found))


def _asked(command: str, words: list[str]) -> tuple[Chapter, dict[str, list[str]]]:
    """The chapter that the words of a command line name, and the values that they give to its parameters. `--help`
    prints what there is and ends."""
    name, rest = _named(words)
    if not name:
        if not {"--help", "-h"} & set(rest):
            known = ", ".join(chapters.NAMES)
            raise SaltrustError(f"which chapter? saltrust {command} CHAPTER, then its parameters; known: {known}")
        print(f"saltrust {command} CHAPTER --help says what a chapter takes. Chapters:")
        print(*(f"  {name:<16}{chapters.load(name).title}" for name in chapters.NAMES), sep="\n")
        raise typer.Exit
    chapter = chapters.load(name)
    return chapter, _options(command, chapter, rest)


def _named(words: list[str]) -> tuple[str, list[str]]:
    """The first word that is neither an option nor the value of one, "" if there is none; and the other words."""
    places = iter(range(len(words)))
    for place in places:
        if not words[place].startswith("-"):
            return words[place], words[:place] + words[place + 1 :]
        if words[place] not in ("--help", "-h") and "=" not in words[place]:
            next(places, None)  # its value
    return "", words


def _options(command: str, chapter: Chapter, words: list[str]) -> dict[str, list[str]]:
    """The values that the words of a command line give to each parameter of a chapter. `--help` prints them and ends.

    Raises SaltrustError for a word that is no parameter, with the nearest one that is.
    """
    parser = argparse.ArgumentParser(
        prog=f"saltrust {command} {chapter.name}", description=chapter.title, exit_on_error=False, allow_abbrev=False
    )
    for parameter in chapter.parameters:
        about = f"{parameter.help} (default: {parameter.default})".replace("%", "%%")
        option = f"--{parameter.option}"
        parser.add_argument(option, dest=parameter.name, action="append", metavar=_kind(parameter), help=about)
    parser.add_argument("-p", dest="pairs", action="append", default=[], metavar="NAME=VALUE", help="the same by name")
    try:
        read, unknown = parser.parse_known_args([_dashed(word) for word in words])
    except argparse.ArgumentError as error:
        raise SaltrustError(f"{command} {chapter.name}: {error}") from error
    known = {parameter.name: parameter for parameter in chapter.parameters}
    for word in unknown:
        name = word.lstrip("-").partition("=")[0].replace("-", "_")
        raise unknown_name(f"parameter of chapter '{chapter.name}'", name, known)
    given = {name: values for name in known if (values := getattr(read, name))}
    for pair in read.pairs:
        name, value = _split(pair)
        given.setdefault(name, []).append(value)
    return given


def _dashed(word: str) -> str:
    """An option may also be written as the parameter is."""
    name, sign, value = word.partition("=")
    return name.replace("_", "-") + sign + value if word.startswith("--") else word


def _kind(parameter: Parameter) -> str:
    return {str: "TEXT", bool: "true|false", int: "NUMBER", float: "NUMBER"}[type(parameter.default)]


@app.command("assess")
def assess_models(
    model: Annotated[
        list[str],
        typer.Option(
            help="file.py:function, a TorchScript, torch.export or weights file, timm:NAME, xrv:WEIGHTS or a YAML"
        ),
    ],
    dataset: Annotated[str, typer.Option(help="name or file of a data card")],
    profile: Annotated[str, typer.Option(help="smoke, quick or full")] = "quick",
    protocol: Annotated[str, typer.Option(help="corrected, published or as_run")] = "corrected",
    methods: Annotated[str, typer.Option(help="names or groups of methods, comma-separated")] = "paper",
    seed: Annotated[int, typer.Option(help="of everything that is drawn at random")] = 0,
) -> None:
    """Judge the saliency maps of your own models (several --model: the first is judged, the others compared)."""
    from saltrust.publishing.assess import assess, card_of

    card = card_of(dataset, model)
    report = assess(card, profile, protocol, methods, seed, tell=lambda line: print(line, flush=True))
    print(f"Report card: {report}")
    print(f"Chapters, figures, tables: {report.parents[1]}; `saltrust book --profile {profile}` shows them as pages")


@app.command("chapters")
def list_chapters() -> None:
    """List the chapters, with their parameters, defaults and what they mean."""
    for name in chapters.NAMES:
        chapter = chapters.load(name)
        print(f"{name}  {chapter.title}")
        for parameter in chapter.parameters:
            print(f"    {parameter.name} = {parameter.default!r}  {parameter.help}")


datasets = typer.Typer(help="List the data sets, or check the files of one.", invoke_without_command=True)
app.add_typer(datasets, name="datasets")


@datasets.callback()
def list_datasets(context: typer.Context) -> None:
    """List the data cards and whether their data is on this machine."""
    if context.invoked_subcommand:
        return
    for name in [*data_cards.names(), *data_cards.assessed()]:
        card = data_cards.load(name)
        state = "here" if card.available else f"not here: expected in {card.root}, from {card.get.source}"
        print(f"{name}  {card.title} ({card.truth}; {state})")


@datasets.command("check")
def check_dataset(
    name: Annotated[str, typer.Argument(help="name or file of a data card")],
    root: Annotated[str, typer.Option(help="folder of the files, in the place of the card's")] = "",
    sample: Annotated[int, typer.Option(min=0, help="images to open, 0 for all")] = 200,
) -> None:
    """Say what is there of a data set, what is missing, what disagrees with its card, and draw a contact sheet."""
    from saltrust.publishing.check_data import check, contact_sheet

    card = data_cards.load(name)
    if root:
        card = data_cards.rooted(card, root)
    lines, sound = check(card, sample)
    for line in lines:
        sign = {True: "ok", False: "WRONG", None: ""}[line.good]
        print(f"{sign:<6}{line.what:<22}{line.found}")
    if sound:
        print(f"Contact sheet: {contact_sheet(card, sound)}")
    if wrong := sum(line.good is False for line in lines):
        tree = f"; expected:\n{card.get.tree}" if card.get and card.get.tree else ""
        raise SaltrustError(f"data set '{card.name}': {wrong} of {len(lines)} checks failed{tree}")


store = typer.Typer(help="Look after what has been computed and is kept under results/store.", no_args_is_help=True)
app.add_typer(store, name="store")


@store.command("ls")
def list_store() -> None:
    """List what lies in the store, by kind: how many, megabytes, hours that they took, and their ages in days; and, in
    brackets, what killed runs left."""
    from saltrust.artefacts import maintenance
    from saltrust.chapters import leavings

    artefacts = list(maintenance.stored(paths.STORE))
    found = [*artefacts, *maintenance.leftovers(paths.STORE, in_work=leavings.in_work(paths.RESULTS))]
    if not found:
        print(f"Nothing is stored in {paths.STORE}")
        return
    print(maintenance.as_text(found))
    print(f"{len(artefacts)} artefacts, {sum(one.size for one in found) / 1e6:,.1f} MB in {paths.STORE}")


@store.command("verify")
def verify_store(
    delete: Annotated[bool, typer.Option(help="delete what is damaged; it is computed again when needed")] = False,
) -> None:
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


@store.command("gc")
def collect_garbage(
    delete: Annotated[bool, typer.Option("--delete/--dry-run", help="delete, or only say what would go")] = False,
    days: Annotated[int, typer.Option(min=0, max=36_500, help="keep what was made or read within these days")] = 1,
    hours: Annotated[float, typer.Option(min=0, help="delete nothing where it took more than this to compute")] = 1.0,
) -> None:
    """Name, or delete, what no published chapter and no run was made from, and what killed runs left.

    All that was made or read since a process began that still runs is kept. Once nothing runs, what was computed for
    chapters that are not published yet is named, too: --hours keeps --delete from taking it by mistake.
    """
    from saltrust.artefacts import maintenance
    from saltrust.chapters import leavings

    artefacts, young = list(maintenance.stored(paths.STORE)), timedelta(days=days)
    old = maintenance.unneeded(artefacts, paths.STORE, lambda: leavings.artefacts_named(paths.RESULTS), young)
    left = maintenance.leftovers(paths.STORE, young, leavings.in_work(paths.RESULTS))
    going = [*old, *left]
    print(maintenance.as_text(going) if going else "Nothing to collect.")
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


@app.command("trace")
def trace_result(
    result: Annotated[str, typer.Argument(help="<chapter>/<name> of a published figure, table or number")],
    dataset: Annotated[str, typer.Option(help="name of a data card")] = "phantom-pneumothorax",
    profile: Annotated[str, typer.Option(help="smoke, quick or full")] = "quick",
    names: Annotated[bool, typer.Option("--names", help="name every artefact, too")] = False,
) -> None:
    """Say what is behind a figure, table or number of the book: notebook, parameters, code, artefacts, data."""
    from saltrust.publishing import provenance

    known = provenance.read(data_cards.load(dataset), PROFILES[profile].name)
    for executed, found in provenance.trace(known, result):
        print(provenance.told(known, executed, found))
        if names:
            print(*(one.name for one in known.behind(executed.asked(found))), sep="\n")


@app.command("crate")
def package_results(
    output: Annotated[Path, typer.Option(help="folder, or archive if it ends in .zip; must not exist")],
    profile: Annotated[str, typer.Option(help="whose results: smoke, quick or full")] = "quick",
    dataset: Annotated[list[str] | None, typer.Option(help="name of a data card; several, by default all")] = None,
) -> None:
    """Package what the book shows as an RO-Crate, with all that is known of how it was made, to be deposited."""
    from saltrust.publishing import ro_crate

    print(ro_crate.write(PROFILES[profile].name, output, dataset or ()))


@app.command("book")
def build_book(profile: Annotated[str, typer.Option(help="whose results the book shows")] = "quick") -> None:
    """Build the book from the results that are there, and print where it is."""
    from saltrust.publishing import book

    print(f"The book is at {book.build(PROFILES[profile].name)}")


def _split(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise SaltrustError(f"-p {text}: write name=value")
    return name.strip().replace("-", "_"), value.strip()


INTERRUPTED = 130  # exit code
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


def main() -> None:
    """Entry point of `saltrust`."""
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            say = "interrupted; what is computed is kept: the same command goes on from there"
            print(f"saltrust: {say}", file=sys.stderr)
        raise
    except SaltrustError as error:
        print(f"saltrust: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        where = f"results go to {paths.RESULTS} (SALTRUST_RESULTS); `saltrust store gc` finds what can go"
        print(f"saltrust: {error}; {where}", file=sys.stderr)
        sys.exit(2)
