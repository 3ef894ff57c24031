import captum.attr
import numpy as np
import pytest
import saliency.core
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from saliency.core.base import INPUT_OUTPUT_GRADIENTS
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.gradient import (
    gradient,
    gradient_shap,
    input_x_gradient,
    integrated_gradients,
    smooth_integrated_gradients,
    smoothgrad,
)
from saltrust.methods.path_integrals import BASELINES, baseline_set
from saltrust.methods.registry import METHODS

EXACT = {"rtol": 0, "atol": 1e-12}


class Polynomial(nn.Module):
    """sum_i w_i x_i^degree"""

    def __init__(self, degree):
        super().__init__()
        self.degree = degree
        self.weight = nn.Parameter(torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(degree)).double())

    def forward(self, x):
        return (self.weight * x**self.degree).sum((1, 2, 3))[:, None]


def network(activation=nn.ReLU):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3), activation(), nn.Conv2d(8, 6, 3), activation()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)).double()


def images(n=3, height=12, width=10, seed=0):
    return torch.rand(n, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def keys(n=3):
    return [(11, i) for i in range(n)]


def test_gradient_equals_captum():
    expected = captum.attr.Saliency(network()).attribute(images().requires_grad_(), target=1, abs=False)
    torch.testing.assert_close(gradient(Explained(network(), target=1), images(), keys()), expected, **EXACT)


def test_integrated_gradients_of_a_linear_model_are_weight_times_displacement():
    model, x = Polynomial(1), images(height=5, width=4)
    for baseline, value in [("black", -1), ("white", 1), ("grey", 0)]:
        maps = integrated_gradients(Explained(model), x, keys(), steps=1, baseline=baseline)
        torch.testing.assert_close(maps, (model.weight * (x - value)).detach(), **EXACT)


@pytest.mark.parametrize(("degree", "steps"), [(2, 1), (3, 2), (4, 2), (5, 3)])
def test_integrated_gradients_of_a_polynomial_are_exact_with_few_gauss_legendre_steps(degree, steps):
    model, x = Polynomial(degree), images(height=5, width=4)
    maps = integrated_gradients(Explained(model), x, keys(), steps=steps)
    torch.testing.assert_close(maps, (model.weight * (x**degree - (-1) ** degree)).detach(), **EXACT)


@pytest.mark.parametrize(
    ("ours", "theirs", "factor"),
    [
        ("gauss_legendre", "gausslegendre", 1),
        ("riemann_left", "riemann_left", 1),
        ("riemann_right", "riemann_right", 1),
        ("riemann_middle", "riemann_middle", 1),
        ("riemann_trapezoid", "riemann_trapezoid", 7 / 6),  # captum's weights add up to (n - 1) / n
    ],
)
@pytest.mark.parametrize("baseline", ["black", "image_max"])
def test_integrated_gradients_equal_captum(ours, theirs, factor, baseline):
    x = images()
    start = BASELINES[baseline](x, -1.0, 1.0).expand_as(x)
    expected = captum.attr.IntegratedGradients(network()).attribute(x, start, target=1, n_steps=7, method=theirs)
    maps = integrated_gradients(Explained(network(), target=1), x, keys(), steps=7, baseline=baseline, quadrature=ours)
    # captum keeps its points and weights in float32
    torch.testing.assert_close(maps, expected * factor, rtol=0, atol=1e-6 * float(expected.abs().max()))


def pair_model(batch, call_model_args=None, expected_keys=None):
    x = torch.from_numpy(np.asarray(batch)).permute(0, 3, 1, 2).requires_grad_()
    (gradients,) = torch.autograd.grad(network()(x)[:, 0].sum(), x)
    return {INPUT_OUTPUT_GRADIENTS: gradients.permute(0, 2, 3, 1).numpy()}


def test_riemann_is_that_of_pair_saliency():
    x = images(1)
    hwc = x[0].permute(1, 2, 0).numpy()
    expected = saliency.core.IntegratedGradients().GetMask(hwc, pair_model, x_baseline=hwc * 0 - 1, x_steps=6)
    maps = integrated_gradients(Explained(network()), x, keys(1), steps=6, quadrature="riemann")
    np.testing.assert_allclose(maps[0].permute(1, 2, 0), expected, rtol=0, atol=1e-7)  # theirs adds up in float32


@pytest.mark.parametrize("power", [1, 2])
def test_smoothed_maps_are_those_of_pair_saliency_given_its_noise(power, monkeypatch):
    """PAIR draws from numpy's global generator; here both are given the same noise, and the same idea of its spread."""
    x = images(1)
    hwc = x[0].permute(1, 2, 0).numpy()
    drawn = [torch.from_numpy(np.random.default_rng(i).normal(size=(3, 12, 10))) for i in range(4)]
    monkeypatch.setattr("saltrust.methods.path_integrals.noise_sample", lambda shape, seed, key, sample: drawn[sample])
    stream = iter(drawn * 2)
    monkeypatch.setattr(np.random, "normal", lambda mean, sd, shape: sd * next(stream).permute(1, 2, 0).numpy())
    theirs = {"stdev_spread": 0.2, "nsamples": 4, "magnitude": power == 2}
    ours = {"noise": 0.2, "samples": 4, "power": power, "spread": "image"}
    explained = Explained(network())
    expected = saliency.core.GradientSaliency().GetSmoothedMask(hwc, pair_model, **theirs)
    np.testing.assert_allclose(
        smoothgrad(explained, x, keys(1), **ours)[0].permute(1, 2, 0), expected, rtol=0, atol=1e-7
    )
    path = {"x_baseline": hwc * 0 - 1, "x_steps": 5}
    expected = saliency.core.IntegratedGradients().GetSmoothedMask(hwc, pair_model, **theirs, **path)
    maps = smooth_integrated_gradients(explained, x, keys(1), steps=5, quadrature="riemann", **ours)
    np.testing.assert_allclose(maps[0].permute(1, 2, 0), expected, rtol=0, atol=1e-7)


def test_noise_is_a_fraction_of_the_input_range_or_of_the_image():
    """The gradient of sum w x^2 is 2 w x, so that SmoothGrad shows the mean noise."""
    model, x = Polynomial(2), images(1, 5, 4) / 4
    plain = gradient(Explained(model), x, keys(1))
    added = {
        spread: smoothgrad(Explained(model), x, keys(1), samples=1, noise=0.1, spread=spread) - plain
        for spread in ("input", "image")
    }
    ratio = added["image"] / added["input"]
    torch.testing.assert_close(ratio, torch.full_like(x, float(x.max() - x.min()) / 2), rtol=1e-9, atol=0)


@given(samples=st.integers(1, 5), steps=st.integers(1, 6), seed=st.integers(0, 2**40))
@settings(max_examples=15, deadline=None)
def test_smoothing_without_noise_is_the_plain_map(samples, steps, seed):
    explained, x = Explained(network(), batch_size=5), images()
    none = {"noise": 0.0, "samples": samples, "seed": seed}
    plain, integral = gradient(explained, x, keys()), integrated_gradients(explained, x, keys(), steps=steps)
    torch.testing.assert_close(smoothgrad(explained, x, keys(), **none), plain, **EXACT)
    torch.testing.assert_close(smoothgrad(explained, x, keys(), power=2, **none), plain**2, **EXACT)
    torch.testing.assert_close(
        smooth_integrated_gradients(explained, x, keys(), steps=steps, **none), integral, **EXACT
    )


def test_a_seed_is_reproducible_and_another_seed_is_not():
    explained, x = Explained(network()), images()
    first, again, other = (smoothgrad(explained, x, keys(), samples=3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-6


@given(
    seed=st.integers(0, 1000),
    baseline=st.sampled_from(sorted(BASELINES)),
    scalar=st.sampled_from(["logit", "probability", "argmax_logit"]),
)
@settings(max_examples=25, deadline=None)
def test_completeness_of_a_smooth_network(seed, baseline, scalar):
    """sum of the map = f(image) - f(baseline), to 1e-9 with 25 Gauss-Legendre points where the network is smooth."""
    explained, x = Explained(network(nn.Tanh), scalar), images(seed=seed)
    maps = integrated_gradients(explained, x, keys(), baseline=baseline)
    total = METHODS["ig"].total(explained, x, **METHODS["ig"].complete({"baseline": baseline}))
    torch.testing.assert_close(maps.sum((1, 2, 3)), total, rtol=0, atol=1e-9)
    start = BASELINES[baseline](x, -1.0, 1.0).expand_as(x)
    selection = explained.select(x)
    change = explained.scalars(x, selection) - explained.scalars(start, selection)
    torch.testing.assert_close(total, change, **EXACT)


def test_the_completeness_residual_of_a_relu_network_shrinks_with_the_steps():
    explained, x = Explained(network()), images(8)
    change = explained.scalars(x) - explained.scalars(torch.full_like(x, -1))
    residual = []
    for steps in (5, 50, 500):
        maps = integrated_gradients(explained, x, keys(8), steps=steps)
        residual.append(float(((maps.sum((1, 2, 3)) - change).abs() / change.abs()).max()))
    assert residual[2] < 0.01
    assert residual[0] > residual[1] > residual[2]


def test_maps_of_float32_models_are_float32():
    explained = Explained(network().float())
    maps = smooth_integrated_gradients(explained, images(), keys(), samples=2, steps=2)
    assert maps.dtype == torch.float32
    assert maps.is_contiguous()


def test_several_baselines_are_averaged_and_counted():
    explained, x = Explained(network()), images()
    both = integrated_gradients(explained, x, keys(), steps=6, baseline="black+white")
    one_by_one = [integrated_gradients(explained, x, keys(), steps=6, baseline=name) for name in ("black", "white")]
    torch.testing.assert_close(both, (one_by_one[0] + one_by_one[1]) / 2, **EXACT)
    assert METHODS["ig"].passes({"steps": 6, "baseline": "black+white"}) == 12
    parameters = METHODS["ig"].complete({"baseline": "black+white"})
    totals = [METHODS["ig"].total(explained, x, **parameters | {"baseline": name}) for name in ("black", "white")]
    torch.testing.assert_close(METHODS["ig"].total(explained, x, **parameters), (totals[0] + totals[1]) / 2, **EXACT)


def test_a_baseline_of_ones_own():
    explained, x = Explained(network()), images()
    own = images(seed=5)
    expected = captum.attr.IntegratedGradients(network()).attribute(x, own, target=0, n_steps=9)
    maps = integrated_gradients(explained, x, keys(), steps=9, baseline=own)
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))
    with pytest.raises(SaltrustError, match=r"baseline \(2, 3, 12, 10\) does not broadcast to images \(3, 3, 12, 10\)"):
        integrated_gradients(explained, x, keys(), baseline=own[:2])


def test_the_blurred_baseline_keeps_tones_and_loses_detail():
    flat = torch.full((1, 1, 32, 32), 0.3, dtype=torch.float64)
    torch.testing.assert_close(BASELINES["blur"](flat, -1.0, 1.0), flat)
    detail = flat + torch.randn(flat.shape, generator=torch.Generator().manual_seed(0)).double().clamp(-1, 1) / 2
    blurred = BASELINES["blur"](detail, -1.0, 1.0)
    assert blurred.std() < detail.std() / 4
    assert blurred.mean() == pytest.approx(float(detail.mean()), abs=0.02)


def test_input_x_gradient_equals_captum():
    expected = captum.attr.InputXGradient(network()).attribute(images().requires_grad_(), target=1).detach()
    torch.testing.assert_close(input_x_gradient(Explained(network(), target=1), images(), keys()), expected, **EXACT)


def test_gradient_shap_of_a_linear_model_is_weight_times_mean_displacement():
    """With one baseline (black) the map is exact, whatever is drawn."""
    model, x = Polynomial(1), images(height=5, width=4)
    maps = gradient_shap(Explained(model), x, keys(), samples=3, references=1)
    torch.testing.assert_close(maps, (model.weight * (x + 1)).detach(), **EXACT)


def test_gradient_shap_adds_up_in_expectation():
    """f = sum w x^3, baselines black, grey and white: the mean over many draws is the analytic integral, 5 sd wide."""
    model, x = Polynomial(3), images(1, 5, 4)
    explained = Explained(model, batch_size=512)
    draws = torch.cat([gradient_shap(explained, x, keys(1), samples=512, references=3, seed=seed) for seed in range(8)])
    expected = model.weight * x**3  # f of the three baselines adds up to 0
    error = draws.std(0) / 8**0.5
    assert ((draws.mean(0) - expected[0]).abs() < 5 * error + 1e-9).all()
    total = METHODS["gradient_shap"].total(explained, x, **METHODS["gradient_shap"].complete({"references": 3}))
    torch.testing.assert_close(total, expected.sum((1, 2, 3)).detach(), **EXACT)


def test_gradient_shap_equals_captum_on_one_near_black_baseline_at_a_linear_model():
    model, x = Polynomial(1), images(height=5, width=4)
    baselines = baseline_set("near_black", x, 1, 0, -1.0, 1.0)[:, 0]
    torch.manual_seed(0)
    expected = captum.attr.GradientShap(model).attribute(x, baselines, n_samples=4, stdevs=0.0, target=0)
    maps = gradient_shap(Explained(model), x, keys(), samples=4, references=1, distribution="near_black")
    torch.testing.assert_close(maps, expected.detach(), rtol=0, atol=1e-6)
    assert (baselines + 1).abs().max() < 0.01
    assert (baselines + 1).std() > 1e-3


def test_gradient_shap_depends_on_neither_batch_size_nor_order():
    x = images(4)
    whole = gradient_shap(Explained(network()), x, keys(4), samples=5, noise=0.1)
    for batch_size in (1, 3):
        few = gradient_shap(Explained(network(), batch_size=batch_size), x, keys(4), samples=5, noise=0.1)
        torch.testing.assert_close(few, whole, **EXACT)
    turned = gradient_shap(Explained(network()), x.flip(0), keys(4)[::-1], samples=5, noise=0.1)
    torch.testing.assert_close(turned.flip(0), whole, **EXACT)
