"""Path methods beside the passes that they are made of, and beside captum; and maps that share passes."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from captum.attr import IntegratedGradients, NoiseTunnel
from torch import Tensor, nn

from benchmarks import memory
from benchmarks.harness import BENCHMARKS, Comparison, Size
from benchmarks.inputs import CAM_LAYER, network, network_inputs, radiographs
from saltrust.methods.explained import Explained
from saltrust.methods.fold_batchnorm import fold_batchnorm
from saltrust.methods.path_integrals import noise_sample
from saltrust.methods.quadrature import quadrature_rule
from saltrust.methods.registry import METHODS
from saltrust.methods.xrai import segment
from saltrust.models.classifiers import to_input

BATCH = 32
NOISE = 0.15  # of the input range, which is 2
BLACK = -1.0


def _bare(model: nn.Module, batch: Tensor) -> Tensor:
    """One pass forward and backward, of a batch that is ready."""
    return torch.autograd.grad(model(batch)[:, 0].sum(), batch)[0]


def _floor(size: Size, name: str, images: int, samples: int, steps: int) -> Comparison:
    """A path method beside the bare passes at the very points where it needs gradients."""
    inputs, keys = network_inputs(images, size.input)
    model = network()
    parameters = ({"samples": samples} if samples > 1 else {}) | ({"steps": steps} if steps > 1 else {})
    ours = partial(METHODS[name].function, Explained(model, batch_size=BATCH), inputs, keys, **parameters)
    bare = model.requires_grad_(False).to(memory_format=torch.channels_last)
    fold_batchnorm(bare)

    noise = torch.stack([noise_sample(inputs.shape[1:], 0, key, s) for key in keys for s in range(samples)])
    spread = torch.tensor(2 * NOISE if samples > 1 else 0.0)
    points, weights = quadrature_rule("gauss_legendre", steps) if steps > 1 else (np.ones(1), np.ones(1))
    # Rounded as ours are: where a ReLU is at its kink, the last bit of a point switches it, and moves the gradient.
    ends = torch.addcmul(inputs[:, None], spread, noise.view(images, samples, *inputs.shape[1:]))
    start = torch.full((), BLACK) if steps > 1 else torch.zeros(())
    places = torch.addcmul(
        start, torch.tensor(points, dtype=torch.float32).view(-1, 1, 1, 1), (ends - start)[:, :, None]
    )
    stacked = places.flatten(0, 2).split(BATCH)
    batches = [batch.clone(memory_format=torch.channels_last).requires_grad_() for batch in stacked]

    def agree(maps: Tensor, gradients: list[Tensor]) -> bool:
        each = torch.cat(gradients).view(places.shape).double()
        sums = torch.einsum("nspchw,p->nschw", each, torch.tensor(weights))
        expected = (sums * (ends - start) if steps > 1 else sums).mean(1)
        return bool((maps - expected).abs().max() <= 1e-5 * expected.abs().max())

    passes = images * samples * steps
    return Comparison(
        work=f"{METHODS[name].title} on InceptionV3, {size.input} px: {passes} passes",
        beside="the bare passes",
        ours=ours,
        theirs=lambda: [_bare(bare, batch) for batch in batches],
        agree=agree,
        target=1.05,
        better="lower",
        repeats=size.repeats if images > 1 else min(size.repeats, 2),
        warm_up=images > 1,
        note=f"Batches of {BATCH}; weights' gradients off, batch normalization folded, channels last on both sides. "
        "The map put together from the bare passes differs by at most 1e-5 of its largest value.",
    )


@BENCHMARKS.register("smoothgrad")
def smoothgrad(size: Size) -> Comparison:
    return _floor(size, "smoothgrad", 8, size.samples, 1)


@BENCHMARKS.register("ig")
def integrated_gradients(size: Size) -> Comparison:
    return _floor(size, "ig", 8, 1, size.steps)


@BENCHMARKS.register("smooth_ig")
def smooth_integrated_gradients(size: Size) -> Comparison:
    return _floor(size, "smooth_ig", 1, size.samples, size.steps)


@BENCHMARKS.register("smooth_ig_captum")
def smooth_ig_beside_captum(size: Size) -> Comparison:
    model, (inputs, keys) = network(), network_inputs(1, size.input)
    explained, smooth_ig = Explained(model, batch_size=BATCH), METHODS["smooth_ig"].function
    tunnel = NoiseTunnel(IntegratedGradients(model))
    few, many = min(size.samples, 5), min(size.steps, 5)
    small, large = (memory.peak(size.pixels, *both) for both in ((few, many), (size.samples, size.steps)))

    def captum(noise: float, samples: int, inputs: Tensor = inputs, tunnel: NoiseTunnel = tunnel) -> Tensor:
        return tunnel.attribute(
            inputs,
            target=0,
            baselines=BLACK,
            nt_samples=samples,
            nt_samples_batch_size=1,
            stdevs=2 * noise,
            n_steps=size.steps,
            method="gausslegendre",
            internal_batch_size=BATCH,
        )

    def agree(_: Tensor, __: Tensor) -> bool:
        exact = network().double()
        one = smooth_ig(Explained(exact), inputs.double(), keys, noise=0.0, samples=1, steps=size.steps)
        other = captum(0.0, 1, inputs.double(), NoiseTunnel(IntegratedGradients(exact)))
        return bool((one - other).abs().max() <= 1e-6 * other.abs().max())

    return Comparison(
        work=f"Smooth-IG {size.samples} x {size.steps} on InceptionV3, {size.input} px",
        beside="captum NoiseTunnel(IG)",
        ours=partial(smooth_ig, explained, inputs, keys, noise=NOISE, samples=size.samples, steps=size.steps),
        theirs=partial(captum, NOISE, size.samples),
        agree=agree,
        target=1.5,
        repeats=min(size.repeats, 2),
        warm_up=False,
        note=f"captum takes the {size.steps} steps of one sample as a batch, ours batches of {BATCH}. Without noise, "
        "in double precision, the maps differ by at most 1e-6 of the largest value; the noise itself differs. Peak "
        f"memory of a process that makes one map of {size.pixels} px: {small} MiB with {few} x {many}, {large} MiB "
        f"with {size.samples} x {size.steps}.",
    )


EIGHT = {
    "grad": {},
    "smoothgrad": {},
    "ig": {},
    "smooth_ig": {"samples": 5, "steps": 5},
    "gradcam": {},
    "xrai": {},
    "guided_backprop": {},
    "guided_gradcam": {},
}


@BENCHMARKS.register("shared_passes")
def shared_passes(size: Size) -> Comparison:
    """As the store does it: what a map is made of is asked for by method and parameters, and computed once."""
    pixels = radiographs(1, size.input).pixels
    inputs, keys = to_input(pixels), [(0,)]
    explained = Explained(network(), cam_layer=CAM_LAYER, batch_size=BATCH)
    segments = [segment(image) for image in pixels]
    limits = {"samples": size.samples, "steps": size.steps}
    chosen = {
        name: {k: min(v, limits.get(k, v)) if k in limits else v for k, v in METHODS[name].complete(given).items()}
        for name, given in EIGHT.items()
    }

    def identity(name: str, given: dict) -> str:
        return repr((name, sorted(METHODS[name].complete(given).items())))

    def compute(known: dict, name: str, given: dict) -> np.ndarray:
        key, method = identity(name, given), METHODS[name]
        if key not in known and method.is_composition:
            parts = {part: compute(known, *what) for part, what in method.parts(given).items()}
            known[key] = method.function(pixels, keys, parts | {"segments": segments}, **given)
        elif key not in known:
            known[key] = method.function(explained, inputs, keys, **given).numpy()
        return known[key]

    def every(fresh: Callable[[], dict]) -> list[np.ndarray]:
        return [compute(fresh(), name, given) for name, given in chosen.items()]

    def together() -> list[np.ndarray]:
        known: dict = {}
        return every(lambda: known)

    alone = sum(METHODS[name].passes(given) for name, given in chosen.items())
    wanted = [w for name, given in chosen.items() for w in METHODS[name].parts(given).values() or [(name, given)]]
    once = sum({identity(*what): METHODS[what[0]].passes(what[1]) for what in wanted}.values())
    return Comparison(
        work=f"eight maps of one image and model state, {size.input} px: {once} passes",
        beside=f"each alone: {alone} passes",
        ours=together,
        theirs=lambda: every(dict),
        agree=lambda one, other: all(np.array_equal(a, b) for a, b in zip(one, other, strict=True)),
        target=round(0.95 * alone / once, 2),
        repeats=size.repeats,
        note="XRAI's black path is that of IG, and Guided Grad-CAM multiplies the two maps that are there. Smooth-IG "
        "5 x 5, or it would hide the rest. Target: the ratio of the passes, less 5 % for the clock. Maps identical.",
    )
