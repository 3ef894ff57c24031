"""Files of participants: each counts, or one line says why not."""

import json

import pytest

from saltrust.analysis.quiz_reading import COLUMNS, checksum, read_answers, read_key
from saltrust.core.errors import SaltrustError
from saltrust.publishing.quiz_page import page
from tests import quizzes
from tests.quizzes import saved


@pytest.fixture(scope="module")
def made():
    return page(quizzes.items())[1]


@pytest.fixture
def key(made, tmp_path):
    return read_key(quizzes.write(tmp_path, "key", made))


def notes(key, tmp_path, *contents):
    """The lines about some files, beside one that is whole."""
    files = [quizzes.write(tmp_path, f"a{place}", content) for place, content in enumerate(contents)]
    whole = quizzes.write(tmp_path, "whole", saved(json.loads((tmp_path / "key.json").read_text()), number=99))
    found = read_answers(key, [*files, whole])
    return found, list(found.notes)


def test_a_row_says_what_was_asked_answered_and_right(made, key, tmp_path):
    edge, spot, shade = (next(k for k, f in made["features"].items() if f["name"] == n) for n in quizzes.FEATURES)
    file = quizzes.write(
        tmp_path, "one", saved(made, 7, right=lambda task, trial: trial < 3, arm="maps", features=[edge, shade])
    )
    found = read_answers(key, [file])
    assert (found.participants, found.stopped, found.notes) == (1, 0, ())
    assert tuple(found.table) == COLUMNS
    assert found.table["right"].tolist() == [True, True, True, False]
    assert found.table["trial"].tolist() == [1, 2, 3, 4]
    assert set(found.table["arm"]) == {"maps"}
    for row in found.table.to_dict("records"):
        task = made["tasks"][row["task"]]
        assert (row["class"], row["kind"], row["recognised"]) == (task["class"], task["kind"], task["recognised"])
        assert row["said"] == (row["recognised"] == row["right"])
        assert row["features"] == "edge shade"
        true = 2 if row["class"] == "squirrel" else 0  # edge and shade are true of one, a spot of the other
        assert (row["named"], row["local"], row["telling"], row["missed"]) == (2, 1, true, 0 if true else 1)
        assert (row["confidence"], row["seconds"]) == (1 + (row["trial"] - 1) % 4, 19 + row["trial"])


def edited(content, **changes):
    return content | changes  # its checksum is that of what was there


def resealed(content, **changes):
    body = {name: value for name, value in (content | changes).items() if name != "check"}
    return body | {"check": checksum(body)}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda one: "", "a0.json is left out: not JSON: Expecting value"),
        (lambda one: json.dumps(one)[:200], "a0.json is left out: not JSON: "),
        (lambda one: [one], "a0.json is left out: it holds no answers of such a page"),
        (lambda one: {"answers": 3}, "a0.json is left out: it holds no answers of such a page"),
        (lambda one: edited(one, version="0" * 64), "its answers are of another page: version 00000000, and the key's"),
        (lambda one: edited(one, version=3), "its answers are of another page: version none"),
        (lambda one: edited(one, arm="maps"), "it was edited or damaged after it was saved"),
        (lambda one: edited(one, check=None), "it was edited or damaged after it was saved"),
        (lambda one: edited(one, name="Anna"), "it was edited or damaged after it was saved"),
        (lambda one: resealed(one, arm="none"), "its field 'arm' must be one of neither, scores, maps, both"),
        (lambda one: resealed(one, number=0), "its field 'number' must be a number from 1 to 999999"),
        (lambda one: resealed(one, number=True), "its field 'number' must be a number from 1 to 999999"),
        (lambda one: resealed(one, order=one["order"][1:]), "its field 'order' must be all tasks of the page"),
        (lambda one: resealed(one, order=[[]] * 4), "its field 'order' must be all tasks of the page"),
        (lambda one: resealed(one, complete=False), "it has 4 of 4 answers, and 'complete' says otherwise"),
        (lambda one: resealed(one, answers=one["answers"][::-1]), "its answer 1 is none that the page can give"),
        (lambda one: resealed(one, answers=one["answers"] * 2), "its answer 5 is none that the page can give"),
        *(
            (
                lambda one, name=name, value=value: resealed(
                    one, answers=[one["answers"][0], one["answers"][1] | {name: value}, *one["answers"][2:]]
                ),
                "its answer 2 is none that the page can give",
            )
            for name, value in (
                ("confidence", 5),
                ("confidence", "3"),
                ("recognised", "yes"),
                ("seconds", -1),
                ("seconds", 1.5),
                ("features", ["f9"]),
                ("features", ["f1", "f1"]),
                ("features", [["f1"]]),
                ("task", "t9"),
            )
        ),
    ],
)
def test_a_file_that_the_page_did_not_write_is_left_out_in_one_line(made, key, tmp_path, change, line):
    found, said = notes(key, tmp_path, change(saved(made)))
    assert len(said) == 1
    assert line in said[0]
    assert said[0].startswith("a0.json is left out: ")
    assert "\n" not in said[0]
    assert found.table["participant"].unique().tolist() == [99]


def test_a_missing_file_a_folder_and_a_file_named_twice(made, key, tmp_path):
    whole = quizzes.write(tmp_path, "whole", saved(made))
    found = read_answers(key, [tmp_path / "nosuch.json", tmp_path, whole, whole])
    assert len(found.notes) == 2
    assert found.notes[0].startswith("nosuch.json is left out: no answers ")
    assert "is a folder; only regular files are read" in found.notes[1]
    assert len(found.table) == 4


def test_a_file_name_cannot_steer_the_terminal(made, key, tmp_path):
    whole = quizzes.write(tmp_path, "whole", saved(made))
    found = read_answers(key, [quizzes.write(tmp_path, "a\x1b[31m", "{"), whole])
    assert found.notes[0].startswith(r"a\x1b[31m.json is left out: not JSON")


def test_who_stopped_counts_with_what_was_answered(made, key, tmp_path):
    found, said = notes(key, tmp_path, saved(made, 5, answered=1), saved(made, 6, answered=0))
    assert said == [
        "a0.json: participant 5 stopped after 1 of 4; these count",
        "a1.json: participant 6 stopped after 0 of 4, and is not counted as a participant",
    ]
    assert (found.participants, found.stopped) == (2, 1)
    assert found.table["participant"].value_counts().to_dict() == {99: 4, 5: 1}


def test_a_file_saved_twice_or_later_again_counts_once(made, key, tmp_path):
    found, said = notes(key, tmp_path, saved(made, 5), saved(made, 5, answered=2), saved(made, 5))
    assert said == ["a0.json, a1.json, a2.json are of one participant, 5, and count once: as a0.json"]
    assert found.table["participant"].value_counts().to_dict() == {99: 4, 5: 4}


@pytest.mark.parametrize("other", [{"arm": "both"}, {"right": lambda task, trial: False}])
def test_two_people_of_one_number_count_not_at_all(made, key, tmp_path, other):
    found, said = notes(key, tmp_path, saved(made, 5), saved(made, 5, **other))
    assert said == ["a0.json, a1.json are left out: they are of one number, 5, and contradict each other"]
    assert found.table["participant"].unique().tolist() == [99]


def test_without_an_answer_that_counts_all_lines_are_there(made, key, tmp_path):
    files = [quizzes.write(tmp_path, "a", "{"), quizzes.write(tmp_path, "b", saved(made, answered=0))]
    found = read_answers(key, files)
    assert (found.participants, found.stopped, len(found.table)) == (0, 0, 0)
    assert [note.partition(" ")[0] for note in found.notes] == ["a.json", "b.json:"]


def test_a_key_is_one_and_as_it_was_written(made, tmp_path):
    with pytest.raises(SaltrustError, match="no key of a quiz"):
        read_key(quizzes.write(tmp_path, "key", saved(made)))
    with pytest.raises(SaltrustError, match="the key was edited or damaged"):
        read_key(quizzes.write(tmp_path, "key", made | {"classroom": True}))
    with pytest.raises(SaltrustError, match="no key .*nosuch"):
        read_key(tmp_path / "nosuch")
