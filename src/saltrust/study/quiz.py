"""The items of a study with people, after Alqaraawi et al.: predict the network.

A task is about one class. It shows examples of which the network recognised some, missed some and took some for what
they are not; then a new image, of which people say whether the network will recognise it. First the choice of images
from labels and predictions alone, then the items that a study of drawn cells gives.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.datasets.cells import features as cells
from saltrust.study.study import Study

TASKS, CLASSROOM_TASKS = 14, 4
EXAMPLES = {"tp": 6, "fn": 3, "fp": 3}  # of each task, by kind
KINDS = {"tp": "true positives", "fn": "false negatives", "fp": "false positives", "tn": "true negatives"}
RECOGNISED = ("tp", "fp")  # the kinds of which the network says the class
ATTEMPTS = 300  # draws before it is said that there are too few images
METHOD = "lrp"
LARGEST = 10  # scores that are shown

Pools = dict[int, dict[str, list[int]]]


@dataclass(frozen=True)
class Choice:
    """The images of a task, by their positions among all.

    Attributes:
        label: the class that it is about.
        kind: of the new image, a name in KINDS.
        question: the new image.
        examples: by kind.
    """

    label: int
    kind: str
    question: int
    examples: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Example:
    """An image that is shown with what the network made of it.

    Attributes:
        kind: a name in EXAMPLES.
        pixels: (h, w, 3) uint8.
        relevance: (h, w), what each pixel says for the task's class, in log odds; negative: against it.
        scores: of each class, from 0 to 1, in the order of `QuizItems.classes`.
    """

    kind: str
    pixels: np.ndarray
    relevance: np.ndarray
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Task:
    """A task. What decides it, `label`, `kind` and `image`, is for the key alone.

    Attributes:
        label: the class's own name.
        shown: its name on the page.
        kind: of the new image, a name in KINDS.
        image: the new image's name in the data set.
        pixels: of the new image, (h, w, 3) uint8.
        examples: those of a kind together, in the order of EXAMPLES.
    """

    label: str
    shown: str
    kind: str
    image: str
    pixels: np.ndarray
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class QuizItems:
    """All that a page needs.

    Attributes:
        classes: the names that the page shows, neutral ones, in the order of the scores.
        tasks: in an order that says nothing.
        features: titles of what may be named, by name.
        local: the names of those that are parts of the image, which a map can mark.
        telling: for each class's own name, the features that are true of it.
        origin: data set, network and seed, in words.
    """

    classes: tuple[str, ...]
    tasks: tuple[Task, ...]
    features: Mapping[str, str]
    local: tuple[str, ...]
    telling: Mapping[str, tuple[str, ...]]
    origin: str


# --- the choice of images ---------------------------------------------------------------------------------------------


def kinds_of(labels: np.ndarray, predicted: np.ndarray, label: int) -> np.ndarray:
    """What each answer of a network is with respect to one class.

    Args:
        labels: true classes (n,).
        predicted: the network's (n,).
        label: the class.

    Returns:
        Names in KINDS (n,).

    >>> kinds_of(np.array([1, 1, 0, 0]), np.array([1, 0, 1, 2]), 1).tolist()
    ['tp', 'fn', 'fp', 'tn']
    """
    own, said = labels == label, predicted == label
    return np.select([own & said, own, said], ["tp", "fn", "fp"], "tn")


def question_kinds(tasks: int, rng: np.random.Generator) -> list[str]:
    """The kinds of the new images, in random order: as even as can be, and of an even number half are recognised.

    Args:
        tasks: 1 or more.
        rng: random generator.

    >>> sorted(question_kinds(4, np.random.default_rng(0)))
    ['fn', 'fp', 'tn', 'tp']
    """
    rest = tasks % 4
    recognised, not_recognised = rng.permutation(["tp", "fp"]), rng.permutation(["fn", "tn"])
    more = [kind for pair in zip(recognised, not_recognised, strict=True) for kind in pair][:rest]
    return [str(kind) for kind in rng.permutation([*KINDS] * (tasks // 4) + more)]


def choose(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str], tasks: int, seed: int, absent: int | None = None
) -> tuple[Choice, ...]:
    """Choose the images of all tasks.

    Classes have as many tasks each as can be. No task shares an image with another of the same class, and a new image
    is shown nowhere else: an example would give it away.

    Args:
        labels: true classes of the images (n,), positions in `classes`.
        predicted: the network's (n,).
        classes: their names.
        tasks: how many, 1 or more.
        seed: of the choice.
        absent: the class of images without an object, which has no task and gives no new image.

    Raises:
        SaltrustError: where there are too few images of some kind; it names the classes and counts.
    """
    asked = [label for label in range(len(classes)) if label != absent]
    kinds = {label: kinds_of(labels, predicted, label) for label in asked}
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        pools = {
            label: {kind: rng.permutation(np.flatnonzero(found == kind)).tolist() for kind in KINDS}
            for label, found in kinds.items()
        }
        for pool in pools.values():
            pool["tn"] = [image for image in pool["tn"] if labels[image] != absent]
        if chosen := _drawn(pools, tasks, rng):
            return chosen
    raise SaltrustError(_too_few(kinds, classes, tasks))


def _drawn(pools: Pools, tasks: int, rng: np.random.Generator) -> tuple[Choice, ...]:
    """One attempt; () where the images run out."""
    questions: list[tuple[int, str, int]] = []
    for kind in question_kinds(tasks, rng):
        asked = [label for label, _, _ in questions]
        in_turn = sorted(pools, key=lambda label: (asked.count(label), rng.random()))
        label = next((one for one in in_turn if _serves(pools[one], kind, asked.count(one) + 1)), None)
        if label is None:
            return ()
        question = pools[label][kind].pop()
        for pool in pools.values():
            for images in pool.values():
                if question in images:
                    images.remove(question)
        questions.append((label, kind, question))
    chosen = []
    for label, kind, question in questions:
        examples = {}
        for example, count in EXAMPLES.items():
            images = pools[label][example]
            if len(images) < count:
                return ()
            examples[example] = tuple(images.pop() for _ in range(count))
        chosen.append(Choice(label, kind, question, examples))
    return tuple(chosen)


def _serves(pool: Mapping[str, list[int]], kind: str, tasks: int) -> bool:
    """Whether images are left for the examples of so many tasks and one new image of a kind."""
    return len(pool[kind]) > 0 and all(
        len(pool[example]) >= count * tasks + (example == kind) for example, count in EXAMPLES.items()
    )


def _too_few(kinds: Mapping[int, np.ndarray], classes: Sequence[str], tasks: int) -> str:
    counts = {label: {kind: int((found == kind).sum()) for kind in EXAMPLES} for label, found in kinds.items()}
    needed = ", ".join(f"{count} {KINDS[kind]}" for kind, count in EXAMPLES.items())
    there = [
        f"{classes[label]} {'/'.join(str(count) for count in of.values())}"
        for label, of in sorted(counts.items(), key=lambda one: min(one[1][k] / n for k, n in EXAMPLES.items()))
    ]
    return (
        f"the test images are too few for {tasks} tasks: each takes {needed} of its class, and a new image. There are, "
        f"in this order, {', '.join(there)}"
    )


# --- the items of a study ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """What may be named of a data set's classes: titles by name, those that are parts of the image, and which of them
    are true of a class."""

    features: Mapping[str, str]
    local: tuple[str, ...]
    telling: Callable[[str], tuple[str, ...]]


KNOWN: dict[str, Known] = {
    "cells": Known(
        {name: one.title for name, one in cells.FEATURES.items()},
        tuple(name for name, one in cells.FEATURES.items() if one.local),
        cells.telling,
    )
}
"""By loader: the data whose classes are drawn, so that their features are known."""


def quiz_items(study: Study, tasks: int = TASKS, seed: int = 0, network: str | None = None) -> QuizItems:
    """The items of a study: images that the network has not learned from, its answers, and maps by LRP.

    Args:
        study: of data whose features are known.
        tasks: how many.
        seed: of the choice of images and of the names that are shown.
        network: a classifier of the study, by default the main one.

    Raises:
        SaltrustError: for other data, an unknown network, and too few images.
    """
    if study.card.loader not in KNOWN:
        known = ", ".join(KNOWN)
        raise SaltrustError(
            f"data set '{study.card.name}': what its classes are drawn with is not known, which a quiz asks; possible "
            f"are data of the loader {known}"
        )
    network = network or study.networks.main
    record = study.networks.trained(network).record
    test = study.networks.test(network)
    try:
        chosen = choose(test.labels, np.array(record["test_predictions"]), test.classes, tasks, seed, test.absent)
    except SaltrustError as error:
        others = ", ".join(name for name in study.networks.names if name != network)
        raise SaltrustError(f"{network}: {error}. Ask for fewer tasks, or for another network: {others}") from error
    scores = np.array(record["test_probabilities"])
    shown = neutral(len(test.classes), test.absent, seed)
    known = KNOWN[study.card.loader]

    def task(choice: Choice) -> Task:
        images = [(kind, image) for kind, found in choice.examples.items() for image in found]
        relevance = _relevance(study, network, choice.label, tuple(image for _, image in images))
        return Task(
            label=test.classes[choice.label],
            shown=shown[choice.label],
            kind=choice.kind,
            image=str(test.ids[choice.question]),
            pixels=_coloured(test.pixels[choice.question]),
            examples=tuple(
                Example(kind, _coloured(test.pixels[image]), found, tuple(scores[image].tolist()))
                for (kind, image), found in zip(images, relevance, strict=True)
            ),
        )

    return QuizItems(
        classes=shown,
        tasks=tuple(task(choice) for choice in chosen),
        features=known.features,
        local=known.local,
        telling={name: known.telling(name) for k, name in enumerate(test.classes) if k != test.absent},
        origin=f"{study.card.title}, {study.networks.title(network)}, profile {study.profile.name}, seed {seed}",
    )


def neutral(classes: int, absent: int | None, seed: int) -> tuple[str, ...]:
    """Names of classes that do not say what they are: letters in random order, and "no cell" for the absent one.

    >>> sorted(neutral(3, 2, seed=0))
    ['no cell', 'type A', 'type B']
    """
    letters = np.random.default_rng([seed, classes]).permutation(classes - (absent is not None))
    names = [f"type {chr(ord('A') + letter)}" for letter in letters]
    return tuple(names if absent is None else [*names[:absent], "no cell", *names[absent:]])


def _relevance(study: Study, network: str, label: int, images: tuple[int, ...]) -> np.ndarray:
    """What each pixel says for one class (n, h, w): the class that was missed or seen, whatever the network said."""
    maps = study.maps.artefact(METHOD, network, images)
    return study.store.get(replace(maps, scalar="logit", target=label)).values.sum(axis=1)


def _coloured(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=-1)
