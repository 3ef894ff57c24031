"""Similarity of maps: sensitivity to weight randomization, repeatability, reproducibility (Arun et al., Results).

All three compare two sets of maps, by SSIM or another score of likeness; they differ in which model states made the
maps, and in which images are paired. Two kinds of pairs say what likeness is worth: maps of different images, and maps
beside surrogates, which share nothing but their texture.
"""

from collections.abc import Callable, Iterable
from functools import partial
from zlib import crc32

import numpy as np
import pandas as pd

from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.maps import LocalizerMaps
from saltrust.artefacts.scores import SimilarityScores, SurrogateScores
from saltrust.core.protocols import Protocol

Pairs = Iterable[tuple[dict[str, object], Artefact, Artefact]]
"""(labels, first, second): two sets of maps, and the columns that name their comparison."""


def agreement(get: Callable, pairs: Pairs, protocol: Protocol, score: str = "ssim") -> pd.DataFrame:
    """Likeness of each image's map in one set to the same image's map in another: columns image, <labels>, <score>.

    Images that only one of the two sets has are left out.
    """
    return _compared(get, pairs, protocol, score, SimilarityScores)


def null(get: Callable, pairs: Pairs, protocol: Protocol, count: int, seed: int, score: str = "ssim") -> pd.DataFrame:
    """What that likeness would be by texture alone, in the same columns: of each image's map in one set to surrogates
    of its map in the other, the mean over `count` of them (see `surrogate`)."""
    return _compared(get, pairs, protocol, score, partial(SurrogateScores, count=count, seed=seed))


def _compared(
    get: Callable, pairs: Pairs, protocol: Protocol, score: str, compare: Callable[..., Artefact]
) -> pd.DataFrame:
    frames = []
    for labels, first, second in pairs:
        preparation, settings = protocol.likeness(score, heat=isinstance(first, LocalizerMaps))
        both = [image for image in second.images if image in first.images]
        same = tuple((first.images.index(image), second.images.index(image)) for image in both)
        values = get(compare(first, second, same, preparation, score, settings))
        ids = get(first.data).ids[both]
        frames.append(pd.DataFrame({"image": ids, **labels, score: values}))
    return pd.concat(frames, ignore_index=True)


def unrelated(
    get: Callable, maps: Iterable[tuple[str, Artefact]], protocol: Protocol, seed: int, score: str = "ssim"
) -> pd.DataFrame:
    """Likeness of maps of different images by one trained model: columns image (the pair's number), method, <score>.

    Its mean over the pairs is a method's degradation threshold: similarity that owes nothing to the image or the model.
    The same pairs serve every method, unless the protocol draws them anew for each.
    """
    preparation, settings = protocol.likeness(score)
    frames = []
    for method, spec in maps:
        draw = (seed, crc32(method.encode())) if protocol.pairs_by_method else (seed,)
        pairs = different_pairs(len(spec.images), protocol.threshold_pairs, draw)
        values = get(SimilarityScores(spec, spec, pairs, preparation, score, settings))
        names = [f"pair {i}" for i in range(len(pairs))]
        frames.append(pd.DataFrame({"image": names, "method": method, score: values}))
    return pd.concat(frames, ignore_index=True)


def different_pairs(n: int, count: int, seed: int | tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """At most `count` distinct pairs (i < j) of n images, drawn without replacement."""
    first, second = np.triu_indices(n, k=1)
    chosen = np.random.default_rng(seed).permutation(len(first))[:count]
    return tuple((int(first[k]), int(second[k])) for k in chosen)
