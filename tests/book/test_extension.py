"""The book's Sphinx extensions, on a tiny book in a temporary folder; and what the real pages ask of them."""

import io
import json
import os
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from skimage.metrics import structural_similarity
from sklearn.metrics import auc, average_precision_score, precision_recall_curve
from sphinx.application import Sphinx
from sphinx.util.console import strip_colors
from sphinx.util.docutils import docutils_namespace

from saltrust import chapters
from saltrust.core import data_cards, protocols
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS, by_family
from saltrust.models import training_choices
from saltrust.publishing import myst
from saltrust.publishing.assemble import methods_here
from saltrust.scores.five_band import SOFT, confusion

BOOK = Path(__file__).parents[2] / "book"
CONFIG = yaml.safe_load((BOOK / "_config.yml").read_text())["sphinx"]["config"]
PIXEL = bytes.fromhex(  # a PNG of one pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
ORPHAN = "---\norphan: true\n---\n"  # a page that no table of contents names


@pytest.fixture
def extensions(monkeypatch):
    """Make the book's extensions importable."""
    monkeypatch.syspath_prepend(BOOK / "_ext")


@pytest.fixture
def build(tmp_path, extensions):
    """Write pages, build them, return (html by page, warnings). A second call builds on top of the first."""

    def run(**pages: str) -> tuple[dict[str, str], str]:
        for name, text in pages.items():
            file = tmp_path / f"{name.replace('__', '/')}.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        warnings = io.StringIO()
        settings = {
            "extensions": [
                "myst_parser",
                "sphinxcontrib.bibtex",
                "computed",
                "catalogue",
                "mathml",
                "where_run",
                "edition",
            ],
            "bibtex_bibfiles": [str(BOOK / "references.bib")],
            "myst_enable_extensions": ["colon_fence", "dollarmath"],
            "myst_disable_syntax": CONFIG["myst_disable_syntax"],
            "html_math_renderer": "mathml",
            "numfig": True,
            "exclude_patterns": ["_out"],
        }
        out = tmp_path / "_out"
        with docutils_namespace():
            app = Sphinx(tmp_path, None, out, tmp_path / "_out/trees", "html", settings, status=None, warning=warnings)
            app.build()
        html = {file.relative_to(out).with_suffix("").as_posix(): file.read_text() for file in out.rglob("*.html")}
        return html, strip_colors(warnings.getvalue())

    return run


@pytest.fixture
def evidence(tmp_path):
    """A run data set `lungs` with one chapter, `localization`."""
    folder = tmp_path / "evidence/lungs"
    for kind in ("figures", "tables"):
        (folder / kind).mkdir(parents=True)
    numbers = {
        "localization/best": 0.22449,
        "localization/drop": -0.5,
        "localization/map": "XRAI",
        "localization/n": 246,
    }
    (folder / "numbers.json").write_text(json.dumps(numbers))
    (folder / "figures/boxes.png").write_bytes(PIXEL)
    about = {"caption": "Scores *by method*.", "alt": "Box plots", "chapter": "localization"}
    (folder / "figures/boxes.json").write_text(json.dumps(about))
    (folder / "tables/scores.csv").write_text(
        "method,mean,p_value,n,verdict\nXRAI,0.2240001,1e-7,246,PASS\nSIG,0.024,,246,FAIL\nIG,0.15,0.5,246,UNDECIDED\n"
    )
    (folder / "tables/scores.json").write_text(json.dumps(about))
    (folder / "localization.md").write_text(ORPHAN + "# Localization\n")
    return folder


@pytest.fixture
def registry(tmp_path):
    """What the registry says of the methods, as the book is given it."""
    (tmp_path / "evidence").mkdir(exist_ok=True)
    (tmp_path / "evidence/methods.json").write_text(json.dumps(methods_here("quick")))


def test_no_page_reads_a_file_or_writes_html_of_its_own(build, evidence):
    (evidence / "secret.txt").write_text("the secret")
    directives = {"include": "", "literalinclude": "", "raw": " html"}
    blocks = [f"```{{{name}}}{kind or ' secret.txt'}\n<b>raw</b>\n```" for name, kind in directives.items()]
    html, warnings = build(
        index="# B\n", evidence__lungs__x=f"{ORPHAN}# A\n\n<script>ran()</script> <i>x</i>\n\n" + "\n\n".join(blocks)
    )
    page = html["evidence/lungs/x"]
    assert "the secret" not in page
    assert "<script>ran" not in page
    assert "&lt;script&gt;ran()&lt;/script&gt; &lt;i&gt;x" in page
    assert "<b>raw" not in page
    assert warnings.count("disabled") == len(directives)


def test_a_card_full_of_markup_is_a_page_of_text(build, evidence):
    text = "<script>ran()</script> ```{include} /etc/passwd ::: {download}`x </etc/passwd>` ![a](/etc/passwd) $x$ *b* |"
    given = dict.fromkeys(("title", "summary", "role", "modality", "licence", "reported"), text)
    card = data_cards.load("siim-pneumothorax").model_copy(update={**given, "finding": text, "name": "lungs"})
    html, warnings = build(index="# B\n", evidence__lungs__index=ORPHAN + myst.overview(card, "smoke"))
    article = re.search(r"<body>.*", html["evidence/lungs/index"], re.DOTALL)[0]
    assert article.count("&lt;script&gt;ran()&lt;/script&gt;") >= 6
    assert "root:" not in article
    assert "<script>ran" not in html["evidence/lungs/index"]
    assert article.count("{download}`x &lt;/etc/passwd&gt;`") >= 6


def test_a_document_stands_in_a_frame_and_can_be_downloaded(build, evidence):
    page = '<!doctype html><html><head><title>A card</title></head><body class="a">1 &lt; 2</body></html>'
    (evidence / "tables/scores.html").write_text(page)
    (evidence / "localization.md").write_text(ORPHAN + "# A\n\n```{result-document} scores\n```\n")
    html, warnings = build(index="# B\n\n```{result-document} brains/scores\n```\n")
    assert warnings == ""
    frame = re.search('<iframe title="A card" srcdoc="([^"]*)"', html["evidence/lungs/localization"])
    assert unescape(frame[1]) == page
    assert re.search(r'href="[^"]*_downloads/\w+/scores\.html"', html["evidence/lungs/localization"])
    assert "no such result for brains" in html["index"]


def test_long_texts_in_tables_may_break(build, evidence):
    (evidence / "tables/scores.csv").write_text(f"method,text\nXRAI,{'word ' * 10}\n")
    html, _ = build(index="# A\n\n```{result-table} lungs/scores\n:chapter: localization\n```")
    assert html["index"].count('<td class="prose">') == 1


def test_a_method_card_says_what_the_registry_says(build, registry):
    page = "# A\n\n```{method-card} ig\n```\n\n```{method-card} centre\n```\n\n```{bibliography}\n```"
    html, warnings = build(index=page)
    assert warnings == ""
    text = re.sub(r"<[^>]+>", "", html["index"])
    assert re.search(r"passes: \d+, in this book 10 \(protocol corrected, profile quick\)", text)
    assert re.search(r"steps = \d+, in this book 10(?!\d)", text)
    assert not re.search("baseline = black, in this book", text)  # as by default, so that it is said once
    assert "baseline = black" in text
    assert METHODS["ig"].help["steps"] in text
    assert "Sundararajan" in text
    assert "passes: none" in text
    assert html["index"].count("<math") == 2


def test_an_unknown_method_is_a_warning_that_names_the_nearest(build, registry):
    _, warnings = build(index="# A\n\n```{method-card} smothgrad\n```")
    assert "no method 'smothgrad'; nearest is 'smoothgrad'" in warnings


def test_the_table_of_methods_links_each_to_its_section(build, registry):
    labels = "".join(f"(method-{name.replace('_', '-')})=\n## {name}\n\n" for name in [m.name for m in by_family()])
    html, warnings = build(index=f"# A\n\n```{{method-table}}\n```\n\n{{numref}}`tab-methods`\n\n{labels}")
    assert warnings == ""
    assert html["index"].count('href="#method-') >= len(by_family())
    _, warnings = build(index="# A\n\n```{method-table}\n```\n")
    assert "undefined label" in warnings


def test_protocols_are_shown_with_their_sources(build, tmp_path):
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence/protocols.json").write_text(json.dumps(protocols.catalogue()))
    html, warnings = build(
        index="# A\n\n```{protocol-table}\n```",
        **{name: ORPHAN + "# B" for name in ("auprc", "ssim", "five-band", "alarm", "agreement")},
    )
    assert warnings == ""
    text = re.sub(r"<[^>]+>", "", html["index"])
    assert html["index"].count("<tr") == 1 + len(protocols.CHOICES)
    assert "stated: footnote 2: raw maps" in text
    assert "inferred: set to 10 in the script" in text


def test_trainings_are_shown_with_what_is_theirs_and_ours(build, tmp_path):
    (tmp_path / "evidence").mkdir()
    rows = training_choices.catalogue()
    (tmp_path / "evidence/trainings.json").write_text(json.dumps(rows))
    html, warnings = build(index="# A\n\n```{training-table}\n```", randomization=ORPHAN + "# B")
    assert warnings == ""
    assert html["index"].count("<tr") == 1 + len(rows)
    text = re.sub(r"<[^>]+>", "", html["index"])
    assert "stated: Methods: at most 20 and 30" in text
    assert "ours: not given; a mirrored chest" in text


def test_benchmarks_are_shown_with_what_they_had_to_reach(build, tmp_path):
    page = "# A\n\n```{benchmark-table}\n```"
    html, warnings = build(index=page)
    assert warnings == ""
    assert "make benchmark" in re.sub(r"<[^>]+>", "", html["index"])
    times = {"ours_seconds": 0.2, "theirs_seconds": 4.0, "ratio": 20.0, "target": 15, "better": "higher"}
    row = {"work": "XRAI", "beside": "PAIR", **times, "agree": True, "note": "Identical."}
    floor = row | {"work": "IG", "ratio": 1.02, "target": 1.05, "better": "lower", "agree": False}
    slow = row | {"ratio": 14.99}
    machine = {"started": "2026-11-21T04:00:00+00:00", "cpu": "A processor", "cores": 2, "torch_threads": 1}
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence/benchmarks.json").write_text(json.dumps([row, floor, slow]))
    (tmp_path / "evidence/benchmarks_machine.json").write_text(json.dumps(machine))
    html, warnings = build(index=page)
    assert warnings == ""
    cells = re.findall(r"<td[^>]*><p>([^<]*)</p>", html["index"])
    first = ["XRAI", "PAIR", "0.2", "4", "20", "≥\N{NO-BREAK SPACE}15", "yes"]
    second = ["IG", "PAIR", "0.2", "4", "1.02", "≤\N{NO-BREAK SPACE}1.05", "no"]
    assert cells == [*first, *second, *first[:4], "15", "≥\N{NO-BREAK SPACE}15, missed", "yes"]
    assert "on 2026-11-21: A processor, 2 cores, 1 thread." in html["index"]
    assert html["index"].count("Identical.") == 3


def test_the_full_profile_is_shown_with_what_it_takes(build, tmp_path):
    page = "# A\n\n```{full-profile-table}\n```"
    html, warnings = build(index=page)
    assert warnings == ""
    assert "make benchmark-full" in re.sub(r"<[^>]+>", "", html["index"])
    machine = {"started": "2026-11-21T04:00:00+00:00", "cpu": "A processor", "cores": 2, "torch_threads": 2}
    numbers = {"steps": 343270, "training_hours": 392.2, "passes": 7436334, "map_hours": 335.5, "gigabytes": 99.7}
    totals = {"phantom-pneumothorax": {"stands_for": "SIIM-ACR", **numbers}}
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence/benchmarks_full.json").write_text(json.dumps({"machine": machine, "totals": totals}))
    html, warnings = build(index=page)
    assert warnings == ""
    space = "\N{NARROW NO-BREAK SPACE}"
    cells = re.findall(r"<td[^>]*><p>([^<]*)</p>", html["index"])
    assert cells == ["SIIM-ACR", f"343{space}270", "392", f"7{space}436{space}334", "336", "100"]
    assert "timed on 2026-11-21: A processor, 2 cores, 2 threads." in html["index"]


def test_every_method_has_its_card_on_the_page_of_its_family():
    for method in by_family():
        page = (BOOK / "concepts" / f"methods-{method.family.replace('_', '-')}.md").read_text(encoding="utf-8")
        label = f"(method-{method.name.replace('_', '-')})="
        assert f"{label}\n## " in page, method.name
        assert page.count(f"```{{method-card}} {method.name}\n") == 1, method.name


def test_a_number_is_formatted_and_leads_to_its_chapter(build, evidence):
    html, warnings = build(index="# A\n\n{num}`lungs/localization/best .2f` {num}`lungs/localization/best`")
    assert warnings == ""
    found = re.findall(r'<a class="computed-link num [^"]*" href="([^"]+)"><span class="doc">([^<]+)<', html["index"])
    assert found == [("evidence/lungs/localization.html", "0.22"), ("evidence/lungs/localization.html", "0.224")]


@pytest.mark.parametrize(
    ("target", "text"),
    [("best", "0.224"), ("best .1%", "22.4%"), ("drop .1f", "\N{MINUS SIGN}0.5"), ("map", "XRAI"), ("n", "246")],
)
def test_an_evidence_page_quotes_its_own_data_set_without_a_link(build, evidence, target, text):
    html, warnings = build(index="# A", evidence__lungs__localization=ORPHAN + f"# L\n\n{{num}}`localization/{target}`")
    assert warnings == ""
    kind = "words" if text == "XRAI" else "num"  # numbers do not break
    assert f'<p><span class="{kind}">{text}</span></p>' in html["evidence/lungs/localization"]


@pytest.mark.parametrize("target", ["hearts/localization/best", "lungs/verdict/n"])
def test_a_data_set_or_chapter_that_was_not_run_says_so(build, evidence, target):
    html, warnings = build(index=f"# A\n\n{{num}}`{target} .2f`")
    assert warnings == ""
    assert '<em class="not-run">not run here</em>' in html["index"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "lungs/localization/bset",
            "no number 'localization/bset' for data set 'lungs'; nearest is 'localization/best'",
        ),
        ("localization/best", "'localization/best' is not of the form <dataset>/<chapter>/<name>"),
        ("lungs/localization/map .2f", "cannot write 'XRAI' with format '.2f'"),
    ],
)
def test_a_wrong_number_is_a_warning_that_names_page_and_key(build, evidence, target, message):
    _, warnings = build(index=f"# A\n\n{{num}}`{target}`")
    assert message in warnings
    assert "index.md:3" in warnings


def test_broken_numbers_are_a_warning_that_names_the_file(build, evidence):
    (evidence / "numbers.json").write_text("{")
    _, warnings = build(index="# A\n\n{num}`lungs/localization/best`")
    assert re.search(r"num: \S+/evidence/lungs/numbers.json cannot be read as JSON", warnings)


FIGURE = "# A\n\n{{numref}}`{label}`\n\n```{{result-figure}} lungs/boxes\n:chapter: localization\n{option}\n```\n"


@pytest.mark.parametrize(("option", "label"), [("", "fig-lungs-boxes"), (":name: fig-own", "fig-own")])
def test_a_figure_has_caption_alt_number_and_its_full_size_file(build, evidence, option, label):
    html, warnings = build(index=FIGURE.format(option=option, label=label))
    assert warnings == ""
    page = html["index"]
    assert re.search(r'<a class="[^"]*image-reference[^"]*" href="_images/boxes.png"><img alt="Box plots"', page)
    assert "Scores <em>by method</em>." in page
    assert re.search(rf'href="#{label}"><span class="std std-numref">Fig. 1</span>', page)
    assert 'href="evidence/lungs/localization.html"' in page


def test_a_figure_that_was_not_run_keeps_its_number(build):
    html, warnings = build(index=FIGURE.format(option="", label="fig-lungs-boxes"))
    assert warnings == ""
    assert "Not run here" in html["index"]
    assert "DATASETS=&quot;lungs&quot;" in html["index"]
    assert '<span class="std std-numref">Fig. 1</span>' in html["index"]


def test_what_is_being_made_says_so_until_it_is_there(build, tmp_path, request):
    making = tmp_path / "evidence/making.json"
    making.parent.mkdir()
    making.write_text('{"datasets": ["lungs"], "ready": 3, "chapters": 14}')
    page = "# A\n\n{num}`lungs/localization/best` {num}`cells/atlas/n`\n\n" + FIGURE.format(
        option="", label="fig-lungs-boxes"
    )
    html, warnings = build(index=page)
    assert warnings == ""
    assert '<em class="not-run">being made</em> <em class="not-run">not run here</em>' in html["index"]
    assert "It is computed by a chapter of lungs that has not ended yet." in html["index"]
    making.write_text('{"datasets": [], "ready": 0, "chapters": 0}')
    os.utime(making, (making.stat().st_mtime + 5,) * 2)
    assert "being made" not in build()[0]["index"]  # an interrupted run goes on no more
    request.getfixturevalue("evidence")
    assert '<span class="doc">0.224</span>' in build()[0]["index"]


def test_a_page_is_read_again_once_its_data_set_has_been_run(build, tmp_path, request):
    assert "not run here" in build(index="# A\n\n{num}`lungs/localization/best`")[0]["index"]
    request.getfixturevalue("evidence")
    html, warnings = build()
    assert warnings == ""
    assert '<span class="doc">0.224</span>' in html["index"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("figure", "lungs/boxs", "no figure 'boxs' of 'localization' for data set 'lungs'; nearest is 'boxes'"),
        ("table", "lungs/score", "no table 'score' of 'localization' for data set 'lungs'; nearest is 'scores'"),
        ("figure", "boxes", "'boxes' is not of the form <dataset>/<name>"),
    ],
)
def test_a_missing_result_is_a_warning(build, evidence, kind, name, message):
    _, warnings = build(index=f"# A\n\n```{{result-{kind}}} {name}\n:chapter: localization\n```\n")
    assert f"result-{kind}: {message}" in warnings


@pytest.mark.parametrize("field", ["caption", "alt"])
def test_a_figure_without_caption_or_alt_is_a_warning(build, evidence, field):
    about = json.loads((evidence / "figures/boxes.json").read_text())
    (evidence / "figures/boxes.json").write_text(json.dumps(about | {field: " "}))
    _, warnings = build(index=FIGURE.format(option="", label="fig-lungs-boxes"))
    assert "boxes.json: the " in warnings
    assert "is empty" in warnings


def test_a_table_is_rounded_aligned_coloured_and_can_be_downloaded(build, evidence):
    html, warnings = build(index="# A", evidence__lungs__localization=ORPHAN + "# L\n\n```{result-table} scores\n```\n")
    assert warnings == ""
    page = html["evidence/lungs/localization"]
    cells = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", page)]
    assert [c.partition(">")[2] if ">" in c else c for c in cells] == [
        *("method", "mean", "p value", "n", "verdict"),
        *("XRAI", "0.224", "1e\N{MINUS SIGN}07", "246", "PASS"),
        *("SIG", "0.024", "", "246", "FAIL"),
        *("IG", "0.150", "0.500", "246", "UNDECIDED"),
    ]
    assert '<span class="verdict-pass">PASS</span>' in page
    assert '<span class="verdict-fail">FAIL</span>' in page
    assert '<span class="verdict-undecided">UNDECIDED</span>' in page
    assert len(re.findall(r'<t[hd] class="[^"]*text-right', page)) == 3 * 4
    assert re.search(r'href="\S*_downloads/\S+/scores.csv"', page)


def test_a_long_table_shows_its_first_rows(build, evidence):
    about = json.loads((evidence / "tables/scores.json").read_text())
    (evidence / "tables/scores.json").write_text(json.dumps(about | {"rows": 1}))
    html, warnings = build(index="# A", evidence__lungs__localization=ORPHAN + "# L\n\n```{result-table} scores\n```\n")
    assert warnings == ""
    page = html["evidence/lungs/localization"]
    assert page.count("<tr") == 2
    assert "XRAI" in page
    assert "SIG" not in page


def test_a_ragged_table_is_a_warning(build, evidence):
    (evidence / "tables/scores.csv").write_text("a,b\n1\n")
    _, warnings = build(index="# A", evidence__lungs__localization=ORPHAN + "# L\n\n```{result-table} scores\n```\n")
    assert "scores.csv: the rows do not all have the same number of cells" in warnings


def test_a_figure_links_to_its_one_file(build, evidence):
    html, warnings = build(index="# A", evidence__lungs__localization=ORPHAN + "# L\n\n```{result-figure} boxes\n```\n")
    assert warnings == ""
    page = html["evidence/lungs/localization"]
    (link,) = re.findall(r'<a class="file" href="([^"]+)" download="boxes.png">PNG</a>', page)
    assert link == re.search(r'<img [^>]*src="([^"]+)"', page)[1]
    out = evidence.parents[1] / "_out"
    assert (out / "evidence/lungs" / link).resolve().read_bytes() == PIXEL
    assert len(list(out.rglob("boxes*.png"))) == 1
    assert (out / "_static/style.css").is_file()
    assert re.search(r'<link [^>]*href="[^"]*_static/style.css', page)


def test_formulas_are_mathml_without_a_script(build):
    html, warnings = build(index="# A\n\nIn $x^2$ text.\n\n$$\n\\frac{a}{b}\n$$ (eq-one)\n\nSee {eq}`eq-one`.\n")
    assert warnings == ""
    page = html["index"]
    assert re.search(r'<math [^>]*display="inline"', page)
    assert re.search(r'id="equation-eq-one".*?<mfrac>.*?<span class="eqno">\(1\)', page, re.S)
    assert re.search(r'href="#equation-eq-one">\(1\)</a>', page)
    assert not re.search("<script[^>]*mathjax", page, re.IGNORECASE)


@pytest.mark.parametrize("formula", [r"\nosuchcommand x", "a^b^c"])
def test_a_formula_that_cannot_be_read_is_a_warning(build, formula):
    html, warnings = build(index=f"# A\n\n${formula}$")
    assert f"cannot read the formula {formula}" in warnings
    assert f"<code>{formula}</code>" in html["index"]


# What is said only where it was computed

WHERE = """# A

::::{{where-run}} {chapters}
:of: {of}

## On TITLE

The best of DATASET: {{num}}`DATASET/localization/best`.
::::
"""


@pytest.fixture
def three_sets(evidence, tmp_path):
    """`lungs` and `bones` have run a chapter, `cells` has not."""
    (tmp_path / "evidence/bones").mkdir()
    (tmp_path / "evidence/bones/numbers.json").write_text('{"localization/best": 0.5}')
    (tmp_path / "evidence/bones/localization.md").write_text(ORPHAN + "# Localization\n")
    for name in ("bones", "lungs"):
        (tmp_path / f"evidence/{name}/index.md").write_text(f"{ORPHAN}({name})=\n# {name}\n")
    titles = {"cells": "Cells", "bones": "Bones, three readers", "lungs": "Lungs"}
    (tmp_path / "evidence/data_sets.json").write_text(json.dumps(titles))


@pytest.mark.parametrize(
    ("wanted", "of", "shown"),
    [
        ("localization", "first", ["0.5"]),
        ("localization", "each", ["0.5", "0.224"]),
        ("localization", "lungs", ["0.224"]),
        ("localization", "cells", []),
        ("localization verdict", "each", []),
    ],
)
def test_a_passage_stands_where_its_chapters_ran(build, three_sets, wanted, of, shown):
    html, warnings = build(index=WHERE.format(chapters=wanted, of=of))
    assert warnings == ""
    assert re.findall(r'<span class="doc">([\d.]+)<', html["index"]) == shown
    titles = {"0.5": "On Bones, three readers", "0.224": "On Lungs"}
    assert re.findall(r"<h2>([^<]+)<", html["index"]) == [titles[number] for number in shown]


def test_a_passage_of_a_data_set_that_does_not_exist_is_a_warning(build, three_sets):
    assert "where-run: no data set 'lung'" in build(index=WHERE.format(chapters="localization", of="lung"))[1]


def test_a_passage_appears_once_its_chapter_has_run(build, tmp_path, three_sets):
    page = WHERE.format(chapters="verdict", of="lungs")
    assert "On Lungs" not in build(index=page)[0]["index"]
    numbers = tmp_path / "evidence/lungs/numbers.json"
    numbers.write_text(json.dumps(json.loads(numbers.read_text()) | {"verdict/n": 3}))
    os.utime(numbers, (numbers.stat().st_mtime + 5,) * 2)
    assert "On Lungs" in build()[0]["index"]


@pytest.mark.parametrize(("wanted", "columns"), [("localization", 2), ("verdict", 0)])
def test_a_table_has_a_column_for_each_data_set_that_ran(build, three_sets, wanted, columns):
    rows = f"```{{numbers-of-each}} {wanted}\n:name: tab-all\n:caption: All.\nBest | localization/best .1f\n```\n"
    html, warnings = build(index=f"# A\n\n{rows}")
    assert warnings == ""
    page = html["index"]
    assert re.findall(r'<span class="doc">([\d.]+)<', page) == ["0.5", "0.2"][:columns]
    assert ('id="tab-all"' in page) == (columns > 0)
    assert ('href="evidence/bones/index.html' in page) == (columns > 0)


# What the theme shuts readers out of


def test_faults_of_the_theme_are_mended(extensions):
    from accessible import mend

    arrow = '<summary><span class="toctree-toggle" role="presentation"><i></i></span></summary>'
    page = f'<a class="reference internal" href="a.html">The methods</a><details open="open">{arrow}'
    assert '<details open="open"><summary aria-label="Pages of: The methods"><span' in mend(page)
    button = (
        '<button class="btn search-button-field x" title="Search" aria-label="Search" data-a="b">Search Ctrl+K</button>'
    )
    assert mend(button) == '<button class="btn search-button-field x" title="Search" data-a="b">Search Ctrl+K</button>'
    other = '<button class="btn search-button" aria-label="Search"></button>'  # an icon alone needs its label
    assert mend(other) == other
    cited = '<div role="list" class="citation-list">\n<div class="citation" id="id75" role="doc-biblioentry">'
    assert mend(cited) == '<div class="citation-list">\n<div class="citation" id="id75">'
    assert mend(mend(page)) == mend(page)


# Two editions

TAUGHT = (
    "# A\n\nQuestion.\n\n:::{dropdown} Solution\nForty-two.\n:::\n\n```{for-teachers}\nAsk them first.\n```\n\nEnd.\n"
)


@pytest.mark.parametrize(("edition", "withheld"), [("", False), ("teacher", False), ("student", True)])
def test_students_get_neither_solutions_nor_what_is_for_teachers(build, monkeypatch, edition, withheld):
    monkeypatch.setenv("SALTRUST_EDITION", edition)
    html, _ = build(index=TAUGHT.replace("{dropdown}", "{admonition}") if not withheld else TAUGHT)
    assert ("Forty-two." not in html["index"]) == withheld
    assert ("Ask them first." not in html["index"]) == withheld
    assert "Question." in html["index"]
    assert "End." in html["index"]


def test_every_exercise_has_one_solution_and_the_students_page_none(extensions):
    from edition import withhold

    text = (BOOK / "exercises.md").read_text(encoding="utf-8")
    shown = withhold(text)
    assert text.count("{dropdown} Solution") == len(re.findall(r"^## \d+\. ", text, flags=re.M))
    assert "Solution" not in shown
    assert "dropdown" not in shown
    assert re.findall(r"^## .*$", shown, flags=re.M) == re.findall(r"^## .*$", text, flags=re.M)
    assert shown.count("*Page") == text.count("*Page")


# What the real pages say

PAGES = sorted([*BOOK.glob("*.md"), *BOOK.glob("concepts/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_name_only_data_sets_and_chapters_that_exist(page):
    text = page.read_text(encoding="utf-8")
    quoted = [found.split("/") for found in re.findall(r"\{num\}`([^ `]+)", text)]
    figures = re.findall(r"\{result-(?:figure|table)\} (\S+)/\S+\n:chapter: (\S+)\n", text)
    assert len(figures) == text.count("{result-"), "a result outside its chapter names the chapter"
    conditions = re.findall(r"\{(?:where-run|numbers-of-each)\} (.*)\n(?::of: (\S+))?", text)
    of_rows = re.findall(r"^[^|\n]+ \| (\w+)/\w+(?: \S+)?$", text, flags=re.M)
    named = {dataset for dataset, *_ in quoted + figures} | {of for _, of in conditions}
    assert named <= {*data_cards.names(), "DATASET", "", "first", "each"}
    asked = {chapter for listed, _ in conditions for chapter in listed.split()}
    assert asked | {chapter for _, chapter, *_ in quoted + figures} | set(of_rows) <= set(chapters.NAMES)


def test_the_arithmetic_of_the_page_on_auprc_holds():
    truth = np.arange(1000) < 55
    constant = np.zeros(1000)
    precision, recall, _ = precision_recall_curve(truth, constant)
    assert average_precision_score(truth, constant) == pytest.approx(0.055)
    assert auc(recall, precision) == pytest.approx(0.5275)
    ranked = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), -np.arange(10)  # exercise "AUPRC by hand"
    precision, recall, _ = precision_recall_curve(*ranked)
    assert average_precision_score(*ranked) == pytest.approx(0.75)
    assert auc(recall, precision) == pytest.approx(0.708, abs=5e-4)


@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_two_disjoint_squares_have_the_ssim_that_the_page_says(data_range):
    a, b = np.zeros((2, 320, 320))
    a[40:104, 40:104] = b[200:264, 200:264] = 1
    assert structural_similarity(a, b, data_range=data_range) == pytest.approx(0.90, abs=0.005)


def test_the_solution_on_unrelated_noise_is_right():
    code = re.search(r"```python\n(import numpy.*?)```", (BOOK / "exercises.md").read_text(encoding="utf-8"), re.S)[1]
    printed = []
    exec(code, {"print": lambda *values: printed.append(values)})
    assert [blur for blur, _ in printed] == [0, 3, 10, 30]
    np.testing.assert_allclose([ssim for _, ssim in printed], [0.04, 0.1, 0.4, 0.7], atol=0.1)


def test_the_solution_on_three_sums_is_right():
    """f = relu(x1 + x2 - 1) at (1, 1), from (0, 0), by the methods themselves."""
    unit = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2, 1), torch.nn.ReLU()).double()
    with torch.no_grad():
        unit[1].weight.fill_(1)
        unit[1].bias.fill_(-1)
    model = Explained(unit, input_range=(0.0, 1.0))
    x = torch.ones(1, 1, 1, 2, dtype=torch.float64)
    settings = {"ig": {"steps": 1000, "quadrature": "riemann_middle"}, "lrp": {"epsilon": 1e-12}}
    for name, value in {"input_x_gradient": 1, "ig": 0.5, "deeplift": 0.5, "lrp": 1}.items():
        maps = METHODS[name].function(model, x, [(0,)], **settings.get(name, {}))
        torch.testing.assert_close(maps, torch.full_like(x, value), rtol=0, atol=1e-9)


GRADES = np.repeat(np.array([0, 1, 2], np.uint8), [850_000, 100_000, 50_000]).reshape(1, 1000, 1000)  # b, f = 0.1, 0.05


@pytest.mark.parametrize(
    ("adjusted", "precision", "recall", "fpr"),
    [
        (lambda rng: np.ones(GRADES.shape), 0.05, 1, 1),
        (lambda rng: -np.ones(GRADES.shape), 0, 0, 1),
        (lambda rng: np.zeros(GRADES.shape), 0, 0, 0),
        (lambda rng: rng.choice([-1.0, 1.0], GRADES.shape), 0.025, 1, 1),
        (lambda rng: 1.0 * (GRADES > 0), 1 / 3, 1, 0.1 / 0.95),
        (lambda rng: 1.0 * (GRADES == 2), 1, 1 / 3, 0),
        (lambda rng: rng.uniform(0, 1, GRADES.shape), 0.045 / 0.7, 0.5, 0.655 / 0.91),
        (lambda rng: rng.uniform(-1, 1, GRADES.shape), 0.0225 / 0.7, 1 / 3, 0.6775 / 0.9325),
    ],
)
def test_the_floors_of_the_five_band_score_are_as_the_page_says(adjusted, precision, recall, fpr):
    counts = confusion(adjusted(np.random.default_rng(0)), GRADES)
    found = [counts.precision()[0, 0], counts.recall()[0, 0], counts.fpr()[0, 0]]
    assert found == pytest.approx([precision, recall, fpr], abs=0.005)


def test_the_truth_as_a_map_has_the_average_precision_that_the_page_says():
    counts = confusion(np.array([0, 0.4 / 0.9, 1])[GRADES], GRADES)
    assert counts.precision().mean() == pytest.approx((12 + 44 / 3) / 56)
    assert counts.recall().mean() == pytest.approx(1)


def test_the_solution_on_sixteen_pixels_is_right():
    adjusted = np.array([[0, 0.4, 0.1, 0], [0, 0.4, 0.9, 0.6], [-0.2, 0.1, 0.4, 0], [-1, 0, 0, 0]])
    grades = np.array([[0, 0, 0, 0], [0, 1, 2, 0], [0, 1, 2, 0], [0, 0, 0, 0]], np.uint8)
    counts = confusion(adjusted[None], grades[None])
    assert counts.precision()[0, [0, -1]] == pytest.approx([1 / 3, 1 / 3], abs=1e-6)
    assert counts.recall()[0, [0, -1]] == pytest.approx([2 / 3, 1], abs=1e-6)
    assert counts.fpr()[0, [0, -1]] == pytest.approx([4 / 13, 6 / 13], abs=1e-6)
    assert counts.precision_to_the_letter()[0, 0] == pytest.approx(2 / 7, abs=1e-6)


def test_the_solution_on_all_the_recall_is_right():
    grades = np.array([[[0, 1, 2]]], np.uint8)
    right = [
        (
            counts.recall().mean() > 0.999,
            counts.precision().mean() > 0.999,
            (counts.misjudged + counts.missed == 0).sum(),
        )
        for value in np.linspace(0, 1, 1000)
        for counts in [confusion(np.array([[[0, value, 1]]]), grades)]
    ]
    recall, precision, pairs = np.array(right).T
    values = np.linspace(0, 1, 1000)
    assert set(values[recall == 1]) == set(values[values > 0.3])
    assert set(values[precision == 1]) == set(values[values <= SOFT.pairs()[-1, 1]])
    assert pairs.max() == 40
