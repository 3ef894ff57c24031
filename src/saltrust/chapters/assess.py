"""Assess models that were trained elsewhere: a card that names them, and the chapters that apply."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from saltrust import chapters
from saltrust.chapters import execute
from saltrust.chapters.results_folder import Results, published
from saltrust.core import data_cards, paths, progress, yaml_files
from saltrust.core.data_cards import Card, Model
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.core.user_files import expanded
from saltrust.methods.registry import select
from saltrust.study.multilabel import alarm_methods, multilabel_study
from saltrust.study.study import Study


def card_of(dataset: str, models: Sequence[str]) -> Card:
    """The card of a data set with a user's models to judge, as it is stored under results/cards/.

    Args:
        dataset: The name or file of a data card.
        models: A source each (see `data_cards.Model`), or a YAML file with the fields of a `Model`. The first is the
            one that is judged.

    Raises:
        SaltrustError: for a card or model that does not do.
    """
    data = data_cards.load(dataset)
    if len(models) > 1 and len(data.findings) > 1:
        raise SaltrustError(
            f"'{data.name}' has several findings: no chapter compares models for them; assess one at a time"
        )
    if not models:
        raise SaltrustError("no model to assess: name one by --model, a file such as my_model.py:load")
    named: dict[str, Model] = {}
    for text in models:
        model = _model(text)
        stem = name = model.name or _slug(model.source)
        number = 1
        while name in named or (named and name == f"{next(iter(named))}-random"):
            number += 1
            name = f"{stem}-{number}"
        named[name] = model.model_copy(update={"name": name})
    return data_cards.with_models(data, list(named.values()), "-".join([data.name, *named]))


def assess(card: Card, profile: str, protocol: str, methods: str, seed: int, tell: Callable[[str], None]) -> Results:
    """Run every chapter that the card's models allow, with the methods that can explain all of them.

    Args:
        card: That names the models, as from `card_of`.
        profile: Name of a profile.
        protocol: Name of a protocol.
        methods: Names or groups of methods, comma-separated. With several findings they do not count: there the two
            methods of the paper's alarms are tried.
        seed: Of everything that is drawn at random.
        tell: Gets a line for each thing that is done, for each method left out, and for what a model is taken to be.

    Returns:
        What the last chapter left: the report card or, of several findings, the alarm.

    Raises:
        SaltrustError: before any chapter runs, for a model that cannot be judged or that no method can explain.
    """
    PROFILES[profile], PROTOCOLS[protocol], select(methods)  # wrong names are told before any model is loaded
    card.refuse_absent()
    from saltrust.methods.cam_layers import choose_cam_layer
    from saltrust.models.external.model import load
    from saltrust.study.explainable import explainable

    several = len(card.findings) > 1
    tried = list(alarm_methods(PROTOCOLS[protocol]).values()) if several else select(methods)
    networks = [load(model, card.folder, card.classes, card.finding, card.findings) for model in card.models]
    refused: dict[str, str] = {}
    for model, network in zip(card.models, networks, strict=True):
        refused |= explainable(network, tried)
        blocks = [module for stage in network.stages for module in stage.modules]
        try:
            if not several:  # whose chapters ask for no class activation map
                choose_cam_layer(network.network, blocks, network.size, PROTOCOLS[protocol].cam_min_grid)
        except SaltrustError as error:
            raise SaltrustError(f"{model.source}: {error}") from error
    usable = [method for method in tried if method not in refused]
    if not usable:
        reasons = "; ".join(f"{method}: {reason}" for method, reason in refused.items())
        raise SaltrustError(f"none of these methods can explain {card.models[0].source}: {reasons}")
    for method, reason in refused.items():
        tell(f"without {method}: {reason}")
    _refuse_others(card)
    data_cards.save(card, paths.ASSESSED)
    study = Study(card.name, profile, protocol, seed)
    for network in networks:
        unused = "" if network.title in study.networks.all_classifiers else "; not compared: one of each kind is"
        tell(f"{network.title}: {network.assumed}{unused}")
        if network.guessed:
            tell(
                f"{network.title}: nobody says its {', '.join(network.guessed)}; where a guess is wrong, so is every "
                "number about this model: say them in a YAML file with its `source`, and assess that file"
            )
    if several:
        with progress.shown(f"{card.name} networks"):
            study.store.get(multilabel_study(study).network)  # now, since its logits may not do
    given = {"dataset": card.name, "profile": profile, "protocol": protocol, "seed": str(seed)}
    for name in chapters.of(card):
        chapter = chapters.load(name)
        takes_methods = any(parameter.name == "methods" for parameter in chapter.parameters)
        tell(f"{chapter.title} ({name})")
        execute.publish(chapter, given | ({"methods": ",".join(usable)} if takes_methods else {}))
    return published(profile, card.name, name)


def check_methods(values: Mapping[str, Any]) -> None:
    """Check that a chapter's methods can explain the models of its data set's card; those of other cards are ours.

    Args:
        values: The chapter's parameters.

    Raises:
        SaltrustError: for the first method that cannot, with its reason.
    """
    card = data_cards.load(values["dataset"])
    if not card.models or "methods" not in values:
        return
    from saltrust.models.external.model import load
    from saltrust.study.explainable import explainable

    for model in card.models:
        network = load(model, card.folder, card.classes, card.finding, card.findings)
        for method, reason in explainable(network, select(values["methods"])).items():
            raise SaltrustError(f"{method} cannot explain {model.source}, leave it out by --methods: {reason}")


def _refuse_others(card: Card) -> None:
    """Raise SaltrustError where a card of that name is of other models, whose results would be overwritten."""
    if card.name not in data_cards.assessed():
        return
    there = data_cards.load(card.name)
    if [model.source for model in there.models] != [model.source for model in card.models]:
        others = ", ".join(model.source for model in there.models)
        raise SaltrustError(
            f"'{card.name}' is the name of an assessment of {others}: describe your model in a YAML file with a `name` "
            f"of its own, or remove {paths.ASSESSED / card.name}.yaml"
        )


def _model(text: str) -> Model:
    """A model from what the user wrote: a source, or a YAML file that describes it."""
    if not text.endswith((".yaml", ".yml")):
        try:
            return _absolute(Model(source=text), Path.cwd())
        except ValidationError as error:
            raise SaltrustError(f"--model {text[:80]}: {data_cards.told(error, Model)}") from error
    file = Path(text)
    content = yaml_files.read(file, "description of a model")
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise SaltrustError(f"{file}: not a description of a model: must be a mapping of fields to values")
    try:
        return _absolute(Model(**content), file.parent)
    except ValidationError as error:
        raise SaltrustError(f"{file}: {data_cards.told(error, Model)}") from error


def _absolute(model: Model, folder: Path) -> Model:
    """The model with the files that it names as absolute paths, so that it is found from any folder."""

    def found(text: str) -> str:
        path, colon, rest = text.partition(":")
        file = os.path.realpath(folder / expanded(path))
        return f"{file}{colon}{rest}" if path and os.path.isfile(file) else text

    return model.model_copy(update={"source": found(model.source), "architecture": found(model.architecture)})


def _slug(source: str) -> str:
    """A name from a source: "models/My Net.py:load" -> "my-net", "net.py:deep" -> "net-deep"."""
    file, _, name = source.partition(":")
    stem = name if file in ("timm", "xrv") else Path(file).stem + (f"-{name}" if name not in ("", "load") else "")
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "model"
