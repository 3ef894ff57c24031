"""Small quizzes for tests: drawn items, and the files that participants would save."""

import json

import numpy as np

from saltrust.analysis.quiz_reading import ANSWERS, ARMS, checksum
from saltrust.study.quiz import EXAMPLES, KINDS, Example, QuizItems, Task

FEATURES = {"edge": "an edge", "spot": "a spot", "shade": "its shade"}
TELLING = {"squirrel": ("edge", "shade"), "heron": ("spot",)}  # words that stand nowhere else on the page
SHOWN = ("type B", "type A", "none")


def items(tasks=4, side=12, seed=0):
    """Noise of a few pixels; classes in turn, and kinds in turn."""
    rng = np.random.default_rng(seed)

    def pixels():
        return rng.integers(0, 256, (side, side, 3), dtype=np.uint8)

    kinds = [kind for kind, count in EXAMPLES.items() for _ in range(count)]
    made = tuple(
        Task(
            label=[*TELLING][place % 2],
            shown=SHOWN[place % 2],
            kind=[*KINDS][place % 4],
            image=f"test-secret-{place}",
            pixels=pixels(),
            examples=tuple(
                Example(kind, pixels(), rng.normal(size=(side, side)), tuple(rng.dirichlet(np.ones(3)).tolist()))
                for kind in kinds
            ),
        )
        for place in range(tasks)
    )
    return QuizItems(SHOWN, made, FEATURES, ("edge", "spot"), TELLING, "drawn for a test")


def saved(key, number=1, answered=None, right=lambda task, trial: True, arm=None, features=(), **changes):
    """The content of a participant's file. key: as `page` gives it. right: whether the answer to a task is."""
    order = [*key["tasks"]]
    answers = [
        {
            "task": task,
            "recognised": key["tasks"][task]["recognised"] == bool(right(task, trial)),
            "confidence": 1 + trial % 4,
            "features": [*features],
            "seconds": 20 + trial,
        }
        for trial, task in enumerate(order[:answered])
    ]
    body = {
        "format": ANSWERS,
        "version": key["version"],
        "number": number,
        "arm": arm or ARMS[number % 4],
        "assigned": "number",
        "order": order,
        "answers": answers,
        "complete": len(answers) == len(order),
    } | changes
    return body | {"check": checksum(body)}


def write(folder, name, content):
    file = folder / f"{name}.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return file
