import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.path_integrals import BASELINES, noise_sample, path_attributions
from saltrust.methods.quadrature import QUADRATURES, quadrature_rule


class Curved(nn.Module):
    """Smooth, and different in every pixel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-2, 3, 18).view(1, 2, 3, 3).double())

    def forward(self, x):
        return torch.sin(self.weight * x + x.flip(3)).sum((1, 2, 3))[:, None]


def images(n):
    return torch.rand(n, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) * 2 - 1


def one_by_one(model, x, key, start, points, weights, times_path, samples, noise, power, seed):
    """The definition, pass by pass, for one image."""
    total = torch.zeros_like(x)
    for sample in range(samples):
        end = x + noise * 2 * noise_sample(x.shape, seed, key, sample).double()
        integral = torch.zeros_like(x)
        for point, weight in zip(points, weights, strict=True):
            place = (start + point * (end - start)).requires_grad_()
            integral += weight * torch.autograd.grad(model(place[None]).sum(), place)[0]
        total += (integral * (end - start) if times_path else integral) ** power
    return total / samples


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 4),
    samples=st.integers(1, 4),
    steps=st.integers(1, 5),
    batch_size=st.integers(1, 9),
    powers=st.sampled_from([(1,), (2,), (1, 2)]),
    noise=st.sampled_from([0.0, 0.3]),
    times_path=st.booleans(),
)
def test_the_stream_equals_the_definition_whatever_the_batches(
    n, samples, steps, batch_size, powers, noise, times_path
):
    points, weights = quadrature_rule("gauss_legendre", steps)
    x, keys = images(n), [(5, i) for i in range(n)]
    start = BASELINES["black"](x, -1.0, 1.0)
    shared = {"points": points, "weights": weights, "times_path": times_path, "samples": samples, "noise": noise}
    maps = path_attributions(
        Explained(Curved(), batch_size=batch_size), x, keys, start=start, powers=powers, seed=3, **shared
    )
    for power, found in zip(powers, maps, strict=True):
        expected = [one_by_one(Curved(), x[i], keys[i], start[i], power=power, seed=3, **shared) for i in range(n)]
        torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "degree"),
    [
        ("gauss_legendre", 11),
        ("riemann", 1),
        ("riemann_left", 0),
        ("riemann_right", 0),
        ("riemann_middle", 1),
        ("riemann_trapezoid", 1),
    ],
)
def test_quadratures_integrate_polynomials_of_their_degree_exactly(name, degree):
    points, weights = QUADRATURES[name](6)
    assert points.min() >= 0
    assert points.max() <= 1
    residual = [abs(weights @ points**power - 1 / (power + 1)) for power in range(degree + 2)]
    assert max(residual[: degree + 1]) < 1e-14
    assert residual[degree + 1] > 1e-14


def test_baselines():
    x = images(3)
    x[0] = 0.25
    black, white, grey = (BASELINES[name](x, -1.0, 1.0).expand_as(x) for name in ("black", "white", "grey"))
    assert (black == -1).all()
    assert (white == 1).all()
    assert (grey == 0).all()
    for i in range(3):
        assert (BASELINES["image_min"](x, -1.0, 1.0)[i] == x[i].min()).all()
        assert (BASELINES["image_max"](x, -1.0, 1.0)[i] == x[i].max()).all()


def test_noise_depends_on_seed_key_and_sample_alone():
    shape = (3, 40, 40)
    torch.manual_seed(1)
    first = noise_sample(shape, 0, (4, 2), 1)
    torch.manual_seed(2)
    assert torch.equal(first, noise_sample(shape, 0, (4, 2), 1))
    others = [noise_sample(shape, *k) for k in [(1, (4, 2), 1), (0, (4, 3), 1), (0, (4, 2), 2), (0, (4, 2, 1), 0)]]
    for other in others:  # independent: |correlation| below 5 standard errors
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5 / first.numel() ** 0.5
    assert abs(first.mean()) < 5 / first.numel() ** 0.5
    assert abs(first.std() - 1) < 5 / (2 * first.numel()) ** 0.5


@pytest.mark.parametrize(
    "wrong", [{"powers": (1, 3)}, {"samples": 0}, {"noise": -0.1}, {"spread": "pixel"}, {"keys": [(0,)]}]
)
def test_bad_parameters_are_refused(wrong):
    x = images(2)
    given_ = {"keys": [(0,), (1,)], "points": np.ones(1), "weights": np.ones(1), "times_path": False} | wrong
    with pytest.raises(SaltrustError):
        path_attributions(Explained(Curved()), x, start=torch.zeros(2, 1, 1, 1), **given_)


def test_too_few_steps_are_refused():
    for name, steps in [("gauss_legendre", 0), ("riemann", 1), ("riemann_trapezoid", 1)]:
        with pytest.raises(SaltrustError, match="needs at least"):
            quadrature_rule(name, steps)
