"""What each chapter needs of a study: the images, networks and maps that it reads.

`saltrust plan` and the workflow compute these before the chapters run; the scores that chapters make of them are cheap
and not listed. A function for each chapter names them by the study's own objects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from saltrust.analysis import alarm_choices, alarm_under_shift, every_method
from saltrust.analysis.audit.table import FINDINGS
from saltrust.analysis.beside_readers import by_share
from saltrust.analysis.claims import alarms, cells, contrasts, ledger, readers, tables
from saltrust.analysis.libraries import comparison
from saltrust.analysis.multiverse import curve
from saltrust.artefacts import Artefact
from saltrust.core.data_cards import SPLITS
from saltrust.core.registry import Registry
from saltrust.methods.registry import CONTROLS, PAPER_EIGHT, select
from saltrust.study import doubts
from saltrust.study.criteria import CRITERIA
from saltrust.study.five_band import TJOA_EIGHT, TJOA_TEN, FiveBandStudy
from saltrust.study.multilabel import JUDGED, multilabel_study
from saltrust.study.readers import ReaderStudy
from saltrust.study.shapley import ShapleyStudy
from saltrust.study.shortcut import ShortcutStudy
from saltrust.study.study import Study

Parameters = Mapping[str, Any]

NEEDS: Registry[Callable[[Study, Parameters], Iterable[Artefact]]] = Registry("chapter")
"""By chapter: (study, its parameters) -> artefacts."""


# --- in terms of a study ----------------------------------------------------------------------------------------------


def images(study: Study, *splits: str) -> Iterator[Artefact]:
    """Splits as the main network sees them."""
    yield from (study.images.artefact(split) for split in splits)


def networks(study: Study) -> Iterator[Artefact]:
    """The trained classifiers and the localizers."""
    yield from (study.networks.artefact(name) for name in study.networks.all_classifiers)
    yield from (study.networks.localizer_artefact(k) for k in (1, 2))


def localizer_maps(study: Study) -> Iterator[Artefact]:
    """Those of both localizers."""
    yield from (study.maps.localizer_artefact(k) for k in (1, 2))


def maps(study: Study, methods: Sequence[str], models: Sequence[str]) -> Iterator[Artefact]:
    """Maps of the explained images."""
    yield from (study.maps.artefact(method, model) for model in models for method in methods)


def randomization(study: Study, methods: Sequence[str], order: str = "top_down") -> Iterator[Artefact]:
    """Maps as the weights are randomized, stage after stage, and those that they are compared with."""
    yield from maps(study, methods, [study.networks.main])
    for replicate in study.networks.replicates:
        for method in methods:
            yield study.maps.before_cascade(method, replicate)
            yield from study.maps.cascade(method, replicate, order).values()


def criterion(study: Study, name: str, methods: Sequence[str]) -> Iterator[Artefact]:
    """What the scores of a criterion are made from: of the methods, their baseline, and what stands beside."""
    found = CRITERIA[name]
    scores = list(found.beside(study.maps, study.protocol).values())
    for method in methods:
        scores += found.compare(study.maps, study.protocol, method).scores
    yield from (source for score in scores for source in score.upstream())


def verdicts(study: Study, methods: Sequence[str]) -> Iterator[Artefact]:
    """What all criteria that apply compare."""
    for name in study.criteria.applicable:
        yield from criterion(study, name, methods)


def utility(study: Study, methods: Sequence[str]) -> Iterator[Artefact]:
    """What is scored against the truth: maps of all judged networks, and what stands beside."""
    yield from maps(study, methods, study.networks.judged)
    yield from criterion(study, "utility", [])
    yield from localizer_maps(study)


def stability(study: Study, methods: Sequence[str]) -> Iterator[Artefact]:
    """Maps of the networks that are compared, and of the localizers."""
    for name in study.criteria.partners:
        yield from criterion(study, name, methods)


# --- by chapter -------------------------------------------------------------------------------------------------------


@NEEDS.register("atlas")
def _atlas(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from images(study, "test")


@NEEDS.register("branches")
def _branches(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from images(study, "train", "test")
    for network in FiveBandStudy(study).networks:
        yield from (study.networks.artefact(f"{network}-{branch}") for branch in study.networks.branches(network))


@NEEDS.register("five_band")
def _five_band(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from FiveBandStudy(study).artefacts(TJOA_TEN)


@NEEDS.register("fair_comparison")
def _fair_comparison(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from FiveBandStudy(study).artefacts((*TJOA_TEN, "guided_gradcam_last", "gradient"))


@NEEDS.register("heatmaps")
def _heatmaps(study: Study, given: Parameters) -> Iterator[Artefact]:
    five_band, branch = FiveBandStudy(study), given["branch"]
    for network in five_band.networks:
        chosen = five_band.gallery(network, branch, given["n_right"])
        yield from five_band.artefacts(TJOA_TEN, [network], [branch], tuple(choice.index for choice in chosen))


@NEEDS.register("depth")
def _depth(study: Study, given: Parameters) -> Iterator[Artefact]:
    five_band = FiveBandStudy(study)
    yield from five_band.artefacts(TJOA_EIGHT, five_band.deepened)


@NEEDS.register("dataset")
def _dataset(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from images(study, *SPLITS)
    if study.card.truth != "none":
        yield study.maps.average_artefact()


@NEEDS.register("models")
def _models(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from networks(study)


@NEEDS.register("gallery")
def _gallery(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from maps(study, select(given["methods"]), study.networks.judged)


@NEEDS.register("every_method")
def _every_method(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from every_method.maps_of(study, select(given["methods"]), given["n_shown"], given["n_paths"])


@NEEDS.register("libraries")
def _libraries(study: Study, given: Parameters) -> Iterator[Artefact]:
    names = comparison.compared_methods(study, given["methods"], given["most_passes"])
    yield from comparison.maps_of(study, names, given["n_images"])


@NEEDS.register("localization")
def _localization(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from utility(study, select(given["methods"]))


@NEEDS.register("randomization")
def _randomization(study: Study, given: Parameters) -> Iterator[Artefact]:
    methods = select(given["methods"])
    yield from randomization(study, methods, given["order"])
    yield from maps(study, methods, [study.networks.random])
    yield from localizer_maps(study)


@NEEDS.register("repeatability")
def _repeatability(study: Study, given: Parameters) -> Iterator[Artefact]:
    methods = select(given["methods"])
    yield from stability(study, methods)
    yield from (study.maps.artefact(method, images=study.images.cascaded, contrary=True) for method in methods)


@NEEDS.register("statistics")
def _all_criteria(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from networks(study)
    yield from verdicts(study, select(given["methods"]))


@NEEDS.register("report_card")
def _report_card(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from _all_criteria(study, given)
    yield from randomization(study, select(given["methods"]))


@NEEDS.register("verdict")
def _verdict(study: Study, given: Parameters) -> Iterator[Artefact]:
    methods = select(given["methods"])
    yield from verdicts(study, list(dict.fromkeys([*methods, *CONTROLS])))
    yield from randomization(study, methods)


@NEEDS.register("multiverse")
def _multiverse(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from curve.made_from(study, given["methods"])


@NEEDS.register("audit")
def _audit(study: Study, given: Parameters) -> Iterator[Artefact]:
    methods = list(dict.fromkeys([*PAPER_EIGHT, *select(given["methods"])]))
    yield from maps(study, methods, [study.networks.main, study.networks.replicate])
    yield from images(study, *SPLITS)
    yield from localizer_maps(study)
    for found in FINDINGS.values():
        yield from found.maps(study)


@NEEDS.register("claims")
def _claims(study: Study, given: Parameters) -> Iterator[Artefact]:
    protocols = [given["protocol"], *filter(None, given["beside"].split(","))]
    found = tables.collect(study.card, study.profile.name, protocols, study.seed, given["n_boot"], study.store)
    if len(study.card.findings) > 1:
        for evidence in found.values():
            yield from alarms.made_from(evidence.several)
        return
    if study.card.contrast:
        for evidence in found.values():
            yield from contrasts.made_from(evidence.study)
        return
    claims = ledger.load()
    random = tables.RANDOM.keys() & ledger.networks_classified_with(study.card, claims)
    beside_readers = ledger.asks_readers(study.card, claims)
    for evidence in found.values():
        yield from readers.made_from(evidence.study) if beside_readers else ()
        yield from (tables.random_outputs(evidence.study, tables.RANDOM[name]) for name in random)
        yield from utility(evidence.study, PAPER_EIGHT)
        yield from verdicts(evidence.study, PAPER_EIGHT)
        yield from randomization(evidence.study, ["guided_backprop"])
        yield from networks(evidence.study)
        if evidence.study.card.truth == "graded":
            yield from cells.maps_of(evidence.graded)
            yield from evidence.graded.artefacts(TJOA_EIGHT)
            yield from evidence.graded.artefacts(TJOA_EIGHT, evidence.graded.deepened)


@NEEDS.register("shortcut")
def _shortcut(study: Study, given: Parameters) -> Iterator[Artefact]:
    yield from ShortcutStudy(study).artefacts(list(dict.fromkeys([*select(given["methods"]), *CONTROLS])))


@NEEDS.register("readers")
def _readers(study: Study, given: Parameters) -> Iterator[Artefact]:
    methods = select(given["methods"])
    for share, reading in by_share(ReaderStudy(study)).items():
        yield from reading.artefacts(methods, cascade=share == 1.0)


@NEEDS.register("subgroups")
def _subgroups(study: Study, given: Parameters) -> Iterator[Artefact]:
    reading = ReaderStudy(study)
    yield from reading.artefacts(select(given["methods"]), cascade=False)


@NEEDS.register("multilabel")
def _multilabel(study: Study, given: Parameters) -> Iterator[Artefact]:
    several = multilabel_study(study)
    yield several.network
    yield from (several.images.artefact(split) for split in JUDGED)


@NEEDS.register("alarm")
def _alarm(study: Study, given: Parameters) -> Iterator[Artefact]:
    several = multilabel_study(study)
    yield from doubts.artefacts(several, select(given["more"]) if given["more"] else ())
    yield from alarm_choices.artefacts(several)
    yield from alarm_under_shift.artefacts(several)


@NEEDS.register("shapley")
def _shapley(study: Study, given: Parameters) -> Iterator[Artefact]:
    chosen = [name for name in select(given["methods"]) if name not in CONTROLS]
    yield from ShapleyStudy(study).artefacts(chosen)
