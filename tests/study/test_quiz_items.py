"""The items of a study from end to end, on a small network that has learned next to nothing: what is shown is what the
network said, and a map explains the task's class, whatever the network said."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from saltrust.artefacts.store import Store
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES, Branching
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS
from saltrust.models.architectures import ARCHITECTURES, Architecture, Stage
from saltrust.models.classifiers import to_input
from saltrust.models.recipes import BRANCHING
from saltrust.publishing.quiz_page import page
from saltrust.study import quiz
from saltrust.study.quiz import EXAMPLES, Choice, quiz_items
from saltrust.study.study import Study

SIZE = 32


def network(n_outputs):
    return nn.Sequential(
        nn.Conv2d(3, 4, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, n_outputs)
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    stages = (Stage("logits", ("4",)), Stage("conv1", ("0",)))
    ARCHITECTURES["small"] = Architecture("small", "Small", network, dict, 1e-3, stages, (0.0, 1.0))
    shards = {"train": 1, "val": 1, "test": 1}
    branching = Branching({"small": SIZE}, shards, branches=1, judged=4, depths=(), deep_branches=1)
    PROFILES["tiny"] = replace(PROFILES["smoke"], name="tiny", branching=branching)
    BRANCHING["tiny"] = {"small": BRANCHING["smoke"]["alexnet"]}
    with pytest.MonkeyPatch.context() as patch:
        card = data_cards.load("cells").model_copy(update={"networks": ("small", "small")})
        patch.setattr("saltrust.core.data_cards.load", lambda name: card)
        yield Study("cells", "tiny", store=Store(tmp_path_factory.mktemp("store")))
    for registered, name in ((BRANCHING, "tiny"), (ARCHITECTURES, "small"), (PROFILES, "tiny")):
        del registered[name]


@pytest.fixture
def chosen(study, monkeypatch):
    """Images by number, since such a network recognises next to none; the kinds are not true."""
    test = study.networks.test()
    found = []
    for label in (2, 5):
        images = iter(np.flatnonzero(test.labels == label).tolist() + np.flatnonzero(test.labels != label).tolist())
        examples = {kind: tuple(next(images) for _ in range(count)) for kind, count in EXAMPLES.items()}
        found.append(Choice(label, "fn", next(images), examples))
    monkeypatch.setattr(quiz, "choose", lambda *given: tuple(found))
    return found


def test_items_are_what_the_network_said_and_maps_explain_the_tasks_class(study, chosen):
    test, record = study.networks.test(), study.networks.trained().record
    items = quiz_items(study, tasks=2, seed=3)
    model = study.networks.artefact(study.networks.main).network(study.store.get)
    assert {task.label for task in items.tasks} == {"CCellP", "RCellC"}
    for task, choice in zip(items.tasks, chosen, strict=True):
        assert task.label == test.classes[choice.label]
        assert task.shown == items.classes[choice.label] != task.label
        assert (task.pixels == test.pixels[choice.question]).all()
        assert task.image == test.ids[choice.question]
        images = [image for found in choice.examples.values() for image in found]
        assert [one.kind for one in task.examples] == [kind for kind, n in EXAMPLES.items() for _ in range(n)]
        explained = Explained(model, "logit", choice.label, input_range=(0.0, 1.0))
        inputs = to_input(test.pixels[images], (0.0, 1.0))
        parameters = study.maps.artefact("lrp", study.networks.main, tuple(images)).parameters
        expected = METHODS["lrp"].function(explained, inputs, keys=[(i,) for i in images], **parameters)
        for image, one, relevance in zip(images, task.examples, expected.cpu().numpy().sum(1), strict=True):
            assert (one.pixels == test.pixels[image]).all()
            assert one.scores == tuple(record["test_probabilities"][image])
            np.testing.assert_allclose(one.relevance, relevance, atol=1e-6 * np.abs(relevance).max())
    assert items.classes[test.absent] == "no cell"
    html, key = page(items)
    assert not any(name in html for name in ("CCellP", "RCellC", *test.ids[:3]))
    assert {one["class"] for one in key["tasks"].values()} == {"CCellP", "RCellC"}


def test_a_network_that_says_one_class_is_refused_with_counts(study):
    with pytest.raises(SaltrustError, match=r"the test images are too few for 14 tasks: .* There are, in this order, "):
        quiz_items(study)
