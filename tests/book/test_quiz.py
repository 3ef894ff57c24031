"""The page of a study with people in headless Chromium: played with the keyboard, on a phone, without storage."""

import json
import time
from base64 import b64encode

import pytest
from click.testing import CliRunner
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from saltrust.analysis.quiz_reading import ARMS
from saltrust.cli import app
from saltrust.publishing import quiz_page
from tests import quizzes

pytestmark = pytest.mark.book

TASKS = 4


@pytest.fixture
def written(tmp_path):
    """The page's file, its key, and the task that each new image belongs to."""
    items = quizzes.items(TASKS)
    out = tmp_path / "quiz.html"
    key = quiz_page.write(items, out)
    names = {(one["class"], one["image"]): name for name, one in json.loads(key.read_text())["tasks"].items()}
    return out, key, {quiz_page.address(task.pixels): names[task.label, task.image] for task in items.tasks}


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


def text(browser, name):
    return browser.find_element(By.ID, name).text


def is_shown(browser, name):
    return browser.find_element(By.ID, name).is_displayed()


def wide(browser, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def fresh(browser, address):
    """Open a page whose storage is empty: all pages on disk share it."""
    browser.get(address)
    browser.execute_script("localStorage.clear()")
    browser.refresh()


def begin(browser, number):
    """From the first page to the first task; the number that stands there is replaced."""
    press(browser, Keys.TAB, str(number), Keys.TAB, Keys.SPACE, Keys.TAB, Keys.ENTER)
    assert is_shown(browser, "task"), "the first task is shown"


def answer(browser, recognised, confidence, features=(0,)):
    """One task, without the mouse: radio buttons by arrows, a feature by the space bar, the form by enter."""
    press(browser, Keys.TAB, Keys.SPACE, *([] if recognised else [Keys.DOWN]))
    press(browser, Keys.TAB, Keys.SPACE, *[Keys.DOWN] * (confidence - 1))
    for place in range(max(features) + 1):
        press(browser, Keys.TAB, *([Keys.SPACE] if place in features else []))
    press(browser, Keys.ENTER)


def test_it_is_played_with_the_keyboard_and_its_file_is_read_back(chromium, written, tmp_path):
    out, key, task_of = written
    solved = json.loads(key.read_text())
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
    chromium.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    chromium.execute_cdp_cmd("Browser.grantPermissions", permissions)
    chromium.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    chromium.get_log("browser")
    wide(chromium, 1280)
    fresh(chromium, f"{out.as_uri()}?arm=maps")
    begin(chromium, 17)
    asked = []
    for place in range(TASKS):
        if place == 2:  # the page is closed and opened again
            chromium.get(f"{out.as_uri()}?arm=maps")
            assert text(chromium, "held") == "2 of 4, number 17"
            press(chromium, Keys.TAB, Keys.ENTER)
        assert text(chromium, "title") == f"Task {place + 1} of {TASKS}"
        pictures = chromium.find_elements(By.CSS_SELECTOR, "#examples img")
        assert len(pictures) == 2 * 12, "each example with its map"
        assert all(int(picture.get_property("naturalWidth")) == 12 for picture in pictures)
        assert chromium.find_elements(By.CSS_SELECTOR, "#examples table") == []
        task = task_of[chromium.find_element(By.ID, "question").get_attribute("src")]
        asked.append(task)
        recognised = solved["tasks"][task]["recognised"] if place != 1 else not solved["tasks"][task]["recognised"]
        answer(chromium, recognised, confidence=place + 1, features=(0, 2))
    assert text(chromium, "title") == "Done"
    assert text(chromium, "results") == "", "the page does not know what is right"
    press(chromium, Keys.TAB, Keys.ENTER)
    file = downloads / f"answers-17-{solved['version'][:8]}.json"
    for _ in range(100):
        if file.exists():
            break
        time.sleep(0.1)
    press(chromium, Keys.TAB, Keys.ENTER)
    copied = chromium.execute_async_script("navigator.clipboard.readText().then(arguments[0], arguments[0])")
    assert copied == file.read_text()
    assert copied == chromium.find_element(By.ID, "answers").get_property("value")
    assert [one["message"] for one in chromium.get_log("browser") if one["level"] in ("SEVERE", "WARNING")] == []
    assert chromium.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []

    saved = json.loads(copied)
    assert [one["task"] for one in saved["answers"]] == asked == saved["order"]
    assert sorted(asked) == sorted(solved["tasks"])
    assert [one["confidence"] for one in saved["answers"]] == [1, 2, 3, 4]
    assert all(one["features"] == ["f1", "f3"] for one in saved["answers"])
    assert (saved["number"], saved["arm"], saved["assigned"], saved["complete"]) == (17, "maps", "address", True)
    table = tmp_path / "table.csv"
    outcome = CliRunner().invoke(app, ["quiz", "read", str(key), str(file), "--out", str(table)])
    assert outcome.exit_code == 0, outcome.output
    assert "left out" not in outcome.output
    assert "4 answers of 1 participant" in outcome.output
    rights = [line.split(",")[9] for line in table.read_text().splitlines()[1:]]
    assert rights == ["True", "False", "True", "True"]


def test_arms_are_balanced_by_number_and_orders_differ(chromium, written):
    chromium.get(written[0].as_uri())
    arms = chromium.execute_script("return Array.from({length: 64}, (_, k) => assigned(k + 1))")
    for block in range(16):
        assert sorted(arms[4 * block : 4 * block + 4]) == sorted(ARMS)
    assert len({tuple(arms[4 * block : 4 * block + 4]) for block in range(16)}) > 6, "not the same order in each block"
    orders = chromium.execute_script(
        "return Array.from({length: 200}, (_, k) => shuffled(['a', 'b', 'c'], `order ${k}`).join(''))"
    )
    assert all(20 <= orders.count(order) <= 50 for order in ("abc", "acb", "bac", "bca", "cab", "cba"))


def test_an_unknown_arm_is_refused_and_who_stops_can_go_on(chromium, written):
    chromium.get(f"{written[0].as_uri()}?arm=all")
    assert text(chromium, "problem") == "There is no arm 'all'; this page knows neither, scores, maps, both."
    assert not is_shown(chromium, "start")
    fresh(chromium, f"{written[0].as_uri()}?arm=scores")
    begin(chromium, 5)
    assert len(chromium.find_elements(By.CSS_SELECTOR, "#examples table")) == 12
    assert len(chromium.find_elements(By.CSS_SELECTOR, "#examples img")) == 12
    answer(chromium, True, 2)
    chromium.find_element(By.ID, "stop").click()
    assert text(chromium, "title") == "Stopped"
    assert json.loads(chromium.find_element(By.ID, "answers").get_property("value"))["complete"] is False
    chromium.find_element(By.ID, "back").click()
    assert text(chromium, "title") == "Task 2 of 4"
    chromium.find_element(By.ID, "stop").click()
    chromium.find_element(By.ID, "forget").click()
    assert is_shown(chromium, "start")
    chromium.refresh()
    assert is_shown(chromium, "start"), "nothing is kept"


def test_it_fits_a_phone_and_the_classroom_is_told_what_was_right(chromium, tmp_path):
    out = tmp_path / "class.html"
    quiz_page.write(quizzes.items(TASKS), out, classroom=True)
    wide(chromium, 390)
    fresh(chromium, f"{out.as_uri()}?arm=both")
    widths = "return document.documentElement.scrollWidth"
    assert chromium.execute_script(widths) <= 390
    begin(chromium, 1)
    for _ in range(TASKS):
        assert chromium.execute_script(widths) <= 390
        answer(chromium, True, 4)
    assert chromium.execute_script(widths) <= 390
    assert (
        "You were right in 2 of 4 tasks; guessing gives half. You expected the network to say so 4 times, and it did 2"
        in (text(chromium, "results"))
    )
    wide(chromium, 1280)


def test_without_storage_it_works_and_keeps_nothing(chromium, written):
    """A page at a data: address has no storage; to ask for it is an error."""
    html = written[0].read_bytes()
    chromium.get(f"data:text/html;base64,{b64encode(html).decode()}")
    with pytest.raises(Exception, match="Storage is disabled"):
        chromium.execute_script("return localStorage.length")
    begin(chromium, 2)
    answer(chromium, True, 1)
    assert text(chromium, "title") == "Task 2 of 4"
