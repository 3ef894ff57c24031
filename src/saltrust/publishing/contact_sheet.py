"""A sheet with some images of a data set, to see whether they and their truth are what they should be."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from saltrust import plots
from saltrust.core import paths
from saltrust.core.data_cards import Card
from saltrust.datasets import images
from saltrust.datasets.loading import drawn
from saltrust.datasets.records import Record

SHEET, SIDE = 12, 320  # images on the sheet, and the side at which they are shown, in pixels


def contact_sheet(card: Card, records: Sequence[Record]) -> Path:
    """Draw some images of the data set with their truth outlined, most of them with the finding; returns the file."""
    present = [record for record in records if record.truth][: SHEET - 3]
    shown = present + [record for record in records if not record.truth][: SHEET - len(present)]
    pixels = [images.resized(images.read(record.file), SIDE) for record in shown]
    truth = [drawn(record.truth or (), *images.size_of(record.file), SIDE) for record in shown]
    titles = [_title(card, record) for record in shown]
    figure = plots.image_grid(pixels, titles, np.stack(truth), columns=4)
    file = paths.RESULTS / "checks" / f"{card.name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return file


def _title(card: Card, record: Record) -> str:
    name = card.classes[record.label] if card.classes else ("with", "without")[record.label == card.absent_label]
    return f"{name}, {record.split or 'no split'}"
