import itertools
import math

import captum.attr
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.measure import label
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.occlusion import occlusion
from saltrust.methods.perturbation import (
    kernel_shap,
    lime,
    lime_coefficients,
    shapley_coalitions,
    shapley_values,
    superpixels,
)
from saltrust.methods.registry import METHODS

KEYS = [(0, 0), (0, 1)]
SUPERPIXEL = {"lime": lime, "kernel_shap": kernel_shap}
SEEN: list[torch.Tensor] = []


def net(channels=3, n_outputs=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(64, 8),
            nn.ReLU(),
            nn.Linear(8, n_outputs),
        ).double()


class Linear(nn.Module):
    """A sum of weighted pixels, which also counts the images it is shown."""

    def __init__(self, height=16, width=16):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(3, height, width, dtype=torch.float64, generator=generator))

    def forward(self, x):
        if type(x) is torch.Tensor:  # and not a placeholder that traces the model
            SEEN.append(x.clone())
        return (self.weight * x).sum((1, 2, 3))[:, None]


@pytest.fixture(autouse=True)
def _nothing_seen():
    SEEN.clear()


def images(n=2, channels=3, height=16, width=16, seed=1):
    """Smooth, so that super-pixels differ from a grid."""
    rng = np.random.default_rng(seed)
    blobs = gaussian_filter(rng.normal(size=(n, channels, height, width)), (0, 0, 2, 2))
    return torch.as_tensor(blobs / np.abs(blobs).max())


def contributions(model, x, baseline=0.0):
    return (model.weight * (x - baseline)).sum(1).detach().numpy()


def occlusion_by_hand(f, image, baseline, size, step):
    """Window by window, pixel sizes (rows, columns); a sum of falls and a count for each pixel."""
    height, width = image.shape[1:]
    falls, covers = np.zeros((height, width)), np.zeros((height, width))
    for top in range(0, height - size[0] + step[0], step[0]):
        for left in range(0, width - size[1] + step[1], step[1]):
            place = np.s_[..., top : top + size[0], left : left + size[1]]
            hidden = image.clone()
            hidden[place] = baseline
            falls[place] += f(image) - f(hidden)
            covers[place] += 1
    return falls / covers


@pytest.mark.parametrize(
    ("height", "width", "window", "stride"),
    [(16, 16, 1 / 4, 1 / 8), (16, 24, 1 / 4, 1 / 4), (20, 20, 0.3, 0.25), (16, 8, 1, 1), (24, 16, 3 / 8, 1 / 8)],
)
def test_occlusion_is_that_of_captum_and_of_a_loop_over_windows(height, width, window, stride):
    """Also where windows are cut off at the border (20: five pixels of six), and on images that are not square.
    captum ends in float32; the loop in double."""
    model, x = net(), images(height=height, width=width)
    size, step = ([round(share * side) for side in (height, width)] for share in (window, stride))
    maps = occlusion(Explained(model, target=1, batch_size=7), x, KEYS, window=window, stride=stride, baseline="grey")
    assert maps.shape == (2, 1, height, width)
    assert maps.abs().max() > 1e-3
    by_captum = captum.attr.Occlusion(model).attribute(x, (3, *size), (3, *step), baselines=0.0, target=1)
    torch.testing.assert_close(maps.expand_as(x).float(), by_captum.detach(), rtol=0, atol=1e-7)
    expected = [occlusion_by_hand(lambda one: model(one[None])[0, 1].item(), image, 0.0, size, step) for image in x]
    np.testing.assert_allclose(maps[:, 0], expected, rtol=0, atol=1e-12)


def test_occlusion_by_disjoint_windows_of_a_sum_gives_the_windows_terms():
    model, x = Linear(), images()
    maps = occlusion(Explained(model), x, KEYS, window=1 / 4, stride=1 / 4, baseline="white")
    blocks = contributions(model, x, 1.0).reshape(2, 4, 4, 4, 4).sum((2, 4))
    np.testing.assert_allclose(maps[:, 0], np.kron(blocks, np.ones((4, 4))), rtol=0, atol=1e-12)


@given(
    side=st.integers(1, 40),
    window=st.floats(0.01, 1),
    share=st.floats(0.3, 1),
)
@example(side=35, window=0.05, share=1.0)  # window edges at halves of a pixel, but for rounding
@settings(max_examples=40)
def test_occlusion_covers_every_pixel_in_the_stated_number_of_passes(side, window, share):
    parameters = {"window": window, "stride": max(window * share, 0.05)}
    parameters["window"] = max(parameters.values())
    SEEN.clear()
    x = images(1, height=side, width=2)
    maps = occlusion(Explained(Linear(side, 2)), x, KEYS[:1], **parameters)
    assert maps.isfinite().all()
    assert sum(map(len, SEEN)) == METHODS["occlusion"].passes(parameters)


def test_occlusion_costs_about_as_much_as_nine_integrals_by_default():
    assert METHODS["occlusion"].passes() == 15 * 15 + 1


@pytest.mark.parametrize(("window", "stride"), [(0.1, 0.2), (1.5, 0.1), (0.1, 0), (float("nan"), 0.1)])
def test_occlusion_refuses_windows_that_leave_gaps_or_the_image(window, stride):
    with pytest.raises(SaltrustError, match="0 < stride <= window <= 1"):
        occlusion(Explained(Linear()), images(), KEYS, window=window, stride=stride)


def shapley_by_definition(value, players):
    values = np.zeros(players)
    for player in range(players):
        others = [p for p in range(players) if p != player]
        for size in range(players):
            weight = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
            for coalition in itertools.combinations(others, size):
                values[player] += weight * (value({*coalition, player}) - value(set(coalition)))
    return values


@pytest.mark.parametrize("segments", [1, 2, 6])
def test_kernel_shap_is_exact_where_all_coalitions_fit(segments):
    """Against the definition: a mean of marginal contributions over all coalitions, on a network that is not linear."""
    model, x = net(), images()
    explained = Explained(model, batch_size=50)
    maps = kernel_shap(explained, x, KEYS, segments=segments, samples=600, baseline="grey")
    for one, given_image in zip(maps[:, 0].numpy(), x, strict=True):
        regions = superpixels(given_image.numpy().transpose(1, 2, 0), segments)
        players = regions.max() + 1
        assert players <= 9

        def value(coalition, image=given_image, regions=regions):
            shown = torch.as_tensor(np.isin(regions, list(coalition)))
            return model((image * shown)[None])[0, 0].item()

        expected = shapley_by_definition(value, players)
        values = np.bincount(regions.ravel(), one.ravel())
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-10)
        assert all(np.ptp(one[regions == region]) == 0 for region in range(players))


@pytest.mark.parametrize(("segments", "samples"), [(30, 80), (120, 320)])
def test_sampled_kernel_shap_is_exact_for_a_sum(segments, samples):
    """More pairs of coalitions than super-pixels: the fit is perfect, whatever was drawn; and 2^120 - 2 is too many."""
    model, x = Linear(24, 24), images(height=24, width=24)
    maps = kernel_shap(Explained(model), x, KEYS, segments=segments, samples=samples, baseline="black").numpy()[:, 0]
    terms = contributions(model, x, -1.0)
    for one, term, image in zip(maps, terms, x.numpy(), strict=True):
        regions = superpixels(image.transpose(1, 2, 0), segments).ravel()
        assert 0.6 * segments < regions.max() + 1 < samples / 2
        sums = (np.bincount(regions, weights.ravel()) for weights in (one, term))
        np.testing.assert_allclose(*sums, rtol=0, atol=1e-9)


def test_sampled_kernel_shap_approaches_the_exact_values():
    """Ten super-pixels of a network that is not linear: the error of 600 of 1,022 coalitions is a few percent."""
    model, x = net(), images()
    exact = kernel_shap(Explained(model), x, KEYS, segments=9, samples=5000)
    errors = []
    for samples in (24, 200):
        rough = [kernel_shap(Explained(model), x, KEYS, segments=9, samples=samples, seed=s) for s in range(8)]
        errors.append((torch.stack(rough) - exact).square().mean().sqrt() / exact.std())
    assert 0 < errors[1] < 0.35 * errors[0] + 1e-12
    assert errors[1] < 0.1


@pytest.mark.parametrize("samples", [2, 5, 40, 1000])
@pytest.mark.parametrize("baseline", ["grey", "blur", "image_max"])
def test_kernel_shap_adds_up_to_the_fall_from_image_to_baseline(samples, baseline):
    """However few samples; up to rounding in double precision."""
    model, x = net(), images()
    explained = Explained(model, target=1)
    parameters = {"samples": samples, "segments": 9, "baseline": baseline}
    maps = kernel_shap(explained, x, KEYS, **parameters)
    total = METHODS["kernel_shap"].total(explained, x, **parameters)
    assert total.abs().max() > 1e-4
    torch.testing.assert_close(maps.sum((1, 2, 3)), total, rtol=0, atol=1e-10)


@given(players=st.integers(1, 12), samples=st.integers(2, 80), seed=st.integers(0, 999))
@settings(max_examples=60)
def test_shapley_values_are_efficient_and_coalitions_paired(players, samples, seed):
    rng = np.random.default_rng(seed)
    coalitions, weights = shapley_coalitions(players, samples, rng)
    sizes = coalitions.sum(1)
    assert ((sizes > 0) & (sizes < players)).all()
    if len(coalitions) == 2**players - 2 <= samples:
        assert len({tuple(one) for one in coalitions.tolist()}) == len(coalitions)
    else:
        assert len(coalitions) == samples
        pairs = samples // 2
        np.testing.assert_array_equal(coalitions[: 2 * pairs : 2], ~coalitions[1 : 2 * pairs : 2])
    total = rng.normal()
    values = shapley_values(coalitions, weights, rng.normal(size=len(coalitions)), total)
    assert values.sum() == pytest.approx(total, abs=1e-9)


def test_sampled_coalitions_follow_the_shapley_kernel():
    """Sizes as in the kernel, members evenly; 40,000 draws, so frequencies are known to half a percent."""
    players = 20
    coalitions, weights = shapley_coalitions(players, 40_000, np.random.default_rng(0))
    sizes = np.arange(1, players)
    expected = 1 / (sizes * (players - sizes))
    observed = np.bincount(coalitions.sum(1), minlength=players)[1:] / len(coalitions)
    np.testing.assert_allclose(observed, expected / expected.sum(), atol=0.01)
    np.testing.assert_allclose(coalitions.mean(0), 0.5, atol=0.015)
    assert (weights == weights[0]).all()


@pytest.mark.parametrize("players", [1, 3, 25])
def test_lime_is_the_weighted_ridge_regression_of_scikit_learn(players):
    rng = np.random.default_rng(players)
    shown, answers = rng.random((90, players)) < 0.5, rng.normal(size=90)
    shown[0], shown[1] = True, False
    distance = pairwise_distances(shown.astype(float), np.ones((1, players)), metric="cosine")[:, 0]
    fit = Ridge(alpha=1).fit(shown, answers, sample_weight=np.sqrt(np.exp(-(distance**2) / 0.25**2)))
    np.testing.assert_allclose(lime_coefficients(shown, answers, 0.25), fit.coef_, rtol=0, atol=1e-10)


def test_lime_explains_what_the_model_was_shown():
    """Which super-pixels were shown is read off the images that reached the model."""
    model, x = Linear(), images(1)
    maps = lime(Explained(model), x, KEYS[:1], samples=70, segments=20, baseline="white")
    regions = superpixels(x[0].numpy().transpose(1, 2, 0), 20)
    mixed = torch.cat(SEEN)
    assert len(mixed) == METHODS["lime"].passes({"samples": 70}) == 70
    first = [np.argwhere(regions == region)[0] for region in range(regions.max() + 1)]
    shown = np.stack([(mixed[:, 0, row, column] != 1).numpy() for row, column in first], axis=1)
    assert shown[0].all()
    assert 0.4 < shown.mean() < 0.6
    np.testing.assert_array_equal(mixed, np.where(shown[:, regions][:, None], x, 1))
    coefficients = lime_coefficients(shown, (model.weight * mixed).sum((1, 2, 3)).detach().numpy(), 0.25)
    np.testing.assert_allclose(np.bincount(regions.ravel(), maps.numpy().ravel()), coefficients, rtol=0, atol=1e-9)


def test_kernel_shap_runs_the_stated_number_of_passes():
    kernel_shap(Explained(Linear(), batch_size=16), images(), KEYS, samples=40, segments=20)
    assert sum(map(len, SEEN)) == 2 * METHODS["kernel_shap"].passes({"samples": 40})
    assert [len(batch) for batch in SEEN] == [16] * 5 + [4]  # one stream: images share batches


@pytest.mark.parametrize("name", SUPERPIXEL)
def test_samples_depend_on_seed_and_key_alone(name):
    method, x = SUPERPIXEL[name], images(3)
    keys = [(4, 0), (4, 1), (4, 0)]
    model = net()
    few = {"samples": 30, "segments": 12}
    maps = method(Explained(model, batch_size=7), x, keys, **few)
    alone = method(Explained(model), x[1:2], keys[1:2], **few)
    torch.testing.assert_close(maps[1:2], alone, rtol=0, atol=1e-12)
    same = method(Explained(model), x[:1].repeat(2, 1, 1, 1), [keys[0], keys[2]], **few)
    torch.testing.assert_close(same[0], same[1], rtol=0, atol=1e-12)
    for changed in ({"seed": 1}, {}):
        other = method(Explained(model), x[:1], [keys[0] if changed else (4, 2)], **few, **changed)
        assert (other - same[:1]).abs().max() > 0.01 * same.abs().max()


@pytest.mark.parametrize("name", ["occlusion", *SUPERPIXEL])
@pytest.mark.parametrize(("channels", "dtype"), [(1, torch.float32), (3, torch.float64), (2, torch.float32)])
def test_any_number_of_channels_and_either_precision(name, channels, dtype):
    model = net(channels)
    x = images(channels=channels).to(dtype)
    model.to(dtype)(x)
    few = {} if name == "occlusion" else {"samples": 20, "segments": 12}
    maps = METHODS[name].function(Explained(model), x, KEYS, **few)
    assert maps.shape == (2, 1, 16, 16)
    assert maps.dtype == dtype
    assert maps.isfinite().all()
    assert maps.std() > 0


@pytest.mark.parametrize("name", ["occlusion", *SUPERPIXEL])
def test_the_scalar_of_the_clean_image_is_explained(name):
    """Half the image hidden may change the prediction; the question stays: the map of the class predicted before."""
    model, x = net(), images()
    few = {} if name == "occlusion" else {"samples": 20, "segments": 12}
    by_class = [METHODS[name].function(Explained(model, target=k), x, KEYS, **few) for k in (0, 1)]
    predicted = model(x).argmax(1)
    expected = torch.stack([by_class[k][i] for i, k in enumerate(predicted)])
    maps = METHODS[name].function(Explained(model, "argmax_logit"), x, KEYS, **few)
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["occlusion", *SUPERPIXEL])
def test_constant_images(name):
    x = torch.full((2, 3, 16, 16), 0.25, dtype=torch.float64)
    few = {} if name == "occlusion" else {"samples": 300, "segments": 12}
    assert METHODS[name].function(Explained(Linear()), x, KEYS, **few).std() > 0
    hidden = METHODS[name].function(Explained(Linear()), x, KEYS, baseline="image_min", **few)
    assert hidden.abs().max() < 1e-12  # nothing changes where the baseline is the image


@pytest.mark.parametrize("name", ["occlusion", *SUPERPIXEL])
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_model_that_returns_no_number_gets_a_map_of_nan(name, broken):
    class Broken(nn.Module):
        def forward(self, x):
            return x.sum((1, 2, 3))[:, None] * 0 + broken

    few = {} if name == "occlusion" else {"samples": 20, "segments": 12}
    assert METHODS[name].function(Explained(Broken()), images().float(), KEYS, **few).isnan().all()


@pytest.mark.parametrize("name", ["occlusion", *SUPERPIXEL])
def test_bad_parameters_are_refused(name):
    method = METHODS[name].function
    with pytest.raises(SaltrustError, match=r"one baseline, not several \('black\+white'\)"):
        method(Explained(Linear()), images(), KEYS, baseline="black+white")
    with pytest.raises(SaltrustError, match="did you mean 'grey'"):
        method(Explained(Linear()), images(), KEYS, baseline="gray")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"samples": 0}, "samples is 0"), ({"segments": 0}, "segments is 0"), ({"width": 0.0}, "width is 0.0")],
)
@pytest.mark.parametrize("name", SUPERPIXEL)
def test_bad_samples_segments_and_widths_are_refused(name, wrong, message):
    if wrong.keys() <= METHODS[name].defaults.keys():
        with pytest.raises(SaltrustError, match=message):
            SUPERPIXEL[name](Explained(Linear()), images(), KEYS, **{"samples": 4, **wrong})
    with pytest.raises(SaltrustError, match="2 images need as many noise keys, not 1"):
        SUPERPIXEL[name](Explained(Linear()), images(), KEYS[:1])


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    count=st.integers(1, 60),
    seed=st.integers(0, 99),
    smooth=st.sampled_from([0.0, 2.0]),
)
@settings(max_examples=60)
def test_superpixels_are_connected_and_use_every_label(height, width, count, seed, smooth):
    image = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), smooth)
    regions = superpixels(image, count)
    assert regions.shape == (height, width)
    np.testing.assert_array_equal(np.unique(regions), np.arange(regions.max() + 1))
    assert label(regions, background=-1, connectivity=1).max() == regions.max() + 1
    np.testing.assert_array_equal(regions, superpixels(np.repeat(image[..., None], 3, axis=2), count))


def test_superpixels_follow_edges():
    """A bright disc off the grid: no super-pixel has much of both sides."""
    row, column = np.mgrid[:96, :96]
    disc = (row - 40) ** 2 + (column - 53) ** 2 < 20**2
    regions = superpixels(np.where(disc, 200, 50).astype(np.uint8), 50)
    assert 30 <= regions.max() + 1 <= 60
    inside = np.bincount(regions.ravel(), disc.ravel()) / np.bincount(regions.ravel())
    assert np.minimum(inside, 1 - inside).max() < 0.2


@pytest.mark.parametrize("value", [0, 255])
def test_superpixels_of_a_constant_image_are_a_grid(value):
    regions = superpixels(np.full((64, 64), value, np.uint8), 16)
    sides = [np.diff(np.flatnonzero(np.diff(line, prepend=-1)), append=64) for line in (regions[0], regions[:, 0])]
    assert all(len(one) == 4 and set(one) <= {15, 16, 17} for one in sides)
    np.testing.assert_array_equal(np.bincount(regions.ravel()), np.outer(*sides).ravel())


def test_superpixels_of_bad_images_are_refused():
    with pytest.raises(SaltrustError, match=r"\(height, width\) or"):
        superpixels(np.zeros((2, 2, 2, 2)), 5)
