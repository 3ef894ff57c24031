"""Images in a folder, described by a table and a data card alone: masks as image files, or boxes as columns."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError
from skimage.transform import resize

from saltrust.cards import Card
from saltrust.datasets.loaders import LOADERS, Loader
from saltrust.datasets.split import Split
from saltrust.errors import SaltrustError
from saltrust.progress import track

# Pillow's modes with eight bits or less in a channel, and whether they are grey or colour.
EIGHT_BIT = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"}


def load(card: Card, split: str, count: int | None, size: int, seed: int) -> Split:
    """Read one split, every image resized to size x size pixels.

    count: how many images, drawn with `seed` at the split's own prevalence; None for all. Grey images stay grey
    (n, h, w); if any image of the split has colour, all become RGB. A pixel of a reduced mask is True where at least
    half of it was. Raises SaltrustError naming the file, row or column that is missing or wrong.
    """
    rows = _draw(card, _images_of(card, split), count, seed)
    pixels, truth, boxes = [], [], []
    for index, (path, image_rows) in enumerate(track(rows, f"reading {card.name} {split}", len(rows))):
        image = _open(card.root / path)
        pixels.append(
            np.asarray(
                image.resize((size, size), Image.Resampling.BOX if image.width > size else Image.Resampling.BILINEAR)
            )
        )
        if card.truth == "mask":
            truth.append(_mask(card, image_rows, image.size, size))
        else:
            corners = _boxes(card, image_rows, image.size, size)
            truth.append(filled(corners, size))
            boxes.extend((index, *corner) for corner in corners)
    if any(image.ndim == 3 for image in pixels):
        pixels = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in pixels]
    result = Split(
        pixels=np.stack(pixels),
        labels=np.array([int(r[card.table.label].iloc[0]) for _, r in rows], dtype=np.int64),
        truth=np.stack(truth),
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 5),
        ids=np.array([path for path, _ in rows]),
    )
    _check_truth(card, split, result)
    return result


def fingerprint(card: Card) -> str:
    """Digest of the table and of the size of every file under the root: another version of the data has another one."""
    digest = hashlib.sha256(_table_file(card).read_bytes())
    for folder, _, files in sorted(os.walk(card.root)):
        for name in sorted(files):
            file = os.path.join(folder, name)
            digest.update(f"{os.path.relpath(file, card.root)} {os.path.getsize(file)}\n".encode())
    return digest.hexdigest()[:16]


def groups(card: Card) -> dict[str, str] | None:
    """What each image belongs to, by its path: the card's column `group`, a patient for example; None without one."""
    if not card.table.group:
        return None
    table = pd.read_csv(_table_file(card), skipinitialspace=True, dtype=str)
    if card.table.group not in table:
        raise SaltrustError(f"{_table_file(card)}: no column {card.table.group!r}; columns: {', '.join(table.columns)}")
    return dict(zip(table[card.table.image], table[card.table.group], strict=True))


def filled(corners: np.ndarray, size: int) -> np.ndarray:
    """Boxes (k, 4) of x0, y0, x1, y1 in pixels as one mask (size, size): a pixel is in where its centre is."""
    centre = np.arange(size) + 0.5
    inside = np.zeros((size, size), dtype=bool)
    for x0, y0, x1, y1 in corners:
        inside |= ((centre >= y0) & (centre < y1))[:, None] & ((centre >= x0) & (centre < x1))
    return inside


def _table_file(card: Card) -> Path:
    file = card.root / card.table.file
    if not file.is_file():
        raise SaltrustError(
            f"data set '{card.name}' is not on this machine: no file {file} (get it from {card.get.source})"
        )
    return file


def _images_of(card: Card, split: str) -> list[tuple[str, pd.DataFrame]]:
    """(image path, its rows) for every image of the split, in the order of the table."""
    file = _table_file(card)
    table = pd.read_csv(file, skipinitialspace=True)
    named = [name for key, name in card.table.model_dump().items() if name and key != "file"]
    if missing := [name for name in named if name not in table.columns]:
        raise SaltrustError(f"{file}: no column {missing[0]!r}; columns: {', '.join(table.columns)}")
    table = table[table[card.table.split] == split]
    if table.empty:
        raise SaltrustError(f"{file}: column {card.table.split!r} has no row '{split}'")
    if not table[card.table.label].isin([0, 1]).all():
        raise SaltrustError(f"{file}: column {card.table.label!r} must be 0 or 1 in split '{split}'")
    images = list(table.groupby(card.table.image, sort=False))
    expected = card.counts[split].images
    if len(images) != expected:
        raise SaltrustError(f"{file}: split '{split}' has {len(images)} images, the card counts {expected}")
    return images


def _draw(card: Card, images: list, count: int | None, seed: int) -> list[tuple[str, pd.DataFrame]]:
    """`count` images in the order of the table, drawn so that the share of positives stays."""
    if count is None or count >= len(images):
        return images
    labels = np.array([int(rows[card.table.label].iloc[0]) for _, rows in images])
    positive = round(count * labels.mean())
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(labels == v), n, replace=False) for v, n in ((1, positive), (0, count - positive))
    ]
    return [images[i] for i in sorted(np.concatenate(chosen))]


def _open(file: Path) -> Image.Image:
    try:
        image = Image.open(file)
        image.load()
    except FileNotFoundError:
        raise SaltrustError(f"no image {file}") from None
    except (UnidentifiedImageError, OSError) as error:
        raise SaltrustError(f"{file}: cannot be read as an image: {error}") from error
    if image.mode not in EIGHT_BIT:
        raise SaltrustError(
            f"{file}: pixels of mode '{image.mode}'; allowed: 8 bits a channel ({', '.join(EIGHT_BIT)})"
        )
    return image.convert(EIGHT_BIT[image.mode])


def _mask(card: Card, rows: pd.DataFrame, image_size: tuple[int, int], size: int) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    for path in rows[card.table.mask].dropna():
        file = card.root / path
        drawn = _open(file)
        if drawn.size != image_size:
            raise SaltrustError(f"{file}: mask is {drawn.size}, its image is {image_size} (width, height)")
        share = resize(
            (np.asarray(drawn.convert("L")) > 0).astype(float), (size, size), order=1, anti_aliasing=drawn.width > size
        )
        if share.any():  # a finding smaller than half a pixel keeps the pixels it covers most
            mask |= share >= min(0.5, share.max())
    return mask


def _boxes(card: Card, rows: pd.DataFrame, image_size: tuple[int, int], size: int) -> np.ndarray:
    """Corners (k, 4) in pixels of the resized image, cut at its border."""
    t = card.table
    drawn = rows[[t.x, t.y, t.width, t.height]].dropna().to_numpy(float)
    scale = size / np.array([image_size[0], image_size[1]] * 2, dtype=float)
    corners = np.c_[drawn[:, :2], drawn[:, :2] + drawn[:, 2:]] * scale
    return np.clip(corners, 0, size)


def _check_truth(card: Card, split: str, data: Split) -> None:
    marked = data.truth.any(axis=(1, 2))
    if wrong := np.flatnonzero(marked != data.present).tolist():
        kind = "has no truth" if data.labels[wrong[0]] else "has truth but is labelled 0"
        raise SaltrustError(
            f"data set '{card.name}', split '{split}': image {data.ids[wrong[0]]} {kind} ({len(wrong)} such)"
        )


LOADERS.register("folder")(Loader(load, fingerprint))
