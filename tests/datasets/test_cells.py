"""The cells: same key, same cell; the truth is right by areas, by loops over pixels, and by the paper's own route."""

from dataclasses import replace
from math import cos, floor, hypot, pi, radians, sin, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from skimage.transform import resize, rotate

from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.datasets.cells import GRADES, SHARD, SPLITS, TYPES, CellParameters, _form, cell, load
from saltrust.datasets.cells.backgrounds import BACKGROUNDS
from saltrust.datasets.cells.parameters import TURNING
from saltrust.datasets.cells.shapes import CELLS, Form, Frame, layers
from saltrust.datasets.loaders import LOADERS

ROUND = ("CCell", "CCellM", "CCellP", "CCellT", "CCellT3", "CCellT8")
SQUARE = ("RCell", "RCellB", "RCellC")
SMOOTH = CellParameters(noise=(0, 0), shift=0.1)  # smooth edges, nothing cut off by the border of the image
KEYS = st.tuples(st.integers(0, 2**32), st.integers(0, 2), st.integers(0, 10**6))


def geometry(image) -> Form:
    """The form of a cell whose edges are smooth, from its attributes."""
    values = {name: image.attributes[name] for name in Form.__dataclass_fields__ if name != "edges"}
    return Form(**values, edges=np.zeros((3, 1, 1), np.float32))


# --- areas, with smooth edges -----------------------------------------------------------------------------------------


def areas(kind: str, f: Form) -> tuple[float, float]:
    """Of the feature and of the whole cell, in square units. Stretch 1, so that marks do not overlap one another."""
    ring = pi * (f.radius**2 - (f.radius - f.border) ** 2)
    disc = pi * f.radius**2
    box = f.width * f.height
    tail = f.tail * (0.7 * f.radius + f.border)
    # a tail starts at 0.8 r: what sticks out is its end beyond the circle
    half = f.tail / 2
    beyond = f.tail * (1.5 * f.radius + f.border) - (
        half * sqrt(f.radius**2 - half**2) + f.radius**2 * np.arcsin(half / f.radius)
    )
    # corners of a bar, beyond the circle at either end
    corners = 2 * f.radius * f.bar - 2 * (
        f.bar / 2 * sqrt(f.radius**2 - f.bar**2 / 4) + f.radius**2 * np.arcsin(f.bar / 2 / f.radius)
    )
    feature = {
        "CCell": ring,
        "CCellM": 2 * f.radius * f.bar,
        "CCellP": 2 * f.radius * (f.bar + f.pole) - f.bar * f.pole,
        "RCell": box - (f.width - 2 * f.border) * (f.height - 2 * f.border),
        "CCellT": tail,
        "CCellT3": 3 * tail,
        "CCellT8": 8 * tail,
    }
    whole = {"CCell": disc, "CCellM": disc + corners, "RCell": box}
    whole |= {name: disc + number * beyond for name, number in (("CCellT", 1), ("CCellT3", 3), ("CCellT8", 8))}
    return feature[kind], whole.get(kind)


@pytest.mark.parametrize("kind", ["CCell", "CCellM", "CCellP", "RCell", "CCellT", "CCellT3", "CCellT8"])
def test_areas_of_smooth_cells(kind):
    """Sampling at 512 px errs by less than a pixel along the contours: 1.5 % of the feature, 0.5 % of the cell."""
    for index in range(3):
        image = cell((2, index), 512, replace(SMOOTH, stretch=(1, 1)), kind, "black")
        feature, whole = areas(kind, geometry(image))
        assert (image.grades == 2).sum() == pytest.approx(feature, rel=0.015)
        if whole is not None:
            assert (image.grades > 0).sum() == pytest.approx(whole, rel=0.005)


@pytest.mark.parametrize("stretch", [0.5, 1.5])
def test_area_of_an_ellipse(stretch):
    image = cell((3, 0), 512, replace(SMOOTH, stretch=(stretch, stretch)), "CCell", "black")
    f = geometry(image)
    assert (image.grades > 0).sum() == pytest.approx(pi * f.radius**2 * stretch, rel=0.005)
    assert (image.grades == 1).sum() == pytest.approx(pi * (f.radius - f.border) ** 2 * stretch, rel=0.005)


# --- the algorithms, pixel by pixel -----------------------------------------------------------------------------------


def looked_up(grid, x, y):
    """Noise at a point of the upright frame: linear between the four nearest fields."""
    n = len(grid)
    column, row = ((value + 256) / 512 * n - 0.5 for value in (x, y))
    column, row = (min(max(value, 0), n - 1) for value in (column, row))
    left, top = min(floor(column), n - 2), min(floor(row), n - 2)
    a, b = column - left, row - top
    upper = (1 - a) * grid[top][left] + a * grid[top][left + 1]
    lower = (1 - a) * grid[top + 1][left] + a * grid[top + 1][left + 1]
    return (1 - b) * upper + b * lower


def heatmap_by_loops(kind: str, f: Form, size: int, p: CellParameters, border_colour, inner_colour):
    """Algorithms 1 and 2 with make_explanation, one pixel after the other, from colours to 0, 0.4 and 0.9."""
    turn = radians(f.angle)
    heat = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            dx, dy = (j + 0.5) * 512 / size - 256 - f.x, (i + 0.5) * 512 / size - 256 - f.y
            x, y = cos(turn) * dx - sin(turn) * dy, sin(turn) * dx + cos(turn) * dy
            d = hypot(x, y / f.stretch) + looked_up(f.edges[0], x, y)
            u, v = x + looked_up(f.edges[1], x, y), y + looked_up(f.edges[2], x, y)
            if kind in SQUARE:
                far = max(abs(u) - f.width / 2, abs(v) - f.height / 2)
                border, inner = -f.border < far <= 0, far <= -f.border
            else:
                border, inner = f.radius - f.border <= d <= f.radius, d < f.radius - f.border
            colours = {"border": border_colour * border, "inner": inner_colour * inner}
            lit = {part: 1 / 3 * sqrt((colour**2).sum()) >= 0.05 for part, colour in colours.items()}
            mark = False
            if kind in ("CCellM", "CCellP"):
                mark = -f.radius <= u <= f.radius and -f.bar / 2 <= v <= f.bar / 2
            if kind == "CCellP":
                high = f.radius * f.stretch
                mark = mark or (-high <= v <= high and -f.pole / 2 <= u <= f.pole / 2)
            if kind.startswith("CCellT"):
                number = int(kind[6:] or 1)
                for k in range(number):
                    a = radians(360 / number * k)
                    across, along = cos(a) * u - sin(a) * v, sin(a) * u + cos(a) * v
                    start, end = 0.8 * f.radius * f.stretch, 1.5 * f.radius * f.stretch + f.border
                    mark = mark or (abs(across) <= f.tail / 2 and start <= along <= end)
            if kind in ("CCell", *SQUARE):
                heat[i, j] = 0.9 if lit["border"] else 0.4 if lit["inner"] else 0
            else:
                heat[i, j] = 0.9 if mark else 0.4 if lit["border"] or lit["inner"] else 0
    return heat


@pytest.mark.parametrize("kind", CELLS)
def test_truth_equals_the_algorithms_pixel_by_pixel(kind, monkeypatch):
    """But for pixels within rounding of a contour: one in a thousand."""
    taken = []
    monkeypatch.setattr("saltrust.datasets.cells.Frame", lambda f, size: taken.append(f) or Frame(f, size))
    image = cell((5, 1), 56, CellParameters(), kind, "waves")
    colours = np.array([0.7, 0.1, 0.1]), np.array([0.1, 0.1, 0.3])
    expected = heatmap_by_loops(kind, taken[-1], 56, CellParameters(), *colours)
    graded = np.vectorize(GRADES.get)(image.grades)
    assert (graded != expected).sum() <= 3
    assert set(np.unique(graded)) == {0.0, 0.4, 0.9}


@pytest.mark.parametrize("kind", CELLS)
def test_drawing_in_place_equals_rotating_and_shifting_a_picture(kind):
    """The paper draws upright, rotates the picture and shifts it: the same cell, up to pixels on its contours."""
    p = CellParameters(shift=0.1)
    rng = np.random.default_rng(4)
    edges = ndimage.zoom(rng.normal(0, 8, (3, 3, 3)), (1, 4, 4), order=1).astype(np.float32)
    f = Form(40, -30, 35, 95, 1.2, 150, 120, 18, 20, 25, 22, edges)
    upright = layers(CELLS[kind], Frame(replace(f, x=0, y=0, angle=0), 512), p)
    turned = rotate(upright, f.angle, order=0, preserve_range=True)
    moved = ndimage.shift(turned, (f.y, f.x), order=0)
    direct = layers(CELLS[kind], Frame(f, 512), p)
    assert (direct != moved).mean() < 0.004
    for layer in np.unique(direct)[1:]:
        both = ((direct == layer) & (moved == layer)).sum()
        assert both / ((direct == layer) | (moved == layer)).sum() > 0.95


@pytest.mark.parametrize("kind", CELLS)
def test_a_quarter_turn_and_a_shift_by_whole_pixels_are_exact(kind):
    p, size = CellParameters(), 128
    edges = np.random.default_rng(1).normal(0, 9, (3, 9, 9)).astype(np.float32)
    f = Form(0, 0, 20, 97, 0.8, 130, 170, 14, 17, 21, 19, edges)
    drawn = layers(CELLS[kind], Frame(f, size), p)
    turned = layers(CELLS[kind], Frame(replace(f, angle=110), size), p)
    assert (np.rot90(drawn) != turned).sum() <= 2  # sines in single precision
    moved = layers(CELLS[kind], Frame(replace(f, x=-12.0, y=20.0), size), p)
    np.testing.assert_array_equal(moved[5:, :-3], drawn[:-5, 3:])


# --- what is a feature, and what colour it has ------------------------------------------------------------------------


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("kind", CELLS)
def test_background_and_cell_exclude_one_another(kind, background):
    """Outside the truth, the image is the background, pixel for pixel; inside, it has the cell's three colours."""
    for index in range(3):
        image, empty = (cell((6, index), 64, CellParameters(), name, background) for name in (kind, "empty"))
        outside = image.grades == 0
        np.testing.assert_array_equal(image.pixels[outside], empty.pixels[outside])
        assert len(np.unique(image.pixels[~outside], axis=0)) <= 3
        assert not empty.grades.any()


def colours_of(kind, index):
    """Colours of feature and body (one row for each distinct colour) of a cell of that kind, 0 to 1."""
    image = cell((7, index), 96, CellParameters(shift=0.1), kind, "black")
    return [np.unique(image.pixels[image.grades == grade] / 255, axis=0) for grade in (2, 1)]


@pytest.mark.parametrize("kind", CELLS)
def test_colours_lie_in_their_ranges(kind):
    low, high = -0.5 / 255, 0.5 / 255  # rounding to bytes

    def within(colours, limits):
        return all(a + low <= c <= b + high for c, (a, b) in zip(colours, limits, strict=True))

    for index in range(25):
        feature, body = colours_of(kind, index)
        assert len(feature) == 1  # one colour tells the type
        inner = [c for c in body if within(c, [(0.1, 0.3), (0.1, 0.3), (0.3, 0.5)])]
        assert len(inner) == 1
        if kind in SQUARE:
            limits = [(0, 0.2)] * 3
            limits[SQUARE.index(kind)] = (0.6, 0.9)
            assert within(feature[0], limits)
            assert len(body) == 1  # the border of a plain cell is the feature
        elif kind == "CCell":
            assert within(feature[0], [(0.5, 0.9)] * 3)
            assert len(body) == 1
        elif kind in ("CCellM", "CCellP"):
            assert within(feature[0], [(0.5, 0.9)] * 3)
            assert any((c == feature[0]).all() for c in body)  # bar and border have the same colour
        else:
            assert within(feature[0], [(0.375, 0.675)] * 3)
            assert any(np.abs(0.75 * c - feature[0]).max() < 2 / 255 for c in body)  # three quarters of the border's


def test_a_minus_lies_in_a_plus_and_one_tail_in_three():
    p = CellParameters(tail_share=0)
    for index in range(5):
        bar, plus = ((cell((8, index), 96, p, kind).grades == 2) for kind in ("CCellM", "CCellP"))
        assert not (bar & ~plus).any()
        assert (plus & ~bar).any()
        assert not (
            (cell((8, index), 96, p, "CCellT").grades == 2) & (cell((8, index), 96, p, "CCellT3").grades < 2)
        ).any()


def test_a_part_too_dark_to_see_is_not_in_the_truth():
    p = CellParameters(inner_colour=((0, 0.08), (0, 0.08), (0, 0.08)))  # a third of the length is at most 0.047
    assert set(np.unique(cell((9, 0), 64, p, "CCell").grades)) == {0, 2}
    p = CellParameters(border_colour=(0, 0.08))
    assert set(np.unique(cell((9, 0), 64, p, "CCell").grades)) == {0, 1}


# --- backgrounds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [512, 100])
def test_patches_are_a_resized_grid(size):
    p = CellParameters()
    drawn = BACKGROUNDS["patches"](size, p, np.random.default_rng(3))
    grids = np.random.default_rng(3).uniform(0.2, 0.7, (3, 8, 8))
    expected = np.stack([resize(grid, (size, size), order=1, mode="edge") for grid in grids], axis=-1)
    np.testing.assert_allclose(drawn, expected, atol=1e-5)


def test_waves_are_rings_where_nothing_bends_them():
    """Equal at equal distance from the centre, and the sine of it; from 0 to one half."""
    p = CellParameters(wave_noise=0, wave_centre=(0, 0), wave_number=(0.03, 0.03))
    drawn = BACKGROUNDS["waves"](128, p, np.random.default_rng(0))
    np.testing.assert_allclose(drawn, np.rot90(drawn), atol=1e-5)
    for i, j in ((3, 90), (64, 64), (127, 0)):
        distance = hypot((i + 0.5) * 4 - 256, (j + 0.5) * 4 - 256)
        assert drawn[i, j] == pytest.approx([0.25 + 0.25 * sin(0.03 * distance)] * 3, abs=1e-5)


@pytest.mark.parametrize(("background", "low", "high"), [("black", 0, 0), ("patches", 0.2, 0.7), ("waves", 0, 0.5)])
def test_backgrounds_lie_in_their_ranges(background, low, high):
    values = np.stack([cell((4, i), 64, CellParameters(), "empty", background).pixels for i in range(10)]) / 255
    assert values.min() >= low - 0.003
    assert values.max() <= high + 0.003
    assert values.max() - values.min() > 0.8 * (high - low) or background == "black"


# --- the two faults ---------------------------------------------------------------------------------------------------


def test_the_printed_pole_test_leaves_no_pole():
    """With the sign as printed, a plus is a minus."""
    printed = CellParameters(pole_test="published")
    for index in range(5):
        minus, plus = (cell((1, index), 96, printed, kind, "waves") for kind in ("CCellM", "CCellP"))
        np.testing.assert_array_equal(minus.pixels, plus.pixels)
        np.testing.assert_array_equal(minus.grades, plus.grades)
        assert (cell((1, index), 96, CellParameters(), "CCellP").grades == 2).sum() > (plus.grades == 2).sum()


def test_the_background_leaks_into_dark_channels_of_a_cell():
    """As in the code: wherever a channel is below 0.01, whether or not a cell is there."""
    red = CellParameters(other_colour=(0, 0))
    leaking = replace(red, compositing="channel")
    for index in range(3):
        right, wrong, empty = (
            cell((2, index), 64, p, kind, "patches").pixels
            for p, kind in ((red, "RCell"), (leaking, "RCell"), (red, "empty"))
        )
        grades = cell((2, index), 64, red, "RCell", "patches").grades
        border = grades == 2
        assert (right[border][:, 1:] == 0).all()
        np.testing.assert_array_equal(wrong[border][:, 1:], empty[border][:, 1:])
        np.testing.assert_array_equal(wrong[border][:, 0], right[border][:, 0])
        np.testing.assert_array_equal(wrong[~border], right[~border])
        np.testing.assert_array_equal(cell((2, index), 64, leaking, "RCell", "patches").grades, grades)


@pytest.mark.parametrize("kind", ROUND)
def test_nothing_leaks_into_bright_channels(kind):
    right, wrong = (
        cell((2, 5), 64, CellParameters(compositing=name), kind, "waves").pixels for name in ("object", "channel")
    )
    np.testing.assert_array_equal(right, wrong)


# --- about what a rectangle turns -------------------------------------------------------------------------------------


def test_rectangles_turned_about_the_image_are_the_turned_picture():
    """Against scikit-image's rotation of the picture with the cell shifted and upright, as the code has it."""
    smooth = CellParameters(noise=(0, 0), turning="image")
    for index in range(12):
        image = cell((11, index), 256, smooth, "RCellB", "black")
        f, _ = _form((11, index), "RCellB", replace(smooth, turning="cell"))
        upright = layers(CELLS["RCellB"], Frame(replace(f, angle=0.0), 256), smooth)
        turned = rotate(upright.astype(float), f.angle, order=0, preserve_range=True)  # what comes from outside: 0
        expected = np.array([0, 1, 2, 2])[np.rint(turned).astype(int)]  # border: feature
        assert (image.grades != expected).mean() < 0.01
        away = np.hypot(f.x, f.y) - np.hypot(image.attributes["x"], image.attributes["y"])
        assert away == pytest.approx(0, abs=1e-9)


def test_only_rectangles_turn_about_the_image():
    for kind in CELLS:
        own, about_the_image = (cell((12, 1), 64, CellParameters(turning=name), kind, "waves") for name in TURNING)
        assert np.array_equal(own.pixels, about_the_image.pixels) == (kind in ROUND)


def test_protocols_have_the_choices_of_the_generator_that_the_card_names():
    card = data_cards.load("cells")
    found = {name: CellParameters.of(**card.under(name).parameters) for name in ("corrected", "published", "as_run")}
    assert found["corrected"] == CellParameters()
    assert found["published"] == CellParameters(pole_test="published")
    assert found["as_run"] == CellParameters(compositing="channel", turning="image")


# --- one key, one image -----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(KEYS)
def test_same_key_same_image_and_the_global_state_left_alone(key):
    before = np.random.get_state()[1].copy()
    first, again = (cell(key, 32, CellParameters()) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.grades, again.grades)
    assert first.attributes == again.attributes
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@settings(max_examples=15, deadline=None)
@given(KEYS, st.sampled_from([name for name in CELLS if name != "CCellT"]), st.sampled_from(list(BACKGROUNDS)))
def test_type_and_background_leave_the_other_draws_alone(key, kind, background):
    one, other = cell(key, 48, CellParameters(), kind, background), cell(key, 48, CellParameters(), kind, "black")
    np.testing.assert_array_equal(one.grades, other.grades)
    np.testing.assert_array_equal(one.pixels[one.grades > 0], other.pixels[one.grades > 0])
    plain = cell(key, 48, CellParameters(), "CCell", background)
    lengths = set(plain.attributes) - {"type"}
    assert {name: one.attributes[name] for name in lengths} == {name: plain.attributes[name] for name in lengths}


@settings(max_examples=15, deadline=None)
@given(KEYS, st.sampled_from(list(CELLS)), st.sampled_from(list(BACKGROUNDS)))
def test_the_same_cell_at_every_size(key, kind, background):
    small, large = (cell(key, size, CellParameters(), kind, background) for size in (64, 256))
    assert small.attributes == large.attributes
    # pixel centres of the small image lie between four of the large one: equal where those agree
    blocks = large.grades.reshape(64, 4, 64, 4).swapaxes(1, 2).reshape(64, 64, 16)
    flat = (blocks == blocks[..., :1]).all(axis=-1)
    assert (small.grades[flat] == blocks[..., 0][flat]).mean() > 0.999
    assert flat.mean() > 0.75


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 5000), st.integers(2, 5), st.integers(1, 4))
def test_shards_of_any_size_join_to_the_same_split(seed, first, count, cut):
    cut = min(cut, count - 1)
    whole = load(CellParameters(), "val", count, 32, seed, first)
    parts = (
        load(CellParameters(), "val", cut, 32, seed, first),
        load(CellParameters(), "val", count - cut, 32, seed, first + cut),
    )
    for name in ("pixels", "labels", "truth", "ids", "grades"):
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts]))


def test_seeds_and_splits_share_no_image():
    p = CellParameters()
    images = [load(p, split, 6, 32, seed) for split in SPLITS for seed in (0, 1)]
    cells = np.concatenate([s.pixels[s.pixels.any(axis=(1, 2, 3))] for s in images])
    assert len(np.unique(cells.reshape(len(cells), -1), axis=0)) == len(cells) > 25


def test_a_single_tail_is_large_enough():
    """At the paper's size; some cells take more than one attempt."""
    images = [cell((3, index), 512, CellParameters(), "CCellT", "black") for index in range(25)]
    assert min((image.grades == 2).mean() for image in images) >= 0.003
    assert max(image.attributes["attempts"] for image in images) > 1
    unchecked = CellParameters(tail_share=0)
    assert min((cell((3, i), 128, unchecked, "CCellT").grades == 2).mean() for i in range(25)) < 0.003


# --- splits -----------------------------------------------------------------------------------------------------------


def test_a_split_of_a_card():
    split = LOADERS["cells"].load(data_cards.load("cells"), "test", 12, 48, 7, 30)
    assert split.classes == TYPES == data_cards.load("cells").classes
    assert split.classes[split.absent] == "empty" == data_cards.load("cells").absent
    assert split.pixels.shape == (12, 48, 48, 3)
    assert list(split.ids[[0, 11]]) == ["test-00030", "test-00041"]
    for number, label in enumerate(split.labels):
        alone = cell((7, 2, 30 + number), 48, CellParameters())
        assert alone.attributes["type"] == TYPES[label]
        np.testing.assert_array_equal(split.pixels[number], alone.pixels)
        np.testing.assert_array_equal(split.grades[number], alone.grades)
    np.testing.assert_array_equal(split.truth, split.grades > 0)


def test_a_card_is_made_of_whole_shards_and_has_as_many_cells_as_expected():
    card = data_cards.load("cells")
    assert LOADERS["cells"].shard == SHARD == 200
    for count in card.counts.values():
        assert count.images % SHARD == 0
        assert count.positive == 0.9 * count.images


def test_types_and_backgrounds_are_uniform():
    """Chi-square: a fair draw fails one time in a thousand, and the draw is fixed."""
    drawn = [cell((0, 0, i), 32, CellParameters(attempts=1, tail_share=0)).attributes for i in range(400)]
    for name, known in (("type", TYPES), ("background", tuple(BACKGROUNDS))):
        counts = [sum(attributes[name] == value for attributes in drawn) for value in known]
        assert stats.chisquare(counts).pvalue > 1e-3


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius": (110, 90)}, r"radius must be \(low, high\), 0 <= low <= high <= 512, not \(110, 90\)"),
        ({"radius": 100}, "radius must be"),
        ({"border": (-1, 3)}, "border must be"),
        ({"roughness": (0, 4)}, "roughness must be"),
        ({"border_colour": (0.5, 1.5)}, "border_colour must be"),
        ({"inner_colour": ((0, 1), (0, 1))}, "inner_colour must be three ranges"),
        ({"inner_colour": ((0, 1), (0, 1), (1, 0))}, "inner_colour must be"),
        ({"noise": (0, float("nan"))}, "noise must be"),
        ({"tail_start": 2}, "tail_start must lie between 0 and 1.5, not 2"),
        ({"shift": -0.1}, "shift must lie"),
        ({"feature_threshold": 1.2}, "feature_threshold"),
        ({"attempts": 0}, "attempts must be a whole number from 1 to 10000, not 0"),
        ({"patches": 2.5}, "patches must be a whole number"),
        ({"pole_test": "publishd"}, "did you mean 'published'"),
        ({"compositing": "chanel"}, "did you mean 'channel'"),
        ({"turning": "images"}, "did you mean 'image'"),
        ({"radus": (1, 2)}, "did you mean 'radius'"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(SaltrustError, match=message):
        CellParameters.of(**change)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian", 2, 32, 0), "did you mean 'train'"),
        (("train", 0, 32, 0), "count"),
        (("train", 2, 31, 0), "size must lie between 32 and 2048 pixels, not 31"),
        (("train", 2, 32, -1), "seed"),
        (("train", 2, 32, 0, -5), "first"),
    ],
)
def test_bad_requests_are_refused(arguments, message):
    with pytest.raises(SaltrustError, match=message):
        load(CellParameters(), *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), 32), "key"),
        (((0, -1), 32), "key"),
        (((0,), 32, "CCelM"), "unknown cell type 'CCelM'; did you mean 'CCellM'"),
        (((0,), 32, "CCell", "wave"), "unknown background 'wave'; did you mean 'waves'"),
    ],
)
def test_bad_cells_are_refused(arguments, message):
    key, size, *names = arguments
    with pytest.raises(SaltrustError, match=message):
        cell(key, size, CellParameters(), *names)


def test_a_tail_that_no_attempt_can_draw_is_an_error():
    with pytest.raises(SaltrustError, match=r"3 attempts gave no CCellT whose tail covers 90\.00%"):
        cell((0,), 32, CellParameters(tail_share=0.9, attempts=3), "CCellT")


def test_parameters_of_a_card_are_tuples():
    parameters = CellParameters.of(radius=[80, 100], inner_colour=[[0, 0.1], [0, 0.1], [0, 0.2]])
    assert parameters.radius == (80, 100)
    assert parameters.inner_colour == ((0, 0.1), (0, 0.1), (0, 0.2))
