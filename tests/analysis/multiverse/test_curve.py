"""The curve holds each verdict once, agrees with the study's own, and its choices are told apart as R would."""

import copy
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from saltrust.analysis.multiverse.curve import grid, named, specification_curve, specifications
from saltrust.analysis.multiverse.effects import INTERACTIONS, effects, flip_rates, main_effects, verdict_shares
from saltrust.analysis.multiverse.factors import FACTORS
from saltrust.artefacts.scores import LocalizationScores, ScoreBatch
from saltrust.artefacts.store import Store
from saltrust.core.errors import SaltrustError
from saltrust.core.outcomes import OUTCOMES
from saltrust.core.protocols import PROTOCOLS
from saltrust.study.criteria import CRITERIA
from saltrust.study.study import Study

METHODS = "grad"
N_BOOT = 50


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_profile):
    """A study in which every network trains for one step."""
    with tiny_profile(train=16, val=12, test=24, explained=3, cascaded=2):
        yield Study("phantom-pneumothorax", "tiny", store=Store(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def curve(study):
    return specification_curve(study, METHODS, N_BOOT)


@pytest.mark.parametrize("protocol", ["corrected", "as_run"])
def test_a_named_protocol_has_the_verdicts_of_its_study(study, curve, protocol):
    own = Study("phantom-pneumothorax", "tiny", protocol, store=study.store).verdicts(METHODS, N_BOOT)
    own = own[own["baseline"] != "localizer"].set_index(["method", "criterion", "baseline"])
    marked = curve[curve["protocol"].str.split(", ").map(lambda names: protocol in names)]
    marked = marked.set_index(["method", "criterion", "baseline"])
    assert set(marked.index) == set(own.index)
    assert len(marked) == len(own)
    own = own.loc[marked.index]
    numbers = ["value", "reference", "difference", "ci_low", "ci_high"]
    # Grad-CAM's layer, which the plain gradient does not use, is left unfolded: the last bits differ.
    np.testing.assert_allclose(marked[numbers].astype(float), own[numbers].astype(float), atol=2e-4)
    assert (marked["verdict"] == own["verdict"]).all()
    assert (marked["against"] == own["against"]).all()
    # All three pairs of three images are drawn; as_run alone draws them in an order of each method's own.
    assert (marked["in_grid"] | (marked.index.get_level_values("criterion") == "randomization")).all()


def test_every_combination_is_there_once(study, curve):
    for (criterion, method), own in curve.groupby(["criterion", "method"]):
        values = grid(study, method, criterion)
        crossed = own[own["in_grid"]]
        assert len(crossed) == np.prod([len(v) for v in values.values()])
        labels = {name: [FACTORS[name].label(value) for value in found] for name, found in values.items()}
        assert set(crossed[list(values)].itertuples(index=False, name=None)) == set(product(*labels.values()))
        assert crossed[[name for name in FACTORS if name not in values]].eq("").all(axis=None)
        assert own["specification"].tolist() == list(range(1, len(own) + 1))


@pytest.mark.parametrize("criterion", list(CRITERIA))
@pytest.mark.parametrize("method", ["grad", "smoothgrad", "ig", "smooth_ig", "gradcam", "xrai", "guided_gradcam"])
def test_no_specification_is_another_under_a_second_name(study, method, criterion):
    found = specifications(study, method, criterion)
    keys = {spec.key for spec in found}
    assert len(keys) == len(found)
    corrected = named(study, method, criterion)["corrected"]
    alone = [replace(corrected.compared, low=(low,)) for low in corrected.compared.low]  # whichever is the stricter
    assert {replace(corrected, compared=one).key for one in alone} <= keys


def test_an_unsigned_map_is_named_by_what_is_done_to_it(study):
    maps = study.maps.artefact("gradcam")
    for name, protocol in PROTOCOLS.items():
        (own,) = named(study, "gradcam", "utility")[name].compared.values
        own = replace(own, maps=maps)
        expected = LocalizationScores(maps, protocol.localization, protocol.auprc)
        np.testing.assert_array_equal(own.compute(study.store.get), expected.compute(study.store.get))


def test_a_protocol_outside_the_grid_has_its_own_row(study):
    for criterion in CRITERIA:
        keys = {spec.key for spec in specifications(study, "smoothgrad", criterion)}
        own = named(study, "smoothgrad", criterion)
        settled = {
            name: spec.settled(study.store.get, CRITERIA[criterion].larger_is_better) for name, spec in own.items()
        }
        assert {name: spec.key in keys for name, spec in settled.items()} == {
            "corrected": True,
            "published": True,
            "as_run": False,  # its noise is a share of the image's own range
        }


def test_choices_are_varied_only_where_they_bear(study):
    def varied(method, criterion):
        return set(grid(study, method, criterion))

    assert varied("grad", "utility") == {"scalar", "channels", "clip", "auprc", "average_of", "rule"}
    assert "channels" not in varied("gradcam", "utility")
    assert "batchnorm" in varied("grad", "randomization")
    assert "pairs" not in varied("grad", "randomization")  # three images have three pairs, and all are drawn
    fewer = study.with_protocol(replace(study.protocol, threshold_pairs=2))
    assert "pairs" in grid(fewer, "grad", "randomization")
    assert grid(study, "grad", "repeatability")["low_baseline"] == (("surrogates",), ("different images",), 0.5)
    assert "cascade_end" in varied("grad", "randomization")
    assert "cascade_end" not in varied("grad", "repeatability")
    assert "power" in varied("smoothgrad", "utility")
    assert "probability" in grid(study, "smoothgrad", "utility")["scalar"]
    assert "probability" not in grid(study, "grad", "utility")["scalar"]  # it only rescales the map


def test_steps_fit_the_profile(study):
    assert "steps" not in grid(study, "ig", "utility")  # two steps are the least and the most here
    for cap, expected in ((5, (5, 2)), (100, (25, 10)), (20, (20, 10))):
        sized = copy.copy(study)
        sized.profile = replace(study.profile, steps=cap)
        assert grid(sized, "ig", "utility")["steps"] == expected
    sized.profile = replace(study.profile, steps=100)
    assert grid(sized, "xrai", "utility")["steps"] == (25, 100)


def test_scores_computed_together_are_those_computed_alone(study, curve):
    parts = {
        part.digest: part
        for criterion in CRITERIA
        for spec in specifications(study, "grad", criterion)[::7]
        for part in spec.scores
    }
    together = study.store.get(ScoreBatch(tuple(parts.values())))
    kinds = set()
    for part, scores in zip(parts.values(), together, strict=True):
        np.testing.assert_array_equal(scores, part.compute(study.store.get))
        kinds.add(part.kind)
    assert kinds == {"localization_scores", "similarity_scores", "surrogate_scores"}


def test_shares_are_of_the_crossed_specifications(curve):
    shares = verdict_shares(curve)
    own = curve.query("method == 'grad' and criterion == 'repeatability' and in_grid")
    for outcome in OUTCOMES:
        assert list(shares[outcome].columns) == list(CRITERIA)
        assert shares[outcome].loc["grad", "repeatability"] == (own["verdict"] == outcome).sum() / len(own)


def made(shape, differences, verdicts):
    """A curve of one method with the first few choices crossed. verdicts: places in OUTCOMES, or whether it passes."""
    names = list(FACTORS)[: len(shape)]
    rows = [dict(zip(names, map(str, levels), strict=True)) for levels in np.ndindex(*shape)]
    frame = pd.DataFrame(rows).reindex(columns=list(FACTORS), fill_value="")
    verdicts = np.ravel(verdicts)
    verdict = np.where(verdicts, "PASS", "FAIL") if verdicts.dtype == bool else np.array(OUTCOMES)[verdicts]
    return names, frame.assign(
        method="m", criterion="c", in_grid=True, difference=np.ravel(differences), verdict=verdict
    )


def test_variance_is_split_as_by_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    shape = (3, 2, 2, 2)
    effect = np.arange(3)[:, None, None, None] + np.array([0, 2.0])[:, None] * np.array([1.0, -1])
    names, curve = made(shape, effect + rng.normal(size=shape), rng.integers(3, size=shape))
    found = effects(curve.sample(frac=1, random_state=0)).set_index("choice")
    curve["rank"] = curve["verdict"].map({"FAIL": 0.0, "UNDECIDED": 0.5, "PASS": 1.0})
    for column, response in (("variance_difference", "difference"), ("variance_verdict", "rank")):
        values = curve[response]
        means = [values.groupby(curve[name]).transform("mean") for name in names]
        expected = (
            np.array([((mean - values.mean()) ** 2).sum() for mean in means]) / ((values - values.mean()) ** 2).sum()
        )
        np.testing.assert_allclose(found.loc[names, column], expected, rtol=1e-9)
        assert found.loc[INTERACTIONS, column] == pytest.approx(1 - expected.sum())


@pytest.mark.parametrize("values", [[0.0, 1.0], [[0.0, 0.0], [1.0, 1.0]], [[1e-20, 0.0], [0.0, 0.0]], [3.0, 3.0]])
def test_designs_without_residuals_and_values_that_do_not_vary_are_no_error(values):
    shares = main_effects(np.array(values))
    assert len(shares) == np.ndim(values)
    assert np.isnan(shares).all() if np.ptp(values) < 1e-12 else shares.sum() == pytest.approx(1)


@given(arrays.arrays(int, st.tuples(*[st.integers(2, 3)] * 3), elements=st.integers(0, 2)))
@settings(max_examples=20, deadline=None)
def test_flips_are_counted_over_pairs_that_differ_in_one_choice(places):
    names, curve = made(places.shape, places, places)
    found = effects(curve).set_index("choice")
    for axis, name in enumerate(names):
        pairs = [
            (a, b)
            for a, b in combinations(np.ndindex(*places.shape), 2)
            if [x != y for x, y in zip(a, b, strict=True)] == [i == axis for i in range(places.ndim)]
        ]
        assert found.loc[name, "pairs"] == len(pairs)
        assert found.loc[name, "flips"] == sum(places[a] != places[b] for a, b in pairs)
        assert found.loc[name, "reversals"] == sum(
            {OUTCOMES[places[at]] for at in ab} == {"PASS", "FAIL"} for ab in pairs
        )
    if len(np.unique(places)) > 1:
        shares = main_effects(places.astype(float))
        assert (shares >= 0).all()
        assert shares.sum() <= 1 + 1e-9
        assert found["variance_verdict"].sum() == pytest.approx(1)
    else:
        assert found["variance_verdict"].isna().all()


def test_flip_rates_are_pooled():
    _, first = made((2, 2), np.zeros(4), np.array([0, 1, 1, 1], bool))
    _, second = made((2, 2), np.zeros(4), np.array([0, 0, 1, 1], bool))
    found = effects(pd.concat([first, second.assign(method="n")]))
    rates = flip_rates(found)
    assert rates["c", "scalar"] == 3 / 4
    assert rates["c", "power"] == 1 / 4
    assert flip_rates(found, ("method",))["n", "scalar"] == 1


def test_a_grid_with_a_hole_is_refused():
    _, curve = made((2, 2), np.zeros(4), np.zeros(4, bool))
    with pytest.raises(SaltrustError, match="c of m: .* not all combinations"):
        effects(curve.iloc[1:])
