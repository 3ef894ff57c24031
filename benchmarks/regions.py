"""XRAI beside PAIR saliency, attributions given."""

from collections.abc import Callable, Sequence

import numpy as np
import saliency.core
from saliency.core.xrai import _get_segments_felzenszwalb

from benchmarks.harness import BENCHMARKS, Comparison, Size
from benchmarks.inputs import fields, radiographs
from saltrust.methods.xrai import rank_regions, segment

Ranked = list[tuple[np.ndarray, np.ndarray]]  # gains and ranks of each state


def _xrai(size: Size, states: int) -> tuple[Callable[[], Ranked], Callable[[], Ranked], Callable[..., bool]]:
    image = radiographs(1, size.pixels).pixels[0]
    colour = np.repeat(image[..., None], 3, axis=2)
    attributions = [fields((3, size.pixels, size.pixels), seed).transpose(1, 2, 0) for seed in range(states)]

    def ours() -> Ranked:
        segments = segment(image)
        return [rank_regions(attribution.max(-1), segments) for attribution in attributions]

    def theirs() -> Ranked:
        choices = saliency.core.XRAIParameters(return_xrai_segments=True)
        explain = saliency.core.XRAI().GetMaskWithDetails
        found = [explain(colour, None, base_attribution=a, extra_parameters=choices) for a in attributions]
        return [(one.attribution_mask, one.segments) for one in found]

    def agree(one: Ranked, other: Ranked) -> bool:
        same_segments = np.array_equal(segment(image), _segments(colour))
        pairs = zip(one, other, strict=True)
        return same_segments and all(np.array_equal(a, b) for pair in pairs for a, b in zip(*pair, strict=True))

    return ours, theirs, agree


def _segments(colour: np.ndarray) -> Sequence[np.ndarray]:
    return [mask for mask in _get_segments_felzenszwalb(colour) if mask.any()]


@BENCHMARKS.register("xrai")
def xrai(size: Size) -> Comparison:
    ours, theirs, agree = _xrai(size, states=1)
    return Comparison(
        work=f"XRAI full, one image of {size.pixels} px",
        beside="PAIR saliency",
        ours=ours,
        theirs=theirs,
        agree=agree,
        target=15,
        repeats=size.repeats,
        note="Attributions given. Segments, gains and ranks are identical to the last bit.",
    )


@BENCHMARKS.register("xrai_states")
def xrai_states(size: Size) -> Comparison:
    ours, theirs, agree = _xrai(size, size.states)
    return Comparison(
        work=f"XRAI full, one image of {size.pixels} px under {size.states} model states",
        beside="PAIR saliency",
        ours=ours,
        theirs=theirs,
        agree=agree,
        target=40,
        repeats=1,
        warm_up=False,
        note="Attributions given. Ours segments the image once, PAIR saliency for each state. Segments, gains and "
        "ranks are identical to the last bit.",
    )
