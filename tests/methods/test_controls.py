import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2gray
from skimage.feature import canny as skimage_canny
from skimage.filters import sobel as skimage_sobel

from saltrust.core.errors import SaltrustError
from saltrust.methods.controls import canny, centre, constant, image, luminance, random_field, sobel
from saltrust.methods.registry import METHODS

CONTROLS = sorted(name for name, m in METHODS.items() if m.family == "control")
KEYS = [(0, 0), (0, 1), (0, 2)]


def pictures(n=3, height=40, width=32, channels=None, seed=0):
    """Smooth blobs, uint8."""
    shape = (n, height, width) if channels is None else (n, height, width, channels)
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3, axes=(1, 2))
    return np.round(255 * (blobs - blobs.min()) / np.ptp(blobs)).astype(np.uint8)


def test_the_controls_are_made_of_the_image_alone():
    assert CONTROLS == ["canny", "centre", "constant", "image", "random_field", "sobel"]
    for name in CONTROLS:
        control = METHODS[name]
        assert control.is_composition
        assert not control.signed
        assert control.parts() == {}
        assert control.passes() == 0
        assert control.help.keys() == control.defaults.keys()


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("channels", [None, 3])
def test_controls_have_the_shape_of_a_map_and_depend_on_image_and_key_alone(name, channels):
    pixels = pictures(channels=channels)
    before = pixels.copy()
    maps = METHODS[name].function(pixels, KEYS, {})
    assert maps.shape == (3, 1, 40, 32)
    assert maps.dtype == np.float64
    assert np.isfinite(maps).all()
    assert (maps >= 0).all()
    np.testing.assert_array_equal(pixels, before)
    order = [2, 0]
    np.testing.assert_array_equal(METHODS[name].function(pixels[order], [KEYS[i] for i in order], {}), maps[order])


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("shape", [(2, 16, 16), (2, 5, 1), (2, 16, 16, 3)])
def test_a_constant_image_has_no_edges_and_breaks_nothing(name, value, shape):
    maps = METHODS[name].function(np.full(shape, value, np.uint8), KEYS[:2], {})
    assert np.isfinite(maps).all()
    if name in ("sobel", "canny"):
        assert not maps.any()


@pytest.mark.parametrize("name", CONTROLS)
def test_other_images_are_refused(name):
    for wrong in (np.zeros((2, 8, 8)), np.zeros((8, 8), np.uint8), np.zeros((2, 8, 8, 4), np.uint8)):
        with pytest.raises(SaltrustError, match=r"uint8 \(n, height, width\[, 3\]\)"):
            METHODS[name].function(wrong, KEYS[:2], {})


def test_luminance_is_that_of_scikit_image():
    colour = pictures(channels=3)
    np.testing.assert_allclose(luminance(colour), rgb2gray(colour), rtol=0, atol=1e-12)
    grey = pictures()
    np.testing.assert_array_equal(luminance(grey), grey / 255)
    np.testing.assert_allclose(luminance(np.repeat(grey[..., None], 3, axis=3)), grey / 255, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [None, 3])
def test_sobel_is_that_of_scikit_image(channels):
    pixels = pictures(channels=channels)
    expected = [skimage_sobel(grey) for grey in luminance(pixels)]
    np.testing.assert_allclose(sobel(pixels, KEYS, {})[:, 0], expected, rtol=0, atol=1e-12)


def test_sobel_of_a_ramp_is_its_rise_over_two_pixels():
    ramp = np.broadcast_to(np.arange(0, 100, 5, dtype=np.uint8), (1, 20, 20))
    inner = sobel(ramp, KEYS[:1], {})[0, 0, 1:-1, 1:-1]
    np.testing.assert_allclose(inner, 2 * 5 / 255 / 2**0.5, rtol=1e-12)


@pytest.mark.parametrize("parameters", [{}, {"sigma": 2.0}, {"low": 10, "high": 20}])
def test_canny_is_that_of_scikit_image_on_bytes(parameters):
    """Thresholds in grey levels, as scikit-image takes them for uint8."""
    pixels = pictures()
    given_all = METHODS["canny"].complete(parameters)
    expected = [skimage_canny(one, given_all["sigma"], given_all["low"], given_all["high"]) for one in pixels]
    maps = canny(pixels, KEYS, {}, **parameters)
    np.testing.assert_array_equal(maps[:, 0], expected)
    assert set(np.unique(maps)) == {0, 1}


def test_canny_finds_a_step_where_it_is_high_enough():
    """A step of 22.5 grey levels sums to 90 under Sobel's kernel; without blur, 22 is too low and 23 is an edge."""
    for height, found in ((22, False), (23, True)):
        step = np.full((1, 20, 20), 100, np.uint8)
        step[..., 10:] += np.uint8(height)
        edges = canny(step, KEYS[:1], {}, sigma=0.0)[0, 0]
        assert edges.any() == found
        assert not edges[:, :8].any()
        assert not edges[:, 12:].any()


def test_the_centre_prior_is_a_gaussian_of_the_distance_from_the_middle():
    maps = centre(np.zeros((2, 41, 41), np.uint8), KEYS[:2], {}, sd=0.3)[:, 0]
    row, column = np.mgrid[-20:21, -20:21] / 41
    np.testing.assert_allclose(maps[0], np.exp(-(row**2 + column**2) / (2 * 0.3**2)), rtol=1e-12)
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.unravel_index(maps[0].argmax(), (41, 41)) == (20, 20)


@given(height=st.integers(1, 30), width=st.integers(1, 30), sd=st.floats(0.05, 2))
@settings(max_examples=40)
def test_the_centre_prior_is_symmetric(height, width, sd):
    one = centre(np.zeros((1, height, width), np.uint8), KEYS[:1], {}, sd=sd)[0, 0]
    for mirrored in (one[::-1], one[:, ::-1]):
        np.testing.assert_allclose(one, mirrored, rtol=1e-9)
    turned = centre(np.zeros((1, width, height), np.uint8), KEYS[:1], {}, sd=sd)[0, 0]
    np.testing.assert_allclose(one, turned.T, rtol=1e-12)


def test_the_constant_map():
    np.testing.assert_array_equal(constant(pictures(), KEYS, {}), np.ones((3, 1, 40, 32)))


@pytest.mark.parametrize("length", [0.05, 0.15])
def test_the_random_field_has_the_stated_correlation_everywhere(length):
    """Differences (a field is only known up to its shift): E (a - b)^2 = 2 (1 - rho) for unit variance, between points
    r apart, rho = exp(-r^2 / (2 length^2)); over 400 fields, to 15 %. In the middle, along a border, and across from
    border to border, where a field that wraps around would be nearly continuous."""
    side = 40
    keys = [(5, i) for i in range(400)]
    fields = random_field(np.zeros((400, side, side), np.uint8), keys, {}, length=length)[:, 0]
    scale = length * side
    for r in (max(1, round(scale / 2)), round(scale), round(3 * scale)):
        expected = 2 * (1 - np.exp(-(r**2) / (2 * scale**2)))
        middle, border = fields[:, 20, 10] - fields[:, 20, 10 + r], fields[:, 0, 0] - fields[:, r, 0]
        assert np.mean(middle**2) == pytest.approx(expected, rel=0.25)
        assert np.mean(border**2) == pytest.approx(expected, rel=0.25)
    across = fields[:, 0] - fields[:, -1]
    assert np.mean(across**2) == pytest.approx(2, rel=0.2)


def test_the_random_field_depends_on_seed_and_key_and_not_on_the_image():
    pixels = pictures()
    fields = random_field(pixels, KEYS, {})
    np.testing.assert_array_equal(random_field(255 - pixels, KEYS, {}), fields)
    np.testing.assert_array_equal(fields.min((1, 2, 3)), 0)
    for other in (random_field(pixels, KEYS, {}, seed=1), fields[[1, 2, 0]]):
        correlations = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(fields, other, strict=True)]
        assert np.abs(correlations).max() < 0.9
    with pytest.raises(SaltrustError, match="3 images need as many noise keys, not 2"):
        random_field(pixels, KEYS[:2], {})


def test_the_image_and_its_negative():
    pixels = pictures()
    bright, dark = (image(pixels, KEYS, {}, polarity=polarity) for polarity in ("bright", "dark"))
    np.testing.assert_array_equal(bright[:, 0], pixels / 255)
    np.testing.assert_allclose(bright + dark, 1, rtol=0, atol=1e-12)
    with pytest.raises(SaltrustError, match="unknown polarity 'drak'; did you mean 'dark'"):
        image(pixels, KEYS, {}, polarity="drak")


@pytest.mark.parametrize(
    ("control", "wrong", "message"),
    [
        (centre, {"sd": 0.0}, "sd is 0.0"),
        (random_field, {"length": 0.0}, "length is 0.0"),
        (canny, {"low": 50, "high": 40}, "low <= high"),
        (canny, {"sigma": float("nan")}, "sigma is at least 0"),
    ],
)
def test_bad_parameters_are_refused(control, wrong, message):
    with pytest.raises(SaltrustError, match=message):
        control(pictures(), KEYS, {}, **wrong)
