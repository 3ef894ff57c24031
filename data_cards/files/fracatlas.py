"""Make fracatlas-tiles.zip: tiles of radiographs around fractures, and tiles of films without one that look alike.

A tile without a fracture lies where another film has one, and holds as much light and as many edges as a tile with one:
neither its place nor its content at large gives the label away.

    python data_cards/files/fracatlas.py FOLDER

FOLDER holds FracAtlas (Abedeen et al. 2023, CC BY 4.0) as index.csv, images/ and masks/, each film reduced to 512
pixels along its longer side. What was changed is said in the card, as the licence asks.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

TILE = 128  # pixels
QUALITY = 82  # of JPEG
MARGIN = 20  # pixels by which the middle of a fracture stays within the tile, wherever that lies
LEAST_TRUTH = 30  # pixels of a fracture in a tile
STAMP = (2023, 8, 8, 0, 0, 0)  # of every member, so that the archive is the same whenever it is made

Place = tuple[int, int]  # of a tile's upper left corner, x and y in pixels of the film
Look = np.ndarray  # logarithms of a tile's mean grey and of its mean gradient


def main(folder: Path) -> None:
    films = pd.read_csv(folder / "index.csv", keep_default_na=False)
    films = films[films["hardware"] == 0]  # implants go with fractures: a network would learn them instead
    rows, members = [], {}
    examples: dict[tuple[str, int, int], list[tuple[Place, Look]]] = {}  # by region and shape of the film
    for film in films[films["label"] == 1].itertuples():
        rng = np.random.default_rng(int(film.source_id[3:]))
        truth = np.array(Image.open(folder / film.mask).convert("L")) > 0
        place = around_fracture(truth, rng)
        grey = np.array(Image.open(folder / film.path).convert("L"))
        examples.setdefault((film.region, film.width, film.height), []).append((place, look(cut(grey, place))))
        add(rows, members, film, grey, place, truth)
    for film in films[films["label"] == 0].itertuples():
        rng = np.random.default_rng(int(film.source_id[3:]))
        if alike := examples.get((film.region, film.width, film.height)):
            grey = np.array(Image.open(folder / film.path).convert("L"))
            add(rows, members, film, grey, resembling(grey, alike, rng), None)
    table = pd.DataFrame(rows).sort_values("image")
    members = {"index.csv": table.to_csv(index=False).encode(), **dict(sorted(members.items()))}
    with zipfile.ZipFile(Path(__file__).with_name("fracatlas-tiles.zip"), "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, STAMP), content)
    print(table.groupby(["split", "label"]).size())


def around_fracture(truth: np.ndarray, rng: np.random.Generator) -> Place:
    """A place at which a tile shows some of a fracture (one drawn pixel of it), not always in its middle."""
    height, width = truth.shape
    pixels = np.argwhere(truth)
    while True:
        y, x = pixels[rng.integers(len(pixels))] - rng.integers(MARGIN, TILE - MARGIN, 2)
        x, y = int(np.clip(x, 0, width - TILE)), int(np.clip(y, 0, height - TILE))
        if cut(truth, (x, y)).sum() >= min(LEAST_TRUTH, len(pixels)):
            return x, y


def resembling(film: np.ndarray, examples: list[tuple[Place, Look]], rng: np.random.Generator) -> Place:
    """Of the places of tiles with a fracture the one at which this film looks most like one of those tiles."""
    _, wanted = examples[rng.integers(len(examples))]
    return min((place for place, _ in examples), key=lambda place: np.abs(look(cut(film, place)) - wanted).sum())


def look(tile: np.ndarray) -> Look:
    """How bright a tile is, and how much of its edges it shows."""
    gradient = np.hypot(*np.gradient(tile.astype(float)))
    return np.log1p([tile.mean(), gradient.mean()])


def cut(film: np.ndarray, place: Place) -> np.ndarray:
    x, y = place
    return film[y : y + TILE, x : x + TILE]


def add(rows: list, members: dict, film, grey: np.ndarray, place: Place, truth: np.ndarray | None) -> None:
    """Put the tile of a film into the table and among the members of the archive."""
    image, mask = f"images/{film.source_id}.jpg", f"masks/{film.source_id}.png" if truth is not None else ""
    members[image] = encoded(Image.fromarray(cut(grey, place)), "JPEG", quality=QUALITY, optimize=True)
    if truth is not None:
        members[mask] = encoded(Image.fromarray(cut(truth, place)), "PNG", optimize=True)
    rows.append({"image": image, "label": film.label, "mask": mask, "split": film.split, "series": film.group,
                 "region": film.region, "x": place[0], "y": place[1]})  # fmt: skip


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
