"""`saltrust readers`: how well readers agree, from tables of what they drew."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saltrust.cli import tables

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("iou", "dice", "pixel_error", "iou_above_chance")  # scores that the terminal shows; the table has all
OTHERS = {"iou_above_chance": "IoU above chance", "alpha_pixels": "alpha of pixels"}  # titles of what is no plain score


class _Size(click.ParamType):
    """Width and height, as in 512x400."""

    name = "WIDTHxHEIGHT"

    def convert(
        self, value: str, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, int] | None:
        if not (found := re.fullmatch("([1-9][0-9]{0,5})x([1-9][0-9]{0,5})", value)):
            self.fail(f"'{value[:40]}' is not a size in pixels, such as 512x400", parameter, context)
        return int(found[1]), int(found[2])


@click.command("readers")
@click.argument("files", metavar="TABLE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--size", type=_Size(), help="of every image; pixel error, AUPRC, STAPLE and alpha need it")
@click.option("--votes", type=click.IntRange(1), help="that the consensus needs  [default: more than half]")
@click.option(
    "--images",
    type=click.Choice(["agreed", "all"]),
    default="agreed",
    show_default=True,
    help="those in which the consensus has a pixel (published), or all that every reader read",
)
@click.option(
    "--fill",
    type=click.Choice(["exact", "rows"]),
    default="exact",
    show_default=True,
    help="outlines as drawn, or each row from end to end as OpenCV's fillConvexPoly (published)",
)
@click.option(
    "--empty",
    type=click.Choice(["1", "0", "out"]),
    default="1",
    show_default=True,
    help="overlap of two empty masks; out: left out (published)",
)
@click.option("--chance", is_flag=True, help="the IoU above chance, too (a minute for some hundred images)")
@click.option("--n-boot", default=1000, show_default=True, type=click.IntRange(1, 20_000), help="resamples")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="of the resamples")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="CSV file to write: readers.csv")
def command(
    files: tuple[Path, ...],
    size: tuple[int, int] | None,
    votes: int | None,
    images: str,
    fill: str,
    empty: str,
    chance: bool,
    n_boot: int,
    seed: int,
    out: Path | None,
) -> None:
    """Say how well readers agree, by their tables alone.

    No image is needed. TABLE is a CSV file as the VGG Image Annotator writes it, with rectangles and polygons: one for
    each reader, or one with a column 'reader'. A line without a region says that the reader saw the image and drew
    nothing. Intervals are over patients: a column 'patient', or MURA's names of images.
    """
    from saltrust.analysis.readers import Choices, agreement
    from saltrust.datasets.reader_tables import read

    of_empty = float("nan") if empty == "out" else float(empty)
    choices = Choices(votes, size, fill, images, of_empty, chance, n_boot, seed)
    found = agreement(read(files), choices)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        found.table.to_csv(out, index=False)
    show(found.table)
    print(f"\n{found.verdict}", *found.notes, sep="\n")
    if out:
        print(f"Table: {out}")


def show(table: "pd.DataFrame") -> None:
    """Print the table: a row for each reference and score, a column for the average and for each reader."""
    from saltrust.analysis.readers import ALL, AVERAGE
    from saltrust.scores.agreement import AGREEMENT
    from saltrust.scores.consensus import REFERENCES

    readers = [rater for rater in dict.fromkeys(table["rater"]) if rater not in (AVERAGE, ALL)]
    rows = []
    for (reference, score), group in table.groupby(["reference", "score"], sort=False):
        by_rater = group.set_index("rater")
        whole = by_rater.loc[ALL if ALL in by_rater.index else AVERAGE]
        if score in SHOWN or ALL in by_rater.index:
            each = [f"{by_rater.loc[name, 'mean']:.3f}" if name in by_rater.index else "" for name in readers]
            title = REFERENCES[reference].title if reference in REFERENCES else reference
            interval = f"[{whole['ci_low']:.3f}, {whole['ci_high']:.3f}]"
            label = AGREEMENT[score].title if score in AGREEMENT else OTHERS.get(score, score)
            rows.append((title, label, f"{whole['mean']:.3f}", interval, *each, int(whole["n"])))
    headings = ["readers against", "score", "average", "95 %", *readers, "images"]
    tables.show(headings, rows, right=["average", "95 %", *readers, "images"])
