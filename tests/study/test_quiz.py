"""The choice of a quiz's images: balance, no image that gives another away, and what is said where images are few."""

from collections import Counter

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.cells import TYPES
from saltrust.datasets.cells.features import FEATURES, telling
from saltrust.datasets.cells.shapes import CELLS
from saltrust.study import quiz
from saltrust.study.quiz import EXAMPLES, KINDS, RECOGNISED, choose, kinds_of, neutral, question_kinds


def predictions(n=800, classes=10, accuracy=0.75, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    return labels, np.where(rng.random(n) < accuracy, labels, rng.integers(classes, size=n))


def test_kinds_are_those_of_a_confusion_matrix():
    labels, predicted = predictions()
    kinds = Counter(kinds_of(labels, predicted, 3).tolist())
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (labels, predicted), 1)
    assert kinds["tp"] == matrix[3, 3]
    assert kinds["fn"] == matrix[3].sum() - matrix[3, 3]
    assert kinds["fp"] == matrix[:, 3].sum() - matrix[3, 3]
    assert kinds.total() == 800


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 7, 14])
def test_new_images_are_balanced(tasks):
    for seed in range(20):
        kinds = Counter(question_kinds(tasks, np.random.default_rng(seed)))
        assert kinds.total() == tasks
        assert max(kinds[k] for k in KINDS) - min(kinds[k] for k in KINDS) <= 1
        recognised = sum(kinds[kind] for kind in RECOGNISED)
        assert abs(2 * recognised - tasks) == tasks % 2


@pytest.mark.parametrize("seed", range(5))
def test_each_task_has_what_it_says_and_no_new_image_is_shown_elsewhere(seed):
    labels, predicted = predictions(seed=seed)
    chosen = choose(labels, predicted, TYPES, 14, seed, absent=9)
    assert len(chosen) == 14
    questions = [choice.question for choice in chosen]
    shown = [(choice.label, image) for choice in chosen for found in choice.examples.values() for image in found]
    assert len(set(questions)) == 14
    assert not set(questions) & {image for _, image in shown}
    assert len(set(shown)) == len(shown) == 14 * 12, "no class shows an image twice"
    for choice in chosen:
        assert {kind: len(found) for kind, found in choice.examples.items()} == EXAMPLES
        kinds = kinds_of(labels, predicted, choice.label)
        assert kinds[choice.question] == choice.kind
        for kind, found in choice.examples.items():
            assert set(kinds[list(found)]) == {kind}
    tasks_of = Counter(choice.label for choice in chosen)
    assert 9 not in tasks_of
    assert sorted(tasks_of.values()) == [1, 1, 1, 1, 2, 2, 2, 2, 2]
    assert all(labels[question] != 9 for choice, question in zip(chosen, questions, strict=True) if choice.kind == "tn")


def test_the_same_seed_chooses_the_same_and_another_one_others():
    given = (*predictions(), TYPES, 14)
    assert choose(*given, 3, 9) == choose(*given, 3, 9)
    assert choose(*given, 3, 9) != choose(*given, 4, 9)


def test_a_class_with_too_few_errors_has_no_task():
    labels, predicted = predictions(n=1500)
    predicted = np.where((labels == 2) | (predicted == 2), labels, predicted)  # the network knows class 2
    chosen = choose(labels, predicted, TYPES, 14, 0, absent=9)
    assert {choice.label for choice in chosen} == set(range(9)) - {2}


def test_too_few_images_are_one_line_with_classes_and_counts():
    labels = np.repeat([0, 1], 20)
    predicted = labels.copy()
    predicted[[0, 20, 21]] = [1, 0, 0]  # of class 0: 19 right, 1 missed, 2 taken for it; of class 1: 18, 2, 1
    with pytest.raises(SaltrustError) as error:
        choose(labels, predicted, ("cat", "dog"), 2, 0)
    assert str(error.value) == (
        "the test images are too few for 2 tasks: each takes 6 true positives, 3 false negatives, 3 false positives of "
        "its class, and a new image. There are, in this order, cat 19/1/2, dog 18/2/1"
    )


def test_what_tells_a_type_is_what_it_is_drawn_with():
    told = {name: set(telling(name)) for name in CELLS}
    assert told["CCell"] == {"round", "border"}
    assert told["CCellM"] == {"round", "bar"}
    assert told["CCellP"] == {"round", "bar", "pole"}
    assert told["RCell"] == told["RCellB"] == told["RCellC"] == {"corners", "border", "colour"}
    assert told["CCellT"] == told["CCellT3"] == told["CCellT8"] == {"round", "tails"}
    assert not {"background", "brightness", "place"} & set().union(*told.values())
    assert {name for name, one in FEATURES.items() if not one.local} == {"colour", "brightness", "place"}


def test_names_that_are_shown_say_nothing():
    names = neutral(10, 9, seed=1)
    assert sorted(names) == ["no cell", *(f"type {letter}" for letter in "ABCDEFGHI")]
    assert names[9] == "no cell"
    assert neutral(10, 9, seed=2) != names
    assert list(names[:9]) != sorted(names[:9])


def test_other_data_are_refused_before_any_work():
    class Study:
        class card:  # noqa: N801
            name, loader = "phantom-pneumonia", "phantom"

    with pytest.raises(SaltrustError, match="what its classes are drawn with is not known"):
        quiz.quiz_items(Study())
