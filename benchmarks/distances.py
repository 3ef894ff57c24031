"""Distances between the maps of a network's outputs: beside the bare passes, and beside maps made one by one."""

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness import BENCHMARKS, Comparison, Size
from benchmarks.inputs import network_inputs
from saltrust.methods.explained import Explained
from saltrust.methods.fold_batchnorm import fold_batchnorm
from saltrust.methods.registry import METHODS
from saltrust.models.classifiers import build
from saltrust.scores.distinctness import PREPARATIONS, distances, products

OUTPUTS, IMAGES = 5, 8
SIGNED = list(PREPARATIONS).index("signed")


def _network() -> nn.Module:
    return build("densenet121", OUTPUTS).eval()


def _distances(maps: np.ndarray) -> np.ndarray:
    """Of every preparation, as the store keeps them."""
    return np.stack([distances(products(prepare(maps))) for prepare in PREPARATIONS.values()])


@BENCHMARKS.register("distances")
def of_gradients(size: Size) -> Comparison:
    model, (inputs, keys) = _network(), network_inputs(IMAGES, size.input)
    explained = Explained(model)
    bare = model.requires_grad_(False).to(memory_format=torch.channels_last)
    fold_batchnorm(bare)
    batch = inputs.clone(memory_format=torch.channels_last).requires_grad_()

    def passes() -> list[Tensor]:
        *others, last = bare(batch).sum(dim=0)
        kept = [torch.autograd.grad(total, batch, retain_graph=True)[0] for total in others]
        return [*kept, torch.autograd.grad(last, batch)[0]]

    def agree(found: np.ndarray, gradients: list[Tensor]) -> bool:
        expected = distances(products(np.stack([(inputs * one).numpy() for one in gradients])))
        return bool(np.abs(found[SIGNED] - expected).max() <= 1e-4)

    method = METHODS["input_x_gradient"]
    return Comparison(
        work=f"distances of {OUTPUTS} Input × Gradient maps on DenseNet121, {size.input} px: {IMAGES} images",
        beside="the bare passes",
        ours=lambda: _distances(method.several(explained, inputs, keys, targets=range(OUTPUTS)).numpy()),
        theirs=passes,
        agree=agree,
        target=1.1,
        better="lower",
        repeats=size.repeats,
        note=f"One pass forward and {OUTPUTS} backward on both sides; ours has the distances of "
        f"{len(PREPARATIONS)} preparations besides. They differ by at most 1e-4.",
    )


@BENCHMARKS.register("distances_lrp")
def of_relevance(size: Size) -> Comparison:
    (inputs, keys), explained = network_inputs(IMAGES, size.input), Explained(_network())
    method = METHODS["lrp"]
    given = method.complete({})

    def one_by_one() -> np.ndarray:
        outputs = map(explained.of_output, range(OUTPUTS))
        return _distances(np.stack([method.function(one, inputs, keys, **given).numpy() for one in outputs]))

    return Comparison(
        work=f"distances of {OUTPUTS} LRP maps on DenseNet121, {size.input} px: {IMAGES} images",
        beside="maps of one output at a time",
        ours=lambda: _distances(method.several(explained, inputs, keys, targets=range(OUTPUTS), **given).numpy()),
        theirs=one_by_one,
        agree=lambda ours, theirs: bool(np.array_equal(ours, theirs)),
        target=1.5,
        repeats=size.repeats,
        note="The rules run in one pass forward for all outputs, and a pass backward for each. Equal to the last bit.",
    )
