"""Maps beside readers: who is held against whom, and every number against a slow re-derivation."""

import numpy as np
import pandas as pd
import pytest

from saltrust.artefacts.store import Store
from saltrust.core.errors import SaltrustError
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.modes import MODES as KEPT
from saltrust.methods.preparation import prepare
from saltrust.scores.auprc import AUPRC
from saltrust.study.readers import DRAWN, EDGES, MODES, ReaderStudy
from saltrust.study.study import Study

METHODS = ("grad", "gradcam")


@pytest.fixture(scope="module")
def reading(tmp_path_factory, tiny_profile):
    sizes = {"train": 12, "val": 6, "test": 24, "explained": 5, "shares": (0.5,)}
    with tiny_profile(architectures=("inception_v3", "densenet169"), **sizes):
        yield ReaderStudy(Study("phantom-bones", "tiny", store=Store(tmp_path_factory.mktemp("store"))))


@pytest.fixture(scope="module")
def against(reading):
    return reading.maps_against(METHODS)


@pytest.fixture(scope="module")
def of_readers(reading):
    return reading.readers_against()


def overlap(first, second):
    return (first & second).sum() / (first | second).sum() if (first | second).any() else np.nan


def value(frame, **labels):
    chosen = frame[np.logical_and.reduce([frame[name] == label for name, label in labels.items()])]
    (found,) = chosen["value"]
    return found


def test_a_card_that_counts_no_readers_is_refused(tmp_path):
    with pytest.raises(SaltrustError, match="counts no 'readers'"):
        ReaderStudy(Study("phantom-pneumothorax", "smoke", store=Store(tmp_path)))


def test_every_rater_is_held_against_every_reference_in_every_mode(reading, against, of_readers):
    assert set(against["rater"]) == {*METHODS, EDGES, "unet"}
    assert set(against["mode"]) == set(MODES)
    assert set(against["reference"]) == {"consensus", "others", "pairwise", "exact"}
    keys = ["image", "rater", "mode", "reference", "score"]
    for frame in (against, of_readers):
        assert not frame.duplicated(keys).any()
        assert list(frame) == [*keys, "value"]
    assert set(of_readers["rater"]) == set(reading.readers)
    assert set(of_readers["mode"]) == {DRAWN}


@pytest.mark.parametrize("mode", MODES)
def test_scores_of_maps_are_those_of_maps_prepared_step_by_step(reading, against, mode):
    study = reading.study
    raw = study.maps.raw("grad").values
    own = PROTOCOLS["corrected"].localization
    grey = KEPT[mode](prepare(raw, own.channels, own.clip))
    split = study.images.split("test")
    drawn = {name: split.readers.drawn(name) for name in split.readers.names}
    for row, image in enumerate(reading.images):
        masks = [drawn[name][image] for name in reading.readers]
        given = {"image": split.ids[image], "rater": "grad", "mode": mode}
        consensus = split.truth[image]  # what the boxes share, drawn: but for their borders, where two masks meet
        assert overlap(consensus, np.sum(masks, axis=0) >= 2) > 0.8
        expected = AUPRC["average_precision"](grey[row], consensus)
        assert value(against, **given, reference="consensus", score="average_precision") == pytest.approx(expected)
        others = [masks[1] & masks[2], masks[0] & masks[2], masks[0] & masks[1]]
        for reference, held in (("others", others), ("pairwise", masks)):
            expected = np.nanmean([overlap(grey[row] > 0, one) for one in held])
            assert value(against, **given, reference=reference, score="iou") == pytest.approx(expected)


def test_a_reader_is_its_own_reference_in_the_consensus_alone(reading, of_readers):
    masks = reading.drawn
    for row, name in enumerate(reading.ids):
        first, second, third = masks[:, row]
        given = {"image": name, "rater": reading.readers[0], "score": "iou"}
        expected = {
            "consensus": overlap(first, reading.references["consensus"][row]),
            "others": overlap(first, second & third),
            "pairwise": np.nanmean([overlap(first, second), overlap(first, third)]),
            "exact": overlap(first, reading.exact[row]),
        }
        for reference, wanted in expected.items():
            assert value(of_readers, **given, reference=reference) == pytest.approx(wanted, nan_ok=True), reference


def test_two_networks_are_compared_in_the_marks_that_are_left(reading):
    frame = reading.between(METHODS)
    assert set(frame["reference"]) == {"repeatability", "reproducibility"}
    maps, own = reading.study.maps, PROTOCOLS["corrected"].similarity
    for criterion, other in reading.study.criteria.partners.items():
        pair = [
            KEPT["boxes"](prepare(maps.raw("grad", model).values, own.channels, own.clip)) > 0
            for model in (None, other)
        ]
        for row, name in enumerate(reading.ids):
            given = {"image": name, "rater": "grad", "mode": "boxes", "reference": criterion}
            both, either = (pair[0][row] & pair[1][row]).sum(), (pair[0][row] | pair[1][row]).sum()
            assert value(frame, **given, score="iou") == pytest.approx(both / either if either else 0.0)
            assert value(frame, **given, score="pixel_error") == pytest.approx((either - both) / 80**2)


def test_the_cascade_ends_where_all_weights_are_random_in_seventeen_stages(reading):
    frame = reading.cascade(["gradcam"], "iou")
    assert frame["stage"].nunique() == 17
    assert frame["stage"].iloc[-1] == "Conv2d_1a_3x3"
    assert frame["image"].nunique() == len(reading.study.images.cascaded)
    assert frame["iou"].between(0, 1).all()
    assert 0 <= reading.thresholds(["gradcam"])["gradcam"] <= 1


def test_a_cascade_asks_for_all_methods_of_a_stage_before_the_next(reading, monkeypatch):
    """The weights of a stage are slow to draw, and kept until another one is asked for."""
    asked = []

    def scored(sets):
        asked.extend((labels["stage"], labels["method"]) for labels, _ in sets)
        return pd.DataFrame([{"image": "a", **labels, "value": 0.5} for labels, _ in sets])

    monkeypatch.setattr(reading, "_scored", scored)
    frame = reading.cascade(["xrai", "grad"])
    stages = list(reading.study.networks.stages)
    assert asked == [(stage, method) for stage in stages for method in ("xrai", "grad")]
    assert frame["method"].tolist() == ["xrai"] * len(stages) + ["grad"] * len(stages)
    assert frame["stage"].tolist() == 2 * stages


def test_alignments_leave_the_reader_out_on_both_sides(reading):
    maps = reading.raters(METHODS)["grad"]
    own, readers = reading.alignments("grad", maps, "iou")
    kept = reading.kept("grad", maps, "boxes") > 0
    for j, (a, b) in enumerate(((1, 2), (0, 2), (0, 1))):
        others = reading.drawn[a] & reading.drawn[b]
        for row in range(len(reading.ids)):
            assert own[j, row] == pytest.approx(overlap(kept[row], others[row]), nan_ok=True)
            assert readers[j, row] == pytest.approx(overlap(reading.drawn[j, row], others[row]), nan_ok=True)


def test_subgroups_are_the_findings_and_thirds_by_size(reading):
    findings, sizes = reading.subgroups["finding"], reading.subgroups["size"]
    split, area = reading.study.images.split("test"), reading.references["consensus"].mean(axis=(1, 2))
    for row, image in enumerate(reading.images):
        assert split.findings.truth(findings[row])[image].any()
    assert area[sizes == "smallest third"].max() <= area[sizes == "largest third"].min()
    assert pd.Series(sizes).value_counts().max() <= 2


def test_boxes_are_opened_but_those_of_edges(reading):
    maps = reading.raters(["gradcam"])
    for rater, mode in ((EDGES, "unopened_boxes"), ("gradcam", "boxes")):
        raw = reading.kept(rater, maps[rater], "raw")
        np.testing.assert_array_equal(reading.kept(rater, maps[rater], "boxes"), KEPT[mode](raw))


def test_a_share_of_the_training_keeps_the_test_images(reading):
    smaller = ReaderStudy(reading.study.with_training(0.5))
    assert smaller.study.images.artefact("train").count == 8  # two batches at least
    assert reading.study.images.artefact("train").count == 12
    assert smaller.images == reading.images
    np.testing.assert_array_equal(smaller.drawn, reading.drawn)
    networks = [one.study.networks.artefact(one.study.networks.main) for one in (reading, smaller)]
    assert networks[0].digest != networks[1].digest
    assert networks[0].test == networks[1].test


def test_only_films_that_the_network_gets_right_count_where_the_protocol_says_so(reading):
    published = ReaderStudy(reading.study.with_protocol(PROTOCOLS["published"]))
    scores = np.array(reading.study.networks.trained().record["test_scores"])[list(reading.images)]
    np.testing.assert_array_equal(published.judged, scores > 0 if (scores > 0).any() else np.ones(5, bool))
    assert reading.judged.all()
