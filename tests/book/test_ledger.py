"""The ledger's directives, on a tiny book: each claim in its state, findings beside it, counts that add up."""

import io
import json
import re
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.console import strip_colors
from sphinx.util.docutils import docutils_namespace

BOOK = Path(__file__).parents[2] / "book"
PAPER = "arun2021assessing"
CLAIM = {
    "paper": PAPER, "title": "A title", "where": "Fig. 1", "quote": "a quote", "number": "0.5", "kind": "direction",
    "role": ["lungs"], "truth": None, "not_on_stand_in": "", "not_testable": "", "tested": True, "outcome": None,
}  # fmt: skip
CLAIMS = [
    CLAIM | {"id": "holds"},
    CLAIM | {"id": "fails-on-one", "role": ["lungs", "hearts"]},
    CLAIM | {"id": "was-not-run", "role": ["brains"]},
    CLAIM | {"id": "adds-up", "role": [], "outcome": {"ours": "sum 3", "agrees": "yes"}},
    CLAIM | {"id": "needs-people", "role": [], "tested": False, "not_testable": "Needs participants."},
    CLAIM | {"id": "tried-elsewhere", "role": [], "truth": "box"},
    CLAIM | {"id": "is-told-by-the-papers-images"},
    CLAIM | {"id": "was-too-small"},
    CLAIM | {"id": "needs-the-papers-images", "not_on_stand_in": "Its difficulty was set."},
]
HEADER = "id,agrees,limit,ours,estimate,ci_low,ci_high,data,role,kind\n"
PAGE = (
    "# A\n\nOf {ledger-count}`all`, {ledger-count}`tested`: {ledger-count}`yes`; "
    "{ledger-count}`direction/yes` by data.\n\n"
    "```{ledger-summary}\n```\n\n"
    f"```{{ledger}} {PAPER}\n```\n\n```{{bibliography}}\n```\n"
)


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Build pages of a book; returns the text and HTML of the first, and warnings."""
    monkeypatch.syspath_prepend(BOOK / "_ext")

    def run(claims: str) -> tuple[str, str, str]:
        (tmp_path / "index.md").write_text("# B\n\n[](claims.md)\n", encoding="utf-8")
        (tmp_path / "claims.md").write_text(claims, encoding="utf-8")
        settings = {
            "extensions": ["myst_parser", "sphinxcontrib.bibtex", "computed", "catalogue", "ledger"],
            "bibtex_bibfiles": [str(BOOK / "references.bib")],
            "numfig": True,
            "exclude_patterns": ["_out"],
        }
        warnings, out = io.StringIO(), tmp_path / "_out"
        with docutils_namespace():
            Sphinx(tmp_path, None, out, out / "trees", "html", settings, status=None, warning=warnings).build()
        html = (out / "claims.html").read_text(encoding="utf-8")
        found = [line for line in strip_colors(warnings.getvalue()).splitlines() if "isn't included" not in line]
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html)), html, "\n".join(found)

    return run


@pytest.fixture
def evidence(tmp_path):
    """Two data sets that were run, and the list of claims."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence/claims.json").write_text(json.dumps({"claims": CLAIMS}))
    rows = {
        "lungs": [
            "holds,yes,,XRAI 0.4,0.1,0.05,0.2,stand-in,lungs,direction",
            "fails-on-one,yes,,0.4,0.4,0.3,0.5,stand-in,lungs,value",
            "is-told-by-the-papers-images,no,,XRAI 0.2,,,,stand-in,lungs,direction",
            "was-too-small,too small to tell,5 images,XRAI 0.3,,,,stand-in,lungs,direction",
        ],
        "lungs-themselves": ["is-told-by-the-papers-images,yes,,XRAI 0.5,,,,original,lungs,direction"],
        "hearts": [
            "fails-on-one,no,,8 of 8,,,,stand-in,hearts,value",
            "tried-elsewhere,no,,SG 0.2,-0.1,-0.2,-0.05,outside,,direction",
        ],
    }
    for name, lines in rows.items():
        folder = tmp_path / "evidence" / name
        (folder / "tables").mkdir(parents=True)
        (folder / "numbers.json").write_text(json.dumps({"claims/n_claims": 2}))
        (folder / "tables/claims.csv").write_text(HEADER + "\n".join(lines) + "\n")
        (folder / "tables/claims.json").write_text(json.dumps({"caption": "c", "chapter": "claims"}))
        (folder / "claims.md").write_text("---\norphan: true\n---\n# L\n")


def test_each_claim_is_in_one_state(build, evidence):
    text, html, warnings = build(PAGE)
    assert warnings == ""
    assert "Of 9, 5: 3; 2 by data." in text
    rows = re.findall(r"<tr.*?</tr>", html, re.S)
    plain = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip() for row in rows]
    summary = plain[: plain.index(next(line for line in plain if line.startswith("All"))) + 1]
    assert summary[0] == "Paper claims yes no unclear too small to tell not run here not testable"
    assert summary[-1] == "All 9 3 1 0 1 2 2"
    assert plain[len(summary) : len(summary) + 4] == [
        "… directions 8 2 1 0 1 2 2",
        "… numbers 0 0 0 0 0 0 0",
        "… columns of PASS and FAIL 0 0 0 0 0 0 0",
        "… sums of the papers’ own numbers 1 1 0 0 0 0 0",
    ]
    states = [re.sub(r"<[^>]+>", "", row.split("<td")[2]).partition(">")[2].strip() for row in rows[-9:]]
    assert states[:6] == ["yes", "no", "not run here", "yes", "not testable", "not testable"]
    assert states[6:] == ["yes", "too small to tell", "not run here"]
    assert html.count('class="verdict-pass">yes<') == 3
    assert html.count('class="verdict-fail">no<') == 1


def test_what_was_found_stands_beside_the_claim_with_a_link(build, evidence):
    text, html, _ = build(PAGE)
    assert "lungs (stand-in): XRAI 0.4; 0.100 (0.050 to 0.200)" in text
    assert "lungs (stand-in): 0.4 (0.300 to 0.500)" in text
    assert "lungs-themselves (original): XRAI 0.5 lungs (stand-in): XRAI 0.2" in text
    assert "lungs (stand-in): XRAI 0.3. Too small to tell: 5 images" in text
    assert "Not run here. Its difficulty was set." in text
    assert "hearts: SG 0.2; −0.100 (−0.200 to −0.050). An outside check: no" in text
    assert "from the paper's own numbers: sum 3" in text.replace("’", "'")
    assert "Needs participants." in text
    assert 'href="evidence/lungs/claims.html"' in html


def test_a_book_without_results_is_built(build):
    text, _, warnings = build(PAGE)
    assert warnings == ""
    assert "Of not run here" in text


def test_a_data_set_whose_chapter_was_not_run_is_passed_over(build, evidence, tmp_path):
    (tmp_path / "evidence/lungs/numbers.json").write_text(json.dumps({"verdict/n": 1}))
    text, _, warnings = build(PAGE)
    assert warnings == ""
    assert "Of 9, 3: 2; 1 by data." in text


def test_claims_that_only_stand_ins_decide_are_counted(build, evidence):
    page = "# A\n\n{ledger-count}`on stand-ins` and {ledger-count}`value/on stand-ins`, {ledger-count}`answered`.\n"
    assert "3 and 0, 4." in build(page)[0]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("{ledger-count}`yess`", "ledger-count: no state 'yess'; nearest is 'yes'"),
        ("{ledger-count}`direction/yess`", "no state 'direction/yess'; nearest is 'direction/yes'"),
        ("```{ledger} arun2021assesing\n```", f"ledger: no claim of 'arun2021assesing'; nearest is '{PAPER}'"),
    ],
)
def test_a_wrong_name_is_a_warning(build, evidence, page, message):
    assert message in build(f"# A\n\n{page}\n")[2]
