"""What is measured on maps of the cells, against loops and maps whose answer is known; and claims of "not always"."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from saltrust.analysis.claims import cells
from saltrust.analysis.claims.cells import channel_signs, edge_preference, lattice_peak, layer_edges
from saltrust.analysis.claims.checks import CHECKS
from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.datasets.cells import CellParameters, cell
from saltrust.study.five_band import TJOA_EIGHT

CELL = cell((0, 2), 64, CellParameters(), "RCell", "waves")


def test_edges_are_where_a_pixel_of_the_cell_has_a_neighbour_of_another_colour():
    """Pixel by pixel: its four neighbours; outside the cell, only next to it."""
    image, inside = CELL.pixels.astype(int), CELL.grades > 0
    expected = np.zeros(inside.shape, bool)
    for i in range(64):
        for j in range(64):
            for k, m in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                if 0 <= k < 64 and 0 <= m < 64:
                    both = inside[i, j] and inside[k, m]
                    expected[i, j] |= inside[i, j] != inside[k, m] or (both and (image[i, j] != image[k, m]).any())
    np.testing.assert_array_equal(layer_edges(CELL.pixels, CELL.grades), expected)
    wider = layer_edges(CELL.pixels, CELL.grades, width=2)
    assert (wider & expected).sum() == expected.sum() < wider.sum()


def test_a_map_of_edges_prefers_them_and_one_of_the_rest_does_not():
    near, inside = layer_edges(CELL.pixels, CELL.grades), CELL.grades > 0
    share = near.sum() / (near | inside).sum()
    assert edge_preference(near * -2.0, near, inside) == pytest.approx(1 - share)
    assert edge_preference(1.0 * (inside & ~near), near, inside) == pytest.approx(-share)
    assert edge_preference(np.ones(near.shape), near, inside) == pytest.approx(0)
    assert np.isnan(edge_preference(np.zeros(near.shape), near, inside))


@pytest.mark.parametrize("blur", [0, 1, 3])
def test_noise_of_any_smoothness_has_no_lattice(blur):
    rng = np.random.default_rng(blur)
    peaks = [lattice_peak(gaussian_filter(rng.normal(size=(64, 64)), blur)) for _ in range(100)]
    assert np.mean(np.array(peaks) > 1) <= 0.05
    assert np.mean(peaks) < 0.8


@pytest.mark.parametrize("step", [4, 8])
def test_spots_at_equal_distances_are_a_lattice_also_in_noise(step):
    rng = np.random.default_rng(0)
    spots = np.zeros((64, 64))
    spots[1::step, 2::step] = 1
    assert lattice_peak(gaussian_filter(spots, 0.7) + rng.normal(scale=0.02, size=spots.shape)) > 1.5
    assert np.isnan(lattice_peak(np.ones((64, 64))))


def test_signs_are_sums_over_magnitudes_on_the_cell():
    inside = np.array([[True, True, False]])
    values = np.array([[[1.0, 1.0, 9.0]], [[-3.0, 1.0, 9.0]], [[0.0, 0.0, 9.0]]])
    red, green, blue = channel_signs(values, inside)
    assert (red, green) == (1.0, -0.5)
    assert np.isnan(blue)
    assert channel_signs(values[1:2], inside) == [-0.5] * 3


@pytest.fixture
def evidence():
    """Maps that are made up, on cells that are drawn: Saliency marks edges, the others the rest; spots where there is
    no cell; DeepLiftShap is DeepLift on one network, and its opposite on the other."""
    kinds = ["CCell", "RCell", "RCell", "empty"]
    drawn = [cell((1, n), 64, CellParameters(), kind, "black") for n, kind in enumerate(kinds)]
    test = SimpleNamespace(
        pixels=np.stack([one.pixels for one in drawn]),
        grades=np.stack([one.grades for one in drawn]),
        ids=np.array(list("abcd")),
        present=np.array([True, True, True, False]),
        classes=("CCell", "RCell", "empty"),
        labels=np.array([0, 1, 1, 2]),
    )
    near = np.stack([layer_edges(one.pixels, one.grades) for one in drawn])
    spots = np.zeros((64, 64))
    spots[::4, ::4] = 1

    def adjusted(name, network, branch, images):
        shown = near if name == "saliency" else (test.grades > 0) & ~near
        sign = -1.0 if (name, network) == ("deeplift_shap", "vgg16") else 1.0
        return np.stack([spots if kinds[i] == "empty" else sign * shown[i] for i in images])

    found = Evidence(SimpleNamespace(seed=0))
    found.graded = SimpleNamespace(
        networks=("alexnet", "vgg16"),
        judged=(0, 1, 2, 3),
        study=SimpleNamespace(
            images=SimpleNamespace(split=lambda name: test), networks=SimpleNamespace(branches=lambda network: (1, 2))
        ),
        test=lambda network: test,
        of_class=lambda name, count: tuple(i for i, kind in enumerate(kinds) if kind == name)[:count],
        adjusted=adjusted,
        raw=lambda name, network, branch, images: (
            np.array([3.0, -1.0, -2.0])[None, :, None, None] * np.ones((len(images), 3, 64, 64))
        ),
    )
    return found


def test_tables_have_a_row_for_each_image_and_say_what_the_maps_show(evidence):
    edges = evidence.table("edges")
    assert list(edges.index) == ["a", "b", "c"]
    assert set(edges) == {f"{n}/{m}" for n in ("alexnet", "vgg16") for m in TJOA_EIGHT}
    assert (edges["vgg16/saliency"] > 0).all()
    assert (edges.drop(columns=["vgg16/saliency", "alexnet/saliency"]) < 0).all(axis=None)
    alike = evidence.table("deeplift_alike")
    assert alike.loc[["a", "b"], "alexnet"].tolist() == pytest.approx([1, 1])
    assert alike.loc[["a", "b"], "vgg16"].tolist() == pytest.approx([-1, -1])
    lattice = evidence.table("lattice")
    assert list(lattice.index) == ["d"]
    assert (lattice > 1).all(axis=None)
    channels = evidence.table("red_channels")
    assert list(channels.index) == ["b", "c"]
    assert channels.loc["b"].tolist() == [1, -1, -1] * 2


def test_what_is_needed_is_what_the_tables_ask_for(evidence):
    asked, listed = set(), set()
    made_up = evidence.graded.adjusted

    def adjusted(name, network, branch, images):
        asked.add((name, network, branch, tuple(images)))
        return made_up(name, network, branch, images)

    def raw(name, network, branch, images):
        asked.add((name, network, branch, tuple(images)))
        return np.ones((len(images), 3, 64, 64))

    def artefacts(names, networks=(), branches=(1, 2), images=None):
        return {(m, n, b, images) for m in names for n in evidence.graded.networks for b in branches}

    evidence.graded.adjusted, evidence.graded.raw, evidence.graded.artefacts = adjusted, raw, artefacts
    for name in ("edges", "deeplift_alike", "lattice", "red_channels"):
        evidence.table(name)
    listed = set(cells.maps_of(evidence.graded))
    assert asked == listed
    assert {"edges", "deeplift_alike", "lattice", "red_channels"} <= set(TABLES)


@pytest.mark.parametrize(("vgg16", "found"), [(64, {"alexnet", "vgg16"}), (128, set())])
def test_networks_of_unequal_images_are_not_compared_where_the_paper_s_are_equal(vgg16, found):
    sizes = {"alexnet": 128, "vgg16": vgg16, "resnet34": 136}
    profile = SimpleNamespace(branching=SimpleNamespace(sizes=sizes))
    of = SimpleNamespace(
        study=SimpleNamespace(card=SimpleNamespace(truth="graded"), profile=profile),
        graded=SimpleNamespace(networks=tuple(sizes)),
    )
    reasons = cells.unlike_the_paper(of, "blank")
    assert set(reasons) == found
    assert set(reasons.values()) <= {"AlexNet at 128 and VGG16 at 64 pixels, equal in the paper"}
    assert not cells.unlike_the_paper(of, "recall")


@pytest.mark.parametrize(("weights", "why"), [("alexnet", "32 steps from the trained AlexNet"), ("random", None)])
def test_networks_that_go_on_from_alexnet_are_no_test_of_depth(weights, why):
    of = SimpleNamespace(
        study=SimpleNamespace(card=SimpleNamespace(truth="graded")),
        graded=SimpleNamespace(
            deepened=("alexnet+1",), base=lambda n: SimpleNamespace(record={"weights": weights, "steps": 32})
        ),
        table={"depth": pd.DataFrame({"recall": [0.1], "precision": [0.2]})}.__getitem__,
    )
    assert cells.unlike_the_paper(of, "depth") == ({"recall": why, "precision": why} if why else {})
    of.study.card.truth = "mask"
    assert cells.unlike_the_paper(of, "depth") == {}


@pytest.mark.parametrize(
    ("means", "agrees", "ours"),
    [
        ({"alexnet/recall": -0.3, "vgg16/recall": 0.3}, "yes", "1 of 2 clearly below: recall on AlexNet"),
        ({"alexnet/recall": 0.2, "vgg16/recall": 0.3}, "no", "0 of 2 clearly below"),
        ({"alexnet/recall": 0.0, "vgg16/recall": 0.3}, "unclear", "0 of 2 clearly below"),
    ],
)
def test_some_below_needs_one_column(means, agrees, ours):
    noise = np.random.default_rng(0).normal(scale=0.1, size=(40, 2))
    table = pd.DataFrame(noise - noise.mean(axis=0) + list(means.values()), columns=list(means))
    of = SimpleNamespace(table={"clamping_change": table}.__getitem__, n_boot=200, seed=0)
    of.limits, of.clusters = (lambda table: {}), (lambda images: None)
    outcome = CHECKS["some_below"](of, "clamping_change")
    assert (outcome.agrees, outcome.ours, outcome.limit) == (agrees, ours, "")
    of.limits = lambda table: {"vgg16/recall": ("a reason",)}
    limited = CHECKS["some_below"](of, "clamping_change")
    assert limited.agrees == {"yes": "yes", "unclear": "unclear", "no": "too small to tell"}[agrees]
    assert "a reason" in limited.limit
