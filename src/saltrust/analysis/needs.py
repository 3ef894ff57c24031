"""What each chapter needs of a study: the images, networks and maps that it reads.

`saltrust plan` and the workflow compute these before the chapters run; the scores that chapters make of them are cheap
and not listed. A function for each chapter names them by the study's own objects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from saltrust.analysis import every_method
from saltrust.analysis.audit import finding
from saltrust.analysis.claims import tables
from saltrust.analysis.multiverse import curve
from saltrust.artefacts import Artefact
from saltrust.core.data_cards import SPLITS
from saltrust.core.registry import Registry
from saltrust.methods.registry import CONTROLS, PAPER_EIGHT, select
from saltrust.study.five_band import ALL_TEN, THE_EIGHT, FiveBandStudy
from saltrust.study.study import Study

Parameters = Mapping[str, Any]

NEEDS: Registry[Callable[[Study, Parameters], Iterable[Artefact]]] = Registry("chapter")
"""By chapter: (study, its parameters) -> artefacts."""


# --- in terms of a study ----------------------------------------------------------------------------------------------


def images(study: Study, *splits: str) -> Iterator[Artefact]:
    """Splits as the main network sees them."""
    yield from (study._data(split) for split in splits)


def networks(study: Study) -> Iterator[Artefact]:
    """The judged classifiers and the localizers."""
    yield from (study.classifier_spec(name) for name in study.classifiers)
    yield from (study._localizer(k) for k in (1, 2))


def localizer_maps(study: Study) -> Iterator[Artefact]:
    yield from (study._heat(k) for k in (1, 2))


def maps(study: Study, methods: Sequence[str], models: Sequence[str]) -> Iterator[Artefact]:
    """Maps of the explained images."""
    yield from (study.spec(method, model) for model in models for method in methods)


def utility(study: Study, methods: Sequence[str]) -> Iterator[Artefact]:
    """What is scored against the truth."""
    yield from maps(study, methods, study.judged)
    yield from maps(study, CONTROLS, [study.main])
    yield study.average_spec()
    yield from localizer_maps(study)


def randomization(
    study: Study, methods: Sequence[str], order: str = "top_down", last: bool = False
) -> Iterator[Artefact]:
    """Maps as the weights are randomized, at every stage or at the last one."""
    yield from maps(study, methods, [study.main])
    for replicate in range(study.profile.replicates):
        states = study.cascade(replicate, order)
        for state in [states[study.stages[-1]]] if last else states.values():
            for method in methods:
                yield study.spec(method, images=study.cascaded, randomization=state)


def stability(study: Study, methods: Sequence[str]) -> Iterator[Artefact]:
    """Maps of the networks that are compared, and of the localizers."""
    yield from maps(study, methods, [study.main, *study.partners.values()])
    yield from localizer_maps(study)


def verdicts(study: Study, methods: Sequence[str]) -> Iterator[Artefact]:
    yield from utility(study, methods)
    yield from randomization(study, methods, last=True)
    yield from stability(study, methods)


# --- by chapter -------------------------------------------------------------------------------------------------------


@NEEDS.register("atlas")
def _atlas(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from images(study, "test")


@NEEDS.register("branches")
def _branches(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from images(study, "train", "test")
    for network in FiveBandStudy(study).networks:
        yield from (study.classifier_spec(f"{network}-{branch}") for branch in study.branches(network))


@NEEDS.register("five_band")
def _five_band(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from FiveBandStudy(study).maps_of(ALL_TEN)


@NEEDS.register("footing")
def _footing(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from FiveBandStudy(study).maps_of((*ALL_TEN, "guided_gradcam_last", "gradient"))


@NEEDS.register("heatmaps")
def _heatmaps(study: Study, given: Parameters) -> Iterator[Artefact]:
    five_band, branch = FiveBandStudy(study), given["branch"]
    for network in five_band.networks:
        chosen = five_band.gallery(network, branch, given["n_right"])
        yield from five_band.maps_of(ALL_TEN, [network], [branch], tuple(choice.index for choice in chosen))


@NEEDS.register("depth")
def _depth(study: Study, given: Parameters) -> Iterator[Artefact]:
    five_band = FiveBandStudy(study)
    yield from five_band.maps_of(THE_EIGHT, five_band.deepened)


@NEEDS.register("dataset")
def _dataset(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from images(study, *SPLITS)
    yield study.average_spec()


@NEEDS.register("models")
def _models(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from networks(study)


@NEEDS.register("gallery")
def _gallery(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from maps(study, select(given["methods"]), study.judged)


@NEEDS.register("every_method")
def _every_method(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from every_method.maps_of(study, select(given["methods"]), given["n_shown"], given["n_paths"])


@NEEDS.register("localization")
def _localization(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from utility(study, select(given["methods"]))


@NEEDS.register("randomization")
def _randomization(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from randomization(study, select(given["methods"]), given["order"])
    yield from localizer_maps(study)


@NEEDS.register("repeatability")
def _repeatability(study: Study, given: Parameters) -> Iterator[Artefact]:
    methods = select(given["methods"])
    yield from stability(study, methods)
    yield from (study.spec(method, images=study.cascaded, contrary=True) for method in methods)


@NEEDS.register("statistics")
@NEEDS.register("report_card")
def _all_criteria(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from networks(study)
    yield from verdicts(study, select(given["methods"]))


@NEEDS.register("verdict")
def _verdict(study: Study, given: Parameters) -> Iterator[Artefact]:
    methods = select(given["methods"])
    yield from verdicts(study, list(dict.fromkeys([*methods, *CONTROLS])))
    yield from randomization(study, methods)


@NEEDS.register("specifications")
def _specifications(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from curve.made_from(study, given["methods"])


@NEEDS.register("audit")
def _audit(study: Study, given: Parameters) -> Iterator[Artefact]:
    methods = list(dict.fromkeys([*PAPER_EIGHT, *select(given["methods"])]))
    yield from maps(study, methods, [study.main, study.replicate])
    yield from images(study, *SPLITS)
    yield from localizer_maps(study)
    for found in finding.FINDINGS.values():
        yield from found.maps(study)


@NEEDS.register("claims")
def _claims(study: Study, given: Parameters) -> Iterator[Artefact]:
    protocols = [given["protocol"], *filter(None, given["beside"].split(","))]
    found = tables.collect(study.card, study.profile.name, protocols, study.seed, given["n_boot"], study.store)
    for evidence in found.values():
        yield from utility(evidence.study, PAPER_EIGHT)
        yield from randomization(evidence.study, PAPER_EIGHT, last=True)
        yield from randomization(evidence.study, ["guided_backprop"])
        yield from stability(evidence.study, PAPER_EIGHT)
        yield from networks(evidence.study)
