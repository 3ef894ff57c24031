"""Side by side: the same work done in two ways, timed in turns in one process, and the outputs compared."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from saltrust.core.devices import instructions
from saltrust.core.registry import Registry

LIBRARIES = ("numpy", "scipy", "torch", "scikit-image", "scikit-learn", "saliency", "captum", "quantus", "numba")


@dataclass(frozen=True)
class Size:
    """How much work the benchmarks do.

    pixels: side of the images and maps that are segmented and scored. input: side of the images that a network sees.
    maps: how many are scored. states: of one model. images: of a cascade. samples, steps: of the smoothed path methods.
    repeats: of all but the longest work.
    """

    pixels: int
    input: int
    maps: int
    states: int
    images: int
    samples: int
    steps: int
    repeats: int


SIZES: Registry[Size] = Registry("size")
SIZES.register("full")(Size(pixels=320, input=128, maps=500, states=12, images=16, samples=25, steps=25, repeats=3))
SIZES.register("smoke")(Size(pixels=96, input=75, maps=3, states=2, images=1, samples=2, steps=3, repeats=1))


@dataclass(frozen=True)
class Comparison:
    """A piece of work, ready to be done in both ways.

    target: what the ratio has to reach, theirs / ours where `better` is "higher", ours / theirs where it is "lower".
    agree: whether the two outputs are the same, within the tolerance that `note` states. repeats: of both; the best
    time counts. warm_up: whether both run once before, unmeasured.
    """

    work: str
    beside: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    agree: Callable[[Any, Any], bool]
    target: float
    repeats: int
    note: str
    better: str = "higher"
    warm_up: bool = True


BENCHMARKS: Registry[Callable[[Size], Comparison]] = Registry("benchmark")
TOPICS = (
    "saltrust.models.torchvision_compat",
    "benchmarks.regions",
    "benchmarks.passes",
    "benchmarks.scores",
    "benchmarks.five_band",
    "benchmarks.cascade",
    "benchmarks.distances",
)


def load() -> Registry[Callable[[Size], Comparison]]:
    """All benchmarks. They import every library; torchvision first, which some of them need to be mended."""
    for topic in TOPICS:
        import_module(topic)
    return BENCHMARKS


@dataclass(frozen=True)
class Row:
    """What a comparison measured. Seconds: best of `repeats`. spread: how much longer the slowest of them took, of
    ours or theirs, as a share of the best: the noise of the machine."""

    work: str
    beside: str
    ours_seconds: float
    theirs_seconds: float
    ratio: float
    target: float
    better: str
    reached: bool
    agree: bool
    repeats: int
    spread: float
    note: str


def measure(comparison: Comparison) -> Row:
    """Do the work of a comparison in turns, ours first."""
    both = comparison.ours, comparison.theirs
    if comparison.warm_up:
        for work in both:
            work()
    turns = [[timed(work) for work in both] for _ in range(comparison.repeats)]
    seconds = [[turn[side][0] for turn in turns] for side in (0, 1)]
    ours, theirs = (min(times) for times in seconds)
    lower = comparison.better == "lower"
    ratio = ours / theirs if lower else theirs / ours
    return Row(
        work=comparison.work,
        beside=comparison.beside,
        ours_seconds=ours,
        theirs_seconds=theirs,
        ratio=ratio,
        target=comparison.target,
        better=comparison.better,
        reached=ratio <= comparison.target if lower else ratio >= comparison.target,
        agree=bool(comparison.agree(turns[-1][0][1], turns[-1][1][1])),
        repeats=comparison.repeats,
        spread=max(max(times) / min(times) - 1 for times in seconds),
        note=comparison.note,
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that the work took, and what it returned."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def machine(size: str) -> dict[str, Any]:
    """Where, when and with what the rows were measured."""
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in names if line.startswith("model name")]
    return {
        "size": size,
        "sizes": asdict(SIZES[size]),
        "cpu": models[0] if models else platform.processor(),
        "instructions": instructions(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_before": os.getloadavg()[0],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {d.name: d.version for d in distributions() if d.name in LIBRARIES},
    }


def table(rows: list[Row]) -> str:
    """The rows as text, and their notes."""
    lines = [("work", "beside", "ours s", "theirs s", "ratio", "target", "spread", "outputs")]
    for row in rows:
        sign = "<=" if row.better == "lower" else ">="
        numbers = f"{row.ours_seconds:.3f}", f"{row.theirs_seconds:.3f}", f"{row.ratio:.2f}"
        target = f"{sign} {row.target:.2f}{'' if row.reached else ' missed'}"
        lines.append((row.work, row.beside, *numbers, target, f"{row.spread:.0%}", "agree" if row.agree else "DIFFER"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*shown, "", *(f"{row.work}. {row.note}" for row in rows)])
