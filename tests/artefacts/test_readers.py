"""What maps are held against where several readers drew, and every score of it, against slow re-derivations."""

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve

from saltrust.artefacts.readers import AREAS, CONSENSUS, EXACT, OTHERS, READER, SCORES, references, scored
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Findings, Readers, Split, packed

SIZE = 12


def split_of(drawn, read=None, truth=None, findings=None):
    """A split of images that three readers read; drawn: (readers, n, h, w)."""
    readers, n = drawn.shape[:2]
    read = np.ones((readers, n), bool) if read is None else read
    bits = np.concatenate([packed(drawn[k][read[k]]) for k in range(readers)])
    names = tuple(f"rad{k + 1}" for k in range(readers))
    return Split(
        pixels=np.zeros((n, SIZE, SIZE), np.uint8),
        labels=np.ones(n, np.int64),
        truth=drawn.sum(axis=0) >= 2 if truth is None else truth,
        boxes=np.zeros((0, 5), np.float32),
        ids=np.array([f"film {i}" for i in range(n)]),
        findings=findings,
        readers=Readers(names, read, bits, SIZE),
    )


@pytest.fixture
def drawn():
    return np.random.default_rng(0).random((3, 5, SIZE, SIZE)) < 0.3


def test_references_are_the_consensus_the_others_and_each_reader(drawn):
    images = (3, 0)
    found = references(split_of(drawn), images)
    assert list(found) == [
        CONSENSUS,
        *(OTHERS + f"rad{k}" for k in (1, 2, 3)),
        *(READER + f"rad{k}" for k in (1, 2, 3)),
    ]
    for row, image in enumerate(images):
        votes = drawn[:, image].sum(axis=0)
        np.testing.assert_array_equal(found[CONSENSUS][row], votes >= 2)
        np.testing.assert_array_equal(found[OTHERS + "rad2"][row], drawn[0, image] & drawn[2, image])
        np.testing.assert_array_equal(found[READER + "rad3"][row], drawn[2, image])


def test_the_exact_truth_stands_beside_where_readers_did_not_draw_it(drawn):
    exact = np.random.default_rng(1).random((5, SIZE, SIZE)) < 0.2
    findings = Findings(("fracture",), np.ones((5, 1), bool), packed(exact)[None], SIZE)
    found = references(split_of(drawn, findings=findings), (1, 4))
    np.testing.assert_array_equal(found[EXACT], exact[[1, 4]])
    same = Findings(("fracture",), np.ones((5, 1), bool), packed(drawn.sum(axis=0) >= 2)[None], SIZE)
    assert EXACT not in references(split_of(drawn, findings=same), (1, 4))


def test_a_reader_who_did_not_read_an_image_has_no_others_there(drawn):
    read = np.ones((3, 5), bool)
    read[1, 2] = False
    found = references(split_of(drawn, read), (2,))
    assert not found[OTHERS + "rad2"].any()
    assert not found[READER + "rad2"].any()
    assert found[OTHERS + "rad1"].sum() == 0  # of two others, only one read it
    assert found[OTHERS + "rad3"].sum() == 0


def test_a_split_without_several_readers_is_refused(drawn):
    with pytest.raises(SaltrustError, match="two readers or more"):
        references(split_of(drawn[:1], truth=drawn[0]), (0,))


def test_scores_are_those_of_other_libraries(drawn):
    rng = np.random.default_rng(2)
    grey = np.round(rng.random((5, SIZE, SIZE)), 1) * (rng.random((5, SIZE, SIZE)) < 0.6)
    masks = {"first": drawn[0], "second": drawn[1]}
    values = scored(grey, masks)
    assert values.shape == (2, len(SCORES), 5)
    for row, truth in zip(values, masks.values(), strict=True):
        for image in range(5):
            flat, true, marked = grey[image].ravel(), truth[image].ravel(), grey[image].ravel() > 0
            precision, recall, _ = precision_recall_curve(true, flat)
            both, either = (marked & true).sum(), (marked | true).sum()
            expected = {
                "average_precision": average_precision_score(true, flat),
                "trapezoid": auc(recall, precision),
                "iou": both / either,
                "dice": 2 * both / (marked.sum() + true.sum()),
                "pixel_error": (either - both) / flat.size,
            }
            for score, value in expected.items():
                assert row[SCORES.index(score), image] == pytest.approx(value, abs=1e-12), score


def test_what_cannot_be_scored_is_undefined_and_nothing_else(drawn):
    grey = np.random.default_rng(3).random((5, SIZE, SIZE))
    grey[0, 0, 0] = np.nan
    grey[3] = 0
    truth = drawn[0].copy()
    truth[[1, 3]] = False
    (values,) = scored(grey, {"truth": truth})
    assert np.isnan(values[:, 0]).all()
    assert np.isnan(values[: len(AREAS), 1]).all()
    assert values[SCORES.index("iou"), 1] == 0
    assert np.isnan(values[SCORES.index("iou"), 3])  # neither marks a pixel
    assert values[SCORES.index("pixel_error"), 3] == 0
    assert np.isfinite(values[:, [2, 4]]).all()
    assert scored(grey, {"truth": truth}, empty=1.0)[0, SCORES.index("iou"), 3] == 1
