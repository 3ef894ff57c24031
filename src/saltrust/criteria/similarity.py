"""Similarity of maps: sensitivity to weight randomization, repeatability, reproducibility (Arun et al., Results).

All three compare two sets of maps, by SSIM or another score of likeness; they differ in which model states made the
maps, and in which images are paired.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from saltrust.artefacts import SimilaritySpec
from saltrust.protocols import Protocol
from saltrust.specs import Spec


def agreement(
    get: Callable, pairs: Iterable[tuple[dict[str, object], Spec, Spec]], protocol: Protocol, score: str = "ssim"
) -> pd.DataFrame:
    """Likeness of each image's map in one set to the same image's map in another: columns image, <labels>, <score>.

    pairs: (labels, first, second), where labels are the columns that name the comparison. Images that only one of the
    two specs has are left out.
    """
    preparation, settings = protocol.likeness(score)
    frames = []
    for labels, first, second in pairs:
        both = [image for image in second.images if image in first.images]
        same = tuple((first.images.index(image), second.images.index(image)) for image in both)
        values = get(SimilaritySpec(first, second, same, preparation, score, settings))
        ids = get(first.data).ids[both]
        frames.append(pd.DataFrame({"image": ids, **labels, score: values}))
    return pd.concat(frames, ignore_index=True)


def unrelated(
    get: Callable, maps: Iterable[tuple[str, Spec]], protocol: Protocol, seed: int, score: str = "ssim"
) -> pd.DataFrame:
    """Likeness of maps of different images by one trained model: columns image (the pair's number), method, <score>.

    Its mean over the pairs is a method's degradation threshold: similarity that owes nothing to the image or the model.
    The same pairs serve every method.
    """
    preparation, settings = protocol.likeness(score)
    frames = []
    for method, spec in maps:
        pairs = different_pairs(len(spec.images), protocol.threshold_pairs, seed)
        values = get(SimilaritySpec(spec, spec, pairs, preparation, score, settings))
        names = [f"pair {i}" for i in range(len(pairs))]
        frames.append(pd.DataFrame({"image": names, "method": method, score: values}))
    return pd.concat(frames, ignore_index=True)


def different_pairs(n: int, count: int, seed: int) -> tuple[tuple[int, int], ...]:
    """At most `count` distinct pairs (i < j) of n images, drawn without replacement."""
    first, second = np.triu_indices(n, k=1)
    chosen = np.random.default_rng(seed).permutation(len(first))[:count]
    return tuple((int(first[k]), int(second[k])) for k in chosen)
