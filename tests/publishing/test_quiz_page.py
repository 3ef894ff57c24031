"""The page of a study with people: one file, nothing in it that gives an answer away, the same from the same seed."""

import json
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from saltrust.analysis.quiz_reading import read_key
from saltrust.core.errors import SaltrustError
from saltrust.publishing import quiz_page
from saltrust.publishing.quiz_page import overlay, page, write
from tests import quizzes


class Read(HTMLParser):
    """Addresses that the page would load, and its data."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.data, self._here = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "href", "action", "data") if name in given]
        self._here = given.get("id") == "items"

    def handle_data(self, data):
        if self._here:
            self.data += data

    def handle_endtag(self, tag):
        self._here = False


def content(html):
    return json.loads(Read(html).data)


def decoded(address):
    return np.asarray(Image.open(BytesIO(b64decode(address.partition(",")[2]))).convert("RGB"))


def test_it_is_one_file_that_loads_nothing():
    html, _ = page(quizzes.items())
    assert Read(html).addresses == []
    assert not re.search(r"https?:|//[a-z]+\.[a-z]", html)
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src &#x27;none&#x27;; img-src data:; ")
    assert "unsafe" not in policy


def test_nothing_in_it_gives_an_answer_away():
    items = quizzes.items(tasks=8)
    html, key = page(items)
    for word in ("squirrel", "heron", "secret", "recognised&quot;:", '"kind":"tn"', "telling", "edge,"):
        assert word not in html, word
    shown = content(html)
    assert shown["truth"] is None
    assert {name for task in shown["tasks"] for name in task} == {"id", "name", "question", "examples"}
    assert [task["id"] for task in shown["tasks"]] == [f"t{k}" for k in range(1, 9)]
    assert [one for one, _ in shown["features"]] == ["f1", "f2", "f3"]
    kinds = [key["tasks"][f"t{k}"]["kind"] for k in range(1, 9)]
    assert kinds != [task.kind for task in items.tasks], "tasks stand in another order than they were chosen in"
    assert kinds != sorted(kinds)
    assert any(
        [one["kind"] for one in task["examples"]] != sorted([one["kind"] for one in task["examples"]], reverse=True)
        for task in shown["tasks"]
    )


def test_the_key_holds_what_is_right():
    items = quizzes.items(tasks=8)
    html, key = page(items)
    by_question = {task["question"]: task for task in content(html)["tasks"]}
    for task in items.tasks:
        shown = by_question[quiz_page.address(task.pixels)]
        solved = key["tasks"][shown["id"]]
        assert shown["name"] == task.shown
        assert (solved["class"], solved["kind"], solved["image"]) == (task.label, task.kind, task.image)
        assert solved["recognised"] == (task.kind in ("tp", "fp"))
        assert {key["features"][one]["name"] for one in solved["features"]} == set(quizzes.TELLING[task.label])
    titles = {one: title for one, title in content(html)["features"]}
    for one, feature in key["features"].items():
        assert titles[one] == quizzes.FEATURES[feature["name"]]
        assert feature["local"] == (feature["name"] != "shade")


def test_a_page_for_the_classroom_holds_it_and_says_so():
    html, key = page(quizzes.items(), classroom=True)
    truth = content(html)["truth"]
    assert truth == {
        name: {"recognised": one["recognised"], "features": one["features"]} for name, one in key["tasks"].items()
    }
    assert "So the solutions are in this" in html
    assert "So the solutions are in this" not in page(quizzes.items())[0]
    assert "about 10 minutes" in " ".join(html.split())


def test_the_same_seed_is_the_same_page_and_other_items_another_version():
    first, second, other = (page(quizzes.items(seed=seed)) for seed in (0, 0, 1))
    assert first == second
    assert other[1]["version"] != first[1]["version"]
    assert page(quizzes.items(), seed=1)[1]["version"] != first[1]["version"]


def test_scores_are_the_ten_largest_and_pictures_are_without_loss():
    items = quizzes.items(tasks=2)
    many = tuple(f"type {k}" for k in range(13))
    scores = tuple((np.arange(13) / 78).tolist())
    tasks = tuple(
        replace(task, examples=tuple(replace(one, scores=scores) for one in task.examples)) for task in items.tasks
    )
    shown = content(page(replace(items, classes=many, tasks=tasks))[0])["tasks"][0]
    for one in shown["examples"]:
        assert [name for name, _ in one["scores"]] == [f"type {k}" for k in range(12, 2, -1)]
        assert [value for _, value in one["scores"]] == [round(k / 78, 2) for k in range(12, 2, -1)]
    pictures = {decoded(one["image"]).tobytes() for one in shown["examples"]}
    task = next(task for task in tasks if quiz_page.address(task.pixels) == shown["question"])
    assert pictures == {one.pixels.tobytes() for one in task.examples}


def test_a_map_is_red_for_and_blue_against_on_a_grey_image():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    relevance = np.zeros((20, 20))
    relevance[:5], relevance[15:] = 2.0, -1.0
    shown = overlay(pixels, relevance).astype(int)
    assert (shown[:5] == [230, 30, 30]).all(), "the largest value has its full colour"
    quiet = shown[5:15]
    assert (quiet == quiet[..., :1]).all(), "grey where the map is 0"
    np.testing.assert_allclose(quiet[..., 0], 0.6 * (pixels[5:15] @ [0.299, 0.587, 0.114]), atol=0.51)
    assert (shown[15:, :, 2] > shown[15:, :, 0]).all()
    assert (overlay(pixels, np.zeros((20, 20)))[..., 0] == overlay(pixels, np.zeros((20, 20)))[..., 2]).all()


def test_large_pictures_are_made_smaller_and_a_page_beyond_the_limit_is_refused(monkeypatch):
    assert decoded(quiz_page.address(np.zeros((512, 256, 3), np.uint8))).shape == (160, 80, 3)
    monkeypatch.setattr(quiz_page, "LIMIT", 2**16)
    with pytest.raises(SaltrustError, match="fewer tasks make it smaller"):
        page(quizzes.items())


def test_of_a_page_that_is_too_large_no_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(quiz_page, "LIMIT", 2**16)
    with pytest.raises(SaltrustError, match=r"the page would have \d+\.\d MB of at most"):
        write(quizzes.items(), tmp_path / "quiz.html")
    assert [*tmp_path.iterdir()] == []


def test_page_and_key_are_written_and_the_key_can_be_read(tmp_path):
    beside = write(quizzes.items(), tmp_path / "new" / "quiz.html")
    assert beside.name == "quiz.html.key.json"
    assert sorted(file.name for file in beside.parent.iterdir()) == ["quiz.html", "quiz.html.key.json"]
    key = read_key(beside)
    assert key.version == content((beside.parent / "quiz.html").read_text())["version"]
    assert len(key.tasks) == 4


@pytest.mark.parametrize("name", ["quiz.html", "quiz.html.key.json"])
def test_a_page_or_a_key_is_not_written_over(tmp_path, name):
    (tmp_path / name).write_text("of a study that runs")
    with pytest.raises(SaltrustError, match=f"{name} exists already; a page and its key are not written over"):
        write(quizzes.items(), tmp_path / "quiz.html")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "of a study that runs")]


def test_the_script_is_small():
    from importlib.resources import files

    assert len((files("saltrust.publishing") / "quiz.js").read_bytes()) <= 10_000
