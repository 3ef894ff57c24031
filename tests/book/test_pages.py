"""The rendered book in headless Chromium: offline, whole at phone and desktop width, described, and without errors.

Run by `make test-book` after a build; the environment variable SALTRUST_BOOK names another folder with a rendered book.
"""

import os
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from selenium.webdriver.common.by import By

from saltrust.publishing import html

pytestmark = pytest.mark.book

HTML = Path(os.environ.get("SALTRUST_BOOK", Path(__file__).parents[2] / "book/_build/html")).resolve()
WIDTHS = {"phone": 390, "desktop": 1280}
PAGES = sorted(file.relative_to(HTML).as_posix() for file in HTML.rglob("*.html") if "_static" not in file.parts)


def show(browser, page: str, width: int = 1280) -> None:
    """Open a page of the book in a window of that many CSS pixels."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((HTML / page).as_uri())


def test_the_book_was_built():
    assert (HTML / "index.html").is_file(), f"no book at {HTML}: run `make book` first, or set SALTRUST_BOOK"


@pytest.mark.parametrize("page", PAGES)
def test_nothing_leaves_the_machine_and_the_console_is_silent(chromium, page):
    chromium.get_log("browser")  # what earlier pages said is theirs
    show(chromium, page)
    loaded = chromium.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    wanted = chromium.execute_script(
        "return [...document.querySelectorAll('script[src], img[src], link[href], iframe[src], source[src]')]"
        ".filter(e => !['canonical', 'next', 'prev'].includes(e.rel)).map(e => e.src || e.href)"
    )
    foreign = [address for address in loaded + wanted if urlsplit(address).scheme not in ("file", "data", "blob")]
    assert not foreign
    assert [entry["message"] for entry in chromium.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_not_scroll_sideways(chromium, page, width):
    show(chromium, page, width)
    assert chromium.execute_script("return window.innerWidth") == width
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("page", PAGES)
def test_images_are_loaded_described_and_captioned(chromium, page):
    show(chromium, page)
    images = chromium.execute_script(
        "return [...document.querySelectorAll('article img')].map(i => ({src: i.src, alt: i.alt, wide: i.naturalWidth,"
        " caption: i.closest('figure')?.querySelector('figcaption')?.innerText ?? ''}))"
    )
    for image in images:
        assert image["wide"] > 0, f"{image['src']} did not load"
        assert image["alt"].strip(), f"{image['src']} has no alternative text"
        assert re.match(r"Fig\. \d+\s+\S", image["caption"].strip()), f"{image['src']} has no numbered caption"


def _stub(page: str) -> bool:
    """Whether all that a page says is that its chapter was not run."""
    return page.startswith("evidence/") and 'class="note not-run admonition' in (HTML / page).read_text(
        encoding="utf-8"
    )


WRITTEN = [page for page in PAGES if not _stub(page)] + [page for page in PAGES if _stub(page)][:1]  # those are alike
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
ASKED = """const [levels, done] = arguments;
axe.run(document, {runOnly: levels}).then(({violations}) => done(violations.map(
  one => [one.id, one.help, one.nodes.map(node => node.html.slice(0, 200))])));"""


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("page", WRITTEN)
def test_axe_finds_nothing_that_shuts_a_reader_out(chromium, page, width):
    show(chromium, page, width)
    chromium.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    assert chromium.execute_async_script(ASKED, WCAG) == []


@pytest.mark.parametrize("page", PAGES)
def test_medical_images_are_not_filtered_in_dark_mode(chromium, page):
    show(chromium, page)
    chromium.execute_script("document.documentElement.dataset.mode = document.documentElement.dataset.theme = 'dark'")
    filters = chromium.execute_script(
        "return [...document.querySelectorAll('article img')].map(i => getComputedStyle(i).filter)"
    )
    assert set(filters) <= {"none"}


class Anchors(HTMLParser):
    """The links of a page and the places in it that links can lead to."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def anchors():
    return {HTML / page: Anchors((HTML / page).read_text(encoding="utf-8")) for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_book_lead_somewhere(anchors, page):
    broken = []
    for link in anchors[HTML / page].links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (HTML / page).parent / unquote(parts.path) if parts.path else HTML / page
        target = target.resolve()
        if not target.is_file() or (target in anchors and unquote(parts.fragment) not in anchors[target].places):
            broken.append(link)
    assert broken == []


COMMANDS = [page for page in PAGES if "Run it again" in (HTML / page).read_text(encoding="utf-8")]


def copied(browser, button: str) -> str:
    """What lies on the clipboard after a click on the first button of that selector."""
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.execute_cdp_cmd("Browser.grantPermissions", permissions)
    browser.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    element = browser.find_element(By.CSS_SELECTOR, button)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()
    return browser.execute_async_script("navigator.clipboard.readText().then(arguments[0], arguments[0])")


@pytest.mark.parametrize("page", COMMANDS[:1])
def test_the_command_of_a_page_can_be_copied(chromium, page):
    show(chromium, page)
    _, dataset, chapter = page.removesuffix(".html").split("/")
    assert copied(chromium, ".again button.copybtn").startswith(
        f"saltrust run {chapter} --dataset {dataset} --profile "
    )


def test_a_prompt_is_not_copied(chromium):
    show(chromium, "running.html")
    assert copied(chromium, ".highlight-console button.copybtn") == "make book"


def test_the_command_of_a_run_can_be_copied(chromium, tmp_path):
    file = tmp_path / "index.html"
    file.write_text(html.document("A run", "run", html.command("saltrust run models --methods 'a <b>'")))
    chromium.get(file.as_uri())
    assert copied(chromium, ".command button") == "saltrust run models --methods 'a <b>'"


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("concepts/")])
def test_formulas_are_drawn(chromium, page):
    show(chromium, page)
    heights = chromium.execute_script(
        "return [...document.querySelectorAll('article math')].map(m => m.getBoundingClientRect().height)"
    )
    assert all(height > 4 for height in heights)
    assert not chromium.execute_script("return document.querySelector('article').innerText.includes('\\\\frac')")
