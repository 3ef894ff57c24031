"""The study of tiny images: networks of two kinds, their coalitions, and maps of two outputs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from saltrust.artefacts.coalitions import CoalitionOutputs, Games
from saltrust.artefacts.store import Store
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES, Training
from saltrust.methods.perturbation import shapley_coalitions, shapley_values
from saltrust.models.classifiers import to_input
from saltrust.stats.shapley import exact, last_in
from saltrust.study.shapley import BASELINE, KINDS, VARIANTS, WINDOWS, ShapleyStudy, by_block
from saltrust.study.study import Study


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_profile):
    sizes = replace(
        PROFILES["smoke"].contrast,
        train=60,
        weak=20,
        training=Training(epochs=1, patience=1, steps=6, batch_size=20),
        explained=3,
        contrasted=3,
        samples=(15, 40),
        repeats=2,
    )
    with tiny_profile(contrast=sizes):
        yield ShapleyStudy(Study("digits", "tiny", store=Store(tmp_path_factory.mktemp("store"))))


def test_networks_of_one_number_begin_alike_and_differ_in_what_they_learn_from(study):
    table = study.networks()
    assert table["network"].tolist() == ["strong-1", "strong-2", "weak-1", "weak-2"]
    assert table["images"].tolist() == [60, 60, 20, 20]
    plans = {network: study.network(*network).plan for network in study.members()}
    assert plans["strong", 0] == plans["weak", 0] != plans["strong", 1]
    with pytest.raises(SaltrustError, match="unknown kind of network 'string'; did you mean 'strong'"):
        study.network("string")


def test_images_are_as_they_come_and_those_of_the_first_class_are_found(study):
    assert study.test.pixels.shape == (400, 8, 8)
    assert (study.test.labels[list(study.contrasted)] == 8).all()
    assert study.contrast == (8, 3)


def test_shares_are_those_of_the_table_and_add_up(study):
    games, network = study.games(), study._loaded("strong")
    for i, position in enumerate(study.explained):
        pixels = study.test.pixels[[position]]
        with torch.no_grad():
            ends = [network(to_input(one, (0.0, 1.0)))[0].numpy() for one in (pixels, np.zeros_like(pixels))]
        for output in (0, 8):
            shares = games.shares(output)[i]
            np.testing.assert_allclose(shares, exact(games.worth(i, output)), atol=1e-9)
            assert shares.sum() == pytest.approx(ends[0][output] - ends[1][output], abs=1e-5)
        assert games.predicted[i] == ends[0].argmax()
        blank = ~(pixels[0] > 0).reshape(4, 2, 4, 2).any((1, 3)).ravel()
        assert (games.shares(0)[i][blank] == 0).all()
        assert games.passes[i] == 2 ** (~blank).sum()


def test_an_output_of_its_own_can_be_asked_of_each_image(study):
    games, outputs = study.games(), np.array([1, 5, 7])
    np.testing.assert_array_equal(games.shares(outputs), [games.shares(k)[i] for i, k in enumerate(outputs)])


def test_samples_are_what_kernel_shap_would_draw(study):
    games, sampled = study.games(), study.sampled()
    assert sampled.shape == (3, 2, 2, 16)
    worth = games.worth(1, int(games.predicted[1])).astype(float)
    rng = np.random.default_rng([0, study.explained[1], 40, 1])
    rows, weights = shapley_coalitions(16, 40, rng)
    gains = [worth[int(sum(2**i for i in np.flatnonzero(row)))] - worth[0] for row in rows]
    found = shapley_values(rows, weights, np.array(gains), worth[-1] - worth[0])
    np.testing.assert_allclose(sampled[1, 1, 1], found, atol=1e-9)
    np.testing.assert_allclose(sampled.sum(-1)[1], worth[-1] - worth[0], atol=1e-9)


def test_occlusion_of_blocks_is_who_comes_last(study):
    games = study.games()
    tables = [last_in(games.worth(i, int(k))) for i, k in enumerate(games.predicted)]
    np.testing.assert_allclose(study.occluded("blocks"), tables, atol=1e-4)
    assert study.occluded("pixels").shape == (3, 16)


def test_the_difference_of_shares_is_spread_over_the_pixels_of_a_block(study):
    games = study.games(contrasted=True)
    found = study.share_difference()
    np.testing.assert_allclose(by_block(found, study.labels), games.shares(8) - games.shares(3), atol=1e-9)
    assert (found[:, 0, 0] == found[:, 1, 1]).all()
    assert not np.allclose(found, study.share_difference("weak"))


def test_maps_of_both_outputs_are_subtracted(study):
    """Of a linear scalar, the map of a difference: the gradient of logit 8 minus logit 3."""
    pixels = study.test.pixels[list(study.contrasted)]
    images = to_input(pixels, (0.0, 1.0)).requires_grad_()
    outputs = study._loaded("strong")(images)
    gradient = torch.autograd.grad((outputs[:, 8] - outputs[:, 3]).sum(), images)[0].sum(1)
    np.testing.assert_allclose(study.difference("grad"), gradient, atol=1e-4)


def test_hidden_pixels_become_background_unless_a_variant_says_otherwise(study):
    assert study.map_artefact("ig", 8).parameters["baseline"] == BASELINE
    assert study.map_artefact("ig, grey", 8).parameters["baseline"] == "grey"
    assert study.map_artefact("kernel_shap, super-pixels", 3).parameters["segments"] == 16
    assert study.map_artefact("occlusion, blocks", 3).parameters["window"] == 1 / 4


def test_greedy_pixels_lower_the_log_odds_step_by_step(study):
    pixels = study.test.pixels[list(study.contrasted)]
    one, three = study.greedy(1), study.greedy(3)
    assert (one <= three).all()
    assert (three.sum((1, 2)) <= 3).all()
    before, after = (study.log_odds(np.where(mask, 0, pixels).astype(np.uint8)) for mask in (one & False, one))
    each = np.array([study.log_odds(np.where(np.arange(64).reshape(8, 8) == k, 0, pixels).astype(np.uint8))
                     for k in range(64)])  # fmt: skip
    np.testing.assert_allclose(after, np.minimum(each.min(0), before), atol=1e-5)


def test_everything_that_is_slow_is_named_ahead(study):
    names = ["grad"]
    named = [one.path for one in study.artefacts(names)]
    assert len(set(named)) == len(named)
    wanted = [study.sampled_artefact(), study.games_artefact(contrasted=True)]
    wanted += [study.games_artefact(kind, 1) for kind in KINDS]
    wanted += [study.occlusion_artefact(windows) for windows in WINDOWS]
    wanted += [study.map_artefact(method, output) for method in (*names, *VARIANTS) for output in (8, 3)]
    assert {one.path for one in wanted} <= set(named)


def test_games_are_stored_as_they_were(study, tmp_path):
    artefact: CoalitionOutputs = study.games_artefact()
    value: Games = study.games()
    artefact.write(value, tmp_path)
    found = artefact.read(tmp_path)
    assert found.parts == value.parts
    for name in ("players", "outputs"):
        for one, other in zip(getattr(found, name), getattr(value, name), strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.seconds, value.seconds)


def test_a_data_set_without_a_contrast_is_refused(tmp_path):
    with pytest.raises(SaltrustError, match="'phantom-pneumonia' names no 'contrast'"):
        ShapleyStudy(Study("phantom-pneumonia", "smoke", store=Store(tmp_path)))
