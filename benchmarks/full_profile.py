"""`python -m benchmarks.full_profile`: what a run of the profile `full` would take on this machine, from a few steps.

Each kind of work of the four criteria is timed on a sample and multiplied by how often a full run does it: training at
most all epochs, and the eight methods' maps for every positive test image and model, and for every compared image and
stage of every cascade. The statistics, and the chapters that go beyond the paper, are not counted. The phantom data
sets have the paper's counts. Writes `benchmarks_full.json`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.harness import machine, timed
from saltrust.core import data_cards
from saltrust.core.devices import device, device_name
from saltrust.core.labelled_images import Split
from saltrust.core.paths import RESULTS
from saltrust.core.profiles import PROFILES
from saltrust.datasets.loaders import LOADERS
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS, PAPER_EIGHT
from saltrust.methods.xrai import segment
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.classifiers import build, to_input
from saltrust.models.localizers import LOCALIZERS, train_localizer
from saltrust.models.recipes import classifier_plan, localizer_plan
from saltrust.models.training import train_classifier
from saltrust.models.training_loop import TrainingLoop
from saltrust.models.training_plan import TrainingPlan
from saltrust.study.study import Study

DATASETS = {"phantom-pneumothorax": "SIIM-ACR", "phantom-pneumonia": "RSNA"}  # card -> the data that it stands for
PROFILE, PROTOCOL = PROFILES["full"], "corrected"
NETWORKS = {"inception_v3": max(2, PROFILE.replicates), "densenet121": 1}  # how many are trained
CAM_LAYER = "Mixed_7c"
MODELS = 4  # whose maps are judged: three trained networks and a random one
FURTHER = NETWORKS["inception_v3"] - 2  # networks that are trained for their cascade alone
LOCALIZER_REPLICATES = 2
WORKERS = (1, 2, 4, 8, 16, 32)  # processes that share the work, each on a machine like the one that is measured
BYTES = 4  # of a stored value


@dataclass(frozen=True)
class Work:
    """A kind of work. seconds: of one piece. count: pieces in a full run, by data set. passes: through a classifier, of
    each piece; loading: share of the seconds that data loading takes. artefacts: into how many, each computed by one
    process, the pieces fall."""

    work: str
    seconds: float
    count: dict[str, int]
    passes: int = 0
    loading: float = 0.0
    artefacts: int = 1

    def hours(self, dataset: str) -> float:
        return self.seconds * self.count.get(dataset, 0) / 3600


def sample(dataset: str, count: int, side: int) -> Split:
    """Images of a data set, enough of them for both classes to be there."""
    return LOADERS["phantom"].load(data_cards.load(dataset), "val", count, side, 0)


def timed_training(train: Callable[[], tuple[object, dict]], validated: int) -> tuple[float, float, float]:
    """Seconds of a training step but the first, the share of it that data loading takes, and seconds to validate one
    image."""
    steps: list[tuple[float, float]] = []
    take = TrainingLoop.take

    def watched(loop: TrainingLoop) -> tuple[float, float]:
        steps.append(take(loop))
        return steps[-1]

    with patch.object(TrainingLoop, "take", watched):
        _, record = train()
    loading, step = np.median(steps[1:], axis=0)
    rest = record["seconds"] - sum(seconds for _, seconds in steps)
    return float(step), float(loading / step), max(rest, 0.0) / validated


def trainings(side: int, steps: int, images: int) -> Iterator[Work]:
    """Steps and validations of every network. steps: how many are timed, after a first one."""
    splits = {dataset: sample(dataset, images, side) for dataset in DATASETS}
    first = next(iter(splits.values()))
    short = {"epochs": 1, "steps_per_epoch": 1 + steps}
    for name, networks in NETWORKS.items():
        plan = classifier_plan(name, PROFILE.architectures[name], 0, pretrained=True, mirror=False)
        train = partial(train_classifier, name, first, first, replace(plan, **short))
        counts = dict.fromkeys(DATASETS, networks)
        yield from training_work(ARCHITECTURES[name].title, plan, counts, timed_training(train, images))
    for dataset, split in splits.items():
        kind = data_cards.load(dataset).localizer
        plan = localizer_plan(kind, PROFILE.localizers[kind], 0, PROFILE, mirror=False)
        train = partial(train_localizer, kind, split, split, replace(plan, **short))
        counts = {dataset: LOCALIZER_REPLICATES}
        yield from training_work(LOCALIZERS[kind].title, plan, counts, timed_training(train, images))


def training_work(
    title: str, plan: TrainingPlan, networks: dict[str, int], measured: tuple[float, float, float]
) -> tuple[Work, Work]:
    """The steps and the validations of so many networks on each data set, if no training stops early."""
    step, loading, validation = measured
    sizes = {dataset: data_cards.load(dataset).counts for dataset in networks}
    (artefacts,) = set(networks.values())
    steps = {d: n * plan.epochs * plan.steps(sizes[d]["train"].images) for d, n in networks.items()}
    validated = {d: n * plan.epochs * sizes[d]["val"].images for d, n in networks.items()}
    return (
        Work(f"{title}: training step of {plan.batch_size} images", step, steps, loading=loading, artefacts=artefacts),
        Work(f"{title}: image validated", validation, validated, artefacts=artefacts),
    )


def positives(dataset: str) -> int:
    return data_cards.load(dataset).counts["test"].positive


def states() -> int:
    """States of networks that are explained: of the judged models, of the further ones, and of the cascades."""
    return MODELS + FURTHER + PROFILE.replicates * len(ARCHITECTURES["inception_v3"].stages)


def explained(dataset: str) -> int:
    """Images that a method explains, each as often as there are states: all for the judged models, else those whose
    maps are compared."""
    compared = min(PROFILE.cascaded, positives(dataset))
    return MODELS * positives(dataset) + (states() - MODELS) * compared


def maps(side: int, images: int, most_passes: int | None = None) -> Iterator[Work]:
    """The maps of the eight methods on InceptionV3; what several are composed of counts once. most_passes: methods that
    need more are left out."""
    study = Study(next(iter(DATASETS)), PROFILE.name, PROTOCOL)
    pixels = sample(next(iter(DATASETS)), images, side).pixels
    network = Explained(build("inception_v3").to(device()), cam_layer=CAM_LAYER)
    inputs, keys = to_input(pixels), [(i,) for i in range(images)]
    METHODS["grad"].function(network, inputs, keys)
    counts = {dataset: explained(dataset) for dataset in DATASETS}
    done: dict[str, np.ndarray] = {}

    def computed(name: str, parameters: dict) -> Iterator[Work]:
        method = METHODS[name]
        complete = method.complete(parameters)
        known = f"{name} {complete}"
        if known in done or (most_passes is not None and method.passes(complete) > most_passes):
            return
        if method.is_composition:
            parts = {}
            for part, (other, given) in method.parts(complete).items():
                yield from computed(other, given)
                parts[part] = done[f"{other} {METHODS[other].complete(given)}"]
            if method.segments:
                parts["segments"] = segments
            run = partial(method.function, pixels, keys, parts, **complete)
        else:
            run = partial(method.function, network, inputs, keys, **complete)
        seconds, values = timed(lambda: torch.as_tensor(run()).cpu().numpy())
        done[known] = values
        note = f" ({complete['baseline']})" if name == "ig" else ""
        yield Work(f"{method.title}{note}: map", seconds / images, counts, method.cost(complete), artefacts=states())

    seconds, segments = timed(lambda: [segment(image) for image in pixels])
    yield Work("XRAI's regions: image", seconds / images, {dataset: positives(dataset) for dataset in DATASETS})
    for name in PAPER_EIGHT:
        yield from computed(name, study.maps.parameters(name))


def gigabytes(side: int) -> dict[str, float]:
    """Size of all those maps on disk, by data set: 3 channels or, of the methods that have no colour, 1."""
    study = Study(next(iter(DATASETS)), PROFILE.name, PROTOCOL)
    stored = {name: study.maps.parameters(name) for name in PAPER_EIGHT} | {"ig, white": study.maps.parameters("ig")}
    channels = sum(1 if name in ("gradcam", "xrai") else 3 for name in stored)
    return {d: channels * side**2 * BYTES * explained(d) / 1e9 for d in DATASETS}


def lasts(works: list[Work], dataset: str, workers: int) -> float:
    """Hours until so many processes have trained every network and made every map.

    Who is free takes the longest piece that is left; maps are made once the classifiers are trained, localizers may go
    on meanwhile.
    """
    trained: dict[str, tuple[float, int]] = {}
    maps: list[float] = []
    for work in works:
        network, _, what = work.work.partition(": ")
        if what in ("map", "image"):
            maps += [work.hours(dataset) / work.artefacts] * work.artefacts
        else:
            trained[network] = (trained.get(network, (0.0, 0))[0] + work.hours(dataset), work.artefacts)
    classifiers = {ARCHITECTURES[name].title for name in NETWORKS}
    free, ready = [0.0] * workers, 0.0
    for network, (hours, networks) in sorted(trained.items(), key=lambda item: -item[1][0] / item[1][1]):
        for _ in range(networks):
            end = heappop(free) + hours / networks
            heappush(free, end)
            ready = max(ready, end) if network in classifiers else ready
    for hours in sorted(maps, reverse=True):
        heappush(free, max(heappop(free), ready) + hours)
    return max(free)


def summary(works: list[Work], side: int) -> dict[str, object]:
    """What is written: the rows, and by data set the hours, the passes and the gigabytes."""
    rows = [asdict(work) | {"hours": {d: work.hours(d) for d in work.count}} for work in works]
    size = gigabytes(side)
    totals = {
        dataset: {
            "stands_for": stands_for,
            "training_hours": sum(w.hours(dataset) for w in works if not w.work.endswith((": map", ": image"))),
            "map_hours": sum(w.hours(dataset) for w in works if w.work.endswith((": map", ": image"))),
            "hours": sum(w.hours(dataset) for w in works),
            "passes": sum(w.passes * w.count[dataset] for w in works if w.passes),
            "steps": sum(w.count.get(dataset, 0) for w in works if ": training step" in w.work),
            "gigabytes": size[dataset],
            "lasts": {str(workers): lasts(works, dataset, workers) for workers in WORKERS},
        }
        for dataset, stands_for in DATASETS.items()
    }
    return {"device": device_name(), "side": side, "protocol": PROTOCOL, "totals": totals, "rows": rows}


def table(result: dict) -> str:
    """The rows as text, and the sums."""
    lines = [f"{'work':48} {'seconds':>9} {'loading':>8} " + " ".join(f"{d:>22}" for d in DATASETS)]
    for row in result["rows"]:
        hours = (f"{row['count'].get(d, 0):>10} {row['hours'].get(d, 0):>8.1f} h" for d in DATASETS)
        lines.append(f"{row['work']:48} {row['seconds']:>9.4f} {row['loading']:>8.0%} " + "  ".join(hours))
    for name, total in result["totals"].items():
        days = total["hours"] / 24
        lines.append(
            f"{name} ({total['stands_for']}): {total['hours']:.0f} h ({days:.1f} days) on {result['device']}, of which"
            f" {total['training_hours']:.0f} h training; {total['steps']:,} steps, {total['passes']:,} passes,"
            f" {total['gigabytes']:.0f} GB of maps"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.full_profile", description=__doc__)
    parser.add_argument("--steps", type=int, default=3, help="training steps timed, after a first one (default: 3)")
    parser.add_argument("--images", type=int, default=2, help="images explained (default: 2)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (default: all)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of benchmarks_full.json (default: results)")
    choices = parser.parse_args()
    torch.set_num_threads(choices.threads)
    about = {key: value for key, value in machine("full").items() if key not in ("size", "sizes")}
    works = []
    for work in (*trainings(PROFILE.size, choices.steps, images=32), *maps(PROFILE.size, choices.images)):
        works.append(work)
    result = {"machine": about, **summary(works, PROFILE.size)}
    print(table(result))
    choices.out.mkdir(parents=True, exist_ok=True)
    (choices.out / "benchmarks_full.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
