"""The page of a study with people, and its key: items as one file that needs no other and no network.

The page holds nothing that decides a task: neither what the new image is, nor what the network says of it, nor the
classes' own names. These stand in the key, which `saltrust quiz read` needs. A page for the classroom, which scores
itself, is the exception.
"""

import json
import os
import tempfile
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from saltrust.analysis.quiz_reading import ANSWERS, KEY, checksum
from saltrust.core.errors import SaltrustError
from saltrust.study.quiz import LARGEST, RECOGNISED, Example, QuizItems

LIMIT = 10 * 2**20  # bytes of a page
SIDE = 160  # pixels of a picture; larger ones are made smaller
SATURATED = 99.0  # percentile of the sizes of a map's values that is shown in full colour
RED, BLUE = np.array([230.0, 30, 30]), np.array([40.0, 90, 255])
DIMMED = 0.6  # brightness of the grey image below a map
MINUTES = 2  # for a task
CLASSROOM_NOTE = (
    "<li>This is the short version for a classroom: it tells at the end what was right. So the solutions are in this "
    "file.</li>"
)


def page(items: QuizItems, classroom: bool = False, seed: int = 0) -> tuple[str, dict[str, Any]]:
    """The page and its key.

    Args:
        items: what is shown.
        classroom: whether the page itself knows what is right and tells it at the end.
        seed: of the order in which tasks, examples and features stand in the file.

    Returns:
        HTML, and the content of the key.

    Raises:
        SaltrustError: where the page is larger than LIMIT.
    """
    rng = np.random.default_rng(seed)
    names = [*items.features]
    feature_ids = {name: f"f{k}" for k, name in enumerate(rng.permutation(names).tolist(), 1)}
    shuffled = [items.tasks[place] for place in rng.permutation(len(items.tasks))]
    tasks = {f"t{k}": task for k, task in enumerate(shuffled, 1)}
    truth = {
        name: {"recognised": task.kind in RECOGNISED, "features": [feature_ids[f] for f in items.telling[task.label]]}
        for name, task in tasks.items()
    }
    content = {
        "format": ANSWERS,
        "features": [[one, items.features[name]] for name, one in feature_ids.items()],
        "tasks": [
            {
                "id": name,
                "name": task.shown,
                "question": address(task.pixels),
                "examples": [
                    _example(task.examples[place], items.classes) for place in rng.permutation(len(task.examples))
                ],
            }
            for name, task in tasks.items()
        ],
        "truth": truth if classroom else None,
    }
    version = sha256(_compact(content).encode()).hexdigest()
    key = {
        "format": KEY,
        "version": version,
        "origin": items.origin,
        "classroom": classroom,
        "tasks": {
            name: {"class": task.label, "shown": task.shown, "kind": task.kind, "image": task.image, **truth[name]}
            for name, task in tasks.items()
        },
        "features": {
            one: {"name": name, "title": items.features[name], "local": name in items.local}
            for name, one in feature_ids.items()
        },
    }
    html = _html({"version": version, **content}, classroom)
    if (size := len(html.encode())) > LIMIT:
        raise SaltrustError(
            f"the page would have {size / 2**20:.1f} MB of at most {LIMIT >> 20}; fewer tasks make it smaller"
        )
    return html, key | {"check": checksum(key)}


def key_of(out: Path) -> Path:
    """The file of a page's key. Raises SaltrustError where it or the page is there: without the key that belongs to
    them, answers that were given are lost."""
    beside = out.with_name(f"{out.name}.key.json")
    if there := [file for file in (out, beside) if file.exists()]:
        raise SaltrustError(
            f"{there[0]} exists already; a page and its key are not written over, since answers need both"
        )
    return beside


def write(items: QuizItems, out: Path, classroom: bool = False, seed: int = 0) -> Path:
    """Write the page, and beside it its key, each of them whole or not at all.

    Args:
        items: what is shown.
        out: the page's file.
        classroom, seed: as in `page`.

    Returns:
        The key's file, `<out>.key.json`.

    Raises:
        SaltrustError: as `page` does, and where one of the files is there.
    """
    beside = key_of(out)
    html, key = page(items, classroom, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    _whole(beside, json.dumps(key, indent=1))  # first: a page without its key is worth nothing
    _whole(out, html)
    return beside


def _whole(file: Path, text: str) -> None:
    with tempfile.TemporaryDirectory(prefix=".quiz-", dir=file.parent) as folder:
        temporary = Path(folder) / "whole"
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, file)


def _example(example: Example, classes: tuple[str, ...]) -> dict[str, Any]:
    largest = sorted(zip(classes, example.scores, strict=True), key=lambda one: -one[1])[:LARGEST]
    return {
        "kind": example.kind,
        "image": address(example.pixels),
        "map": address(overlay(example.pixels, example.relevance)),
        "scores": [[name, round(score, 2)] for name, score in largest],
    }


def overlay(pixels: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """A map over its image: the image grey and darker, what speaks for the class red, what speaks against it blue.

    Args:
        pixels: (h, w, 3) uint8.
        relevance: (h, w), positive and negative.

    Returns:
        (h, w, 3) uint8.

    >>> overlay(np.zeros((1, 3, 3), np.uint8), np.array([[1.0, 0.0, -1.0]]))[0].tolist()
    [[230, 30, 30], [0, 0, 0], [40, 90, 255]]
    """
    grey = DIMMED * (pixels @ np.array([0.299, 0.587, 0.114]))[..., None]
    largest = np.percentile(np.abs(relevance), SATURATED) or np.abs(relevance).max()
    strength = np.clip(np.abs(relevance) / largest if largest else np.zeros_like(relevance), 0, 1)[..., None]
    colour = np.where(relevance[..., None] > 0, RED, BLUE)
    return np.rint((1 - strength) * grey + strength * colour).astype(np.uint8)


def address(pixels: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 as an address that holds it: WebP without loss, at most SIDE pixels wide and high."""
    image = Image.fromarray(pixels)
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    written = BytesIO()
    image.save(written, format="WEBP", lossless=True, quality=100, method=4)
    return f"data:image/webp;base64,{b64encode(written.getvalue()).decode()}"


def _compact(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=True)


def _html(content: dict[str, Any], classroom: bool) -> str:
    folder = files("saltrust.publishing")
    style, own, script, frame = (
        (folder / name).read_text(encoding="utf-8") for name in ("style.css", "quiz.css", "quiz.js", "quiz.html")
    )
    style += own
    tasks = len(content["tasks"])
    return Template(frame).substitute(
        policy=escape(_policy(style, script)),
        style=style,
        script=script,
        items=_compact(content).replace("<", "\\u003c"),  # nothing in it can end the element that holds it
        tasks=tasks,
        minutes=MINUTES * tasks + 2,
        note=CLASSROOM_NOTE if classroom else "",
    )


def _policy(style: str, script: str) -> str:
    """The page may use its own style sheet and script, and pictures within it, and nothing else."""
    own, run = (f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in (style, script))
    return f"default-src 'none'; img-src data:; style-src {own}; script-src {run}; base-uri 'none'; form-action 'none'"
