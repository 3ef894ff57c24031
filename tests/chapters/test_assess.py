"""Models that were trained elsewhere: their card, what can be asked of one or of two, and the facade that asks it."""

import textwrap
from dataclasses import replace

import numpy as np
import pytest
import yaml

from saltrust import chapters
from saltrust.analysis.report_card import criteria_of, grades, report_card
from saltrust.analysis.report_card_warnings import CardEvidence, warnings
from saltrust.artefacts.store import Store
from saltrust.chapters import assess
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.plots.report_card import report_card_figure
from saltrust.publishing.report_card_page import html
from saltrust.study.study import Study

CODE = """
from torch import nn
import torch


def network(width, seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 2),
    )


def described(width, seed):
    return {"network": network(width, seed), "size": 48, "channels": 1, "classes": ["healthy", "pneumothorax"]}


def first():
    return described(4, 0)


def twin():
    return described(4, 1)


def wider():
    return described(6, 2)


FINDINGS = ["Pleural_Effusion", "edema", "mass", "Consolidation", "Cardiomegaly", "Atelectasis"]


def findings(names=FINDINGS, norm=lambda: nn.BatchNorm2d(8), act=nn.ReLU, **more):
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), norm(), act(), nn.Conv2d(8, 8, 3, stride=2, padding=1), act(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, len(names)),
    )
    return {"network": body, "size": 48, "channels": 1, "input_range": (0, 1), "classes": names} | more


class NowAndThen(nn.Module):
    '''Infinite for images as dark as none is on which a model is tried.'''

    def __init__(self):
        super().__init__()
        self.body = findings()["network"]

    def forward(self, images):
        dark = images.mean((1, 2, 3)) < 0.42
        return self.body(images) + torch.where(dark, torch.inf, 0.0)[:, None]


def five():
    return findings()


def smooth():
    return findings(norm=lambda: nn.GroupNorm(2, 8), act=nn.SiLU)


def four():
    return findings([name for name in FINDINGS if name not in ("mass", "Consolidation")])


def softmax():
    return findings(exclusive=True)


def now_and_then():
    return findings() | {"network": NowAndThen()}
"""

SIZES = replace(PROFILES["smoke"].multilabel, size=32, val=24, test=20)


@pytest.fixture
def code(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ASSESSED", tmp_path / "cards")
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    file = tmp_path / "Some Nets.py"
    file.write_text(textwrap.dedent(CODE))
    return file


@pytest.fixture
def study(code, tiny_profile, tmp_path):
    """A function from names of functions to a study of those models on the phantoms."""

    def of(*functions):
        card = assess.card_of("phantom-pneumothorax", [f"{code}:{function}" for function in functions])
        data_cards.save(card, paths.ASSESSED)
        return Study(card.name, "tiny", store=Store(tmp_path / "store"))

    with tiny_profile(explained=3, cascaded=2):
        yield of


def test_the_card_names_the_data_and_the_models(code):
    card = assess.card_of("phantom-pneumothorax", [f"{code}:first", f"{code}:twin"])
    assert card.name == "phantom-pneumothorax-some-nets-first-some-nets-twin"
    assert [model.name for model in card.models] == ["some-nets-first", "some-nets-twin"]
    assert [model.source for model in card.models] == [f"{code}:first", f"{code}:twin"]
    assert card.identity() == data_cards.load("phantom-pneumothorax").identity()
    data_cards.save(card, paths.ASSESSED)
    assert data_cards.load(card.name).models == card.models


def test_names_of_models_never_collide(tmp_path):
    files = [tmp_path / folder / "net.py" for folder in ("a", "b", "c")]
    for file in files:
        file.parent.mkdir()
        file.write_text("")
    described = tmp_path / "other.yaml"
    described.write_text(yaml.safe_dump({"source": str(files[2]), "name": "net-random"}))
    card = assess.card_of("cells", [*map(str, files), str(described)])
    assert [model.name for model in card.models] == ["net", "net-2", "net-3", "net-random-2"]


def test_another_model_of_the_same_name_is_not_overwritten(code, tmp_path):
    other = tmp_path / "other" / code.name
    other.parent.mkdir()
    other.write_text(code.read_text())
    data_cards.save(assess.card_of("phantom-pneumothorax", [f"{code}:first"]), paths.ASSESSED)
    assess._refuse_others(assess.card_of("phantom-pneumothorax", [f"{code}:first"]))
    with pytest.raises(SaltrustError, match="is the name of an assessment of .*Some Nets.py:first: describe"):
        assess._refuse_others(assess.card_of("phantom-pneumothorax", [f"{other}:first"]))


def test_wrong_names_are_told_before_any_model_is_loaded(code):
    card = assess.card_of("phantom-pneumothorax", [f"{code}:nowhere"])
    for names, message in (
        (("smok", "corrected", "paper"), "unknown profile 'smok'"),
        (("smoke", "publishd", "paper"), "unknown protocol 'publishd'"),
        (("smoke", "corrected", "xria"), "unknown method 'xria'"),
    ):
        with pytest.raises(SaltrustError, match=message):
            assess.assess(card, *names, seed=0, tell=print)
    assert not paths.ASSESSED.exists()


def test_a_model_may_be_described_in_a_file_beside_it(code):
    file = code.with_name("mine.yaml")
    file.write_text(yaml.safe_dump({"source": f"{code.name}:first", "name": "mine", "size": 64}))
    card = assess.card_of("phantom-pneumothorax", [str(file)])
    assert card.name == "phantom-pneumothorax-mine"
    assert card.models[0].source == f"{code}:first"
    assert card.models[0].size == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "mine.yaml: not valid YAML"),
        ("- a", "mine.yaml: not a description of a model"),
        ("name: a", "mine.yaml: source: Field required"),
        ("{source: a, sise: 3}", "mine.yaml: unknown field 'sise'; did you mean 'size'"),
        ("{source: a, size: big}", "mine.yaml: size: Input should be a valid integer"),
    ],
)
def test_a_broken_description_is_refused(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SaltrustError, match=message):
        assess.card_of("phantom-pneumothorax", [str(tmp_path / "mine.yaml")])


def test_what_several_findings_allow(code):
    card = assess.card_of("phantom-chest5", [f"{code}:five"])
    assert chapters.of(card) == {"dataset": (), "multilabel": ("dataset",), "alarm": ("multilabel",)}
    assert chapters.of(card.model_copy(update={"chapters": ()})) == chapters.of(card)
    with pytest.raises(SaltrustError, match="'phantom-chest5' has several findings: .*assess one at a time"):
        assess.card_of("phantom-chest5", [f"{code}:five", f"{code}:smooth"])


def assessed(code, function, monkeypatch, profile="tiny"):
    """What is told, and which chapters would be published with what, of a model on the phantoms of five findings."""
    told, published = [], []
    monkeypatch.setattr(paths, "STORE", paths.RESULTS / "store")
    monkeypatch.setattr(assess.execute, "publish", lambda chapter, given: published.append((chapter.name, given)))
    card = assess.card_of("phantom-chest5", [f"{code}:{function}"])
    last = assess.assess(card, profile, "corrected", "paper", seed=0, tell=told.append)
    return told, published, last


def test_a_model_of_several_findings_is_asked_for_an_alarm(code, tiny_profile, monkeypatch):
    with tiny_profile(multilabel=SIZES):
        told, published, last = assessed(code, "five", monkeypatch)
    assert [name for name, _ in published] == ["dataset", "multilabel", "alarm"]
    assert all("methods" not in given for _, given in published)
    assert (last.chapter, last.page.name) == ("alarm", "alarm.html")
    assert told[0].endswith("outputs Pleural_Effusion, edema, mass, Consolidation, Cardiomegaly, Atelectasis, "
                            "each for itself")  # fmt: skip
    assert not any(line.startswith("without") for line in told)


def test_a_method_of_the_alarm_that_cannot_explain_a_model_is_told_in_one_line(code, tiny_profile, monkeypatch):
    with tiny_profile(multilabel=SIZES):
        told, published, _ = assessed(code, "smooth", monkeypatch)
    (line,) = [line for line in told if line.startswith("without")]
    assert line.startswith("without lrp: LRP has no rule for 'group_norm'")
    assert len(published) == 3


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("four", "has no output 'Consolidation'; its 4 are called Pleural_Effusion, .*by `classes`$"),
        ("softmax", "has outputs that exclude each other, and an image has any number"),
        ("now_and_then", "returns NaN or infinite logits for [0-9]+ of 24 val images; the first is 'val-"),
    ],
)
def test_a_model_that_will_not_do_for_several_findings_is_refused_in_one_line(
    code, tiny_profile, monkeypatch, function, message
):
    with tiny_profile(multilabel=SIZES), pytest.raises(SaltrustError, match=message) as caught:
        assessed(code, function, monkeypatch)
    assert str(caught.value).startswith(f"model '{code}:{function}' ")
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_told():
    with pytest.raises(SaltrustError, match="no model to assess"):
        assess.card_of("phantom-pneumothorax", [])
    with pytest.raises(SaltrustError, match="unknown data set 'phantom'"):
        assess.card_of("phantom", ["a.py:load"])
    with pytest.raises(SaltrustError, match=r"no description of a model nowhere\.yaml"):
        assess.card_of("cells", ["nowhere.yaml"])


def test_what_one_model_allows_and_what_two(code):
    one, two = (
        assess.card_of("phantom-pneumothorax", [f"{code}:{name}" for name in names])
        for names in (["first"], ["first", "twin"])
    )
    assert "repeatability" not in chapters.of(one)
    assert "repeatability" in chapters.of(two)
    for card in (one, two):
        assert {"multiverse", "audit", "claims", "statistics"}.isdisjoint(chapters.of(card))
        assert list(chapters.of(card))[-1] == "report_card"
        assert set().union(*chapters.of(card).values()) <= set(chapters.of(card))


def test_one_model_is_asked_two_questions(study):
    own = study("first")
    assert own.networks.classifiers == ("some-nets-first",)
    assert own.networks.judged == ("some-nets-first", "some-nets-first-random")
    assert own.criteria.partners == {}
    assert own.images.size == 48
    assert own.networks.stages == ("7", "3", "0")
    names = "grad,gradcam"
    card = report_card(own, names, n_boot=20)
    assert criteria_of(card) == ["utility", "randomization"]
    assert set(study("first").verdicts(names, 20)["criterion"]) == {"utility", "randomization"}
    assert {example.criterion for example in own.examples(names)} == {"utility", "randomization"}
    found = warnings(CardEvidence(own, names, card, 20))
    assert any(text.startswith("There is one network") for text in found)
    page = html(own, card, found, report_card_figure(card), "alt")
    assert "some-nets-first on Phantom" in page.replace("\n", " ")
    assert "Repeat" not in page.split("<table>")[1]


@pytest.mark.parametrize(
    ("functions", "criterion"), [(("first", "twin"), "repeatability"), (("first", "wider"), "reproducibility")]
)
def test_two_models_are_compared_by_what_they_share(study, functions, criterion):
    own = study(*functions)
    assert own.criteria.partners == {criterion: f"some-nets-{functions[1]}"}
    card = report_card(own, "grad", n_boot=20)
    assert criteria_of(card) == ["utility", "randomization", criterion]
    assert list(grades(card)) == criteria_of(card)


def test_three_models_answer_all_four(study):
    own = study("first", "wider", "twin")
    assert own.criteria.partners == {"repeatability": "some-nets-twin", "reproducibility": "some-nets-wider"}


def test_the_same_weights_twice_are_no_replicates(study):
    with pytest.raises(SaltrustError, match="'some-nets-first' and 'some-nets-first-2' have the same weights"):
        study("first", "first")


def test_what_is_assumed_of_a_model_is_said(study):
    said = study("first").networks.models["some-nets-first"].assumed
    assert said == (
        "48 pixels, 1 channel, black 0 and white 1 (a guess: say `input_range`); outputs healthy, pneumothorax, "
        "exclusive (a guess: say `exclusive`)"
    )


def test_its_record_holds_what_it_says_of_the_test_images(study):
    import torch

    own = study("first")
    scores = own.networks.trained().record["test_scores"]
    namespace: dict = {}
    exec(CODE, namespace)
    network = namespace["first"]()["network"].eval()
    pixels = own.store.get(own.networks.artefact(own.networks.main).test).pixels
    with torch.no_grad():
        logits = network(torch.from_numpy(pixels)[:, None].float() / 255).numpy()
    np.testing.assert_allclose(scores, logits[:, 1] - logits[:, 0], atol=1e-5)
    assert own.networks.table(20)["auc"].notna().all()


def test_another_version_of_the_code_is_another_model(study, code):
    before = study("first").networks.artefact("some-nets-first").digest
    assert study("first").networks.artefact("some-nets-first").digest == before
    code.write_text(code.read_text().replace("described(4, 0)", "described(4, 7)"))
    assert study("first").networks.artefact("some-nets-first").digest != before


def test_code_that_changes_under_a_study_is_told(study, code):
    own = study("first")
    spec = own.networks.artefact("some-nets-first")
    code.write_text(code.read_text().replace("described(4, 0)", "described(4, 9)"))
    with pytest.raises(SaltrustError, match="Some Nets.py:first has changed since this study began"):
        own.store.get(spec)


def test_methods_that_cannot_explain_a_model_are_named(study):
    own = study("first")
    assert own.networks.refused(["grad", "xrai"]) == {}
    assert own.networks.refused([]) == {}


def test_a_run_on_a_users_models_begins_with_a_look_at_its_methods(code):
    code.write_text(code.read_text().replace("nn.ReLU()", "nn.SiLU()"))
    card = assess.card_of("phantom-pneumothorax", [f"{code}:first"])
    data_cards.save(card, paths.ASSESSED)
    assess.check_methods({"dataset": card.name, "methods": "grad,gradcam"})
    assess.check_methods({"dataset": card.name})
    assess.check_methods({"dataset": "cells", "methods": "guided_backprop"})
    with pytest.raises(
        SaltrustError, match=r"guided_backprop cannot explain .*first, leave it out by --methods: .*no Re"
    ):
        assess.check_methods({"dataset": card.name, "methods": "grad,guided_backprop"})


def test_the_examples_load():
    from saltrust.models.external.model import load

    card = assess.card_of("phantom-pneumothorax", [f"{paths.PROJECT}/examples/my_model.py:load"])
    own = load(card.models[0], card.folder, card.classes, card.finding)
    assert (own.size, own.classes, own.title) == (128, ("healthy", "pneumothorax"), "my-model")
    card = assess.card_of("phantom-chest5", [f"{paths.PROJECT}/examples/my_multilabel_model.py:load"])
    several = load(card.models[0], card.folder, card.classes, card.finding, card.findings)
    assert (several.size, len(several.classes), several.model.exclusive, several.guessed) == (96, 6, False, ())
