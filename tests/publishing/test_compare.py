"""Two runs side by side: what differs is shown, what is the same is not."""

import ast
import contextlib
import io
import json
import re
from types import SimpleNamespace
from urllib.parse import unquote

import pandas as pd
import pytest

from saltrust import chapters
from saltrust.chapters.notes import read_json
from saltrust.chapters.page import Page
from saltrust.chapters.results_folder import OUT
from saltrust.cli import compare as terminal
from saltrust.cli import main
from saltrust.core import paths
from saltrust.core.errors import SaltrustError
from saltrust.publishing import compare

PNG = b"\x89PNG made up"

# Of each table with intervals the chapter and some rows: with gaps, and with words that are no names.
TABLES = {
    "claims": (
        "claims",
        """id,paper,ours,agrees,estimate,ci_low,ci_high,data,number,why,published
none-meets-all,arun2021assessing,0 of 8 pass all,yes,,,,own,,no method passes all,yes
xrai,arun2021assessing,XRAI 0.346,unclear,0.346,0.27,0.419,own,0.224,mean,no
""",
    ),
    "localization": (
        "localization",
        "method,model,mean,sd,ci_low,ci_high,n\nxrai,net-1,0.5,0.2,0.4,0.6,9\nxrai,net-2,0.5,,,,0\naverage,,0.3,0,0.3,0.3,9\n",
    ),
    "models": (
        "models",
        """model,role,auc,ci_low,ci_high,accuracy,epochs,seed,precision,weights
net-1,classifier,0.9,0.8,1,,5,1,bfloat16,
unet-1,localizer,0.7,0.6,0.8,0.5,,1,float32,
""",
    ),
    "rank_correlation": (
        "fair_comparison",
        "network,band,score,correlation,ci_low,ci_high\nvgg,recall_avg,auprc,,-1,1\nvgg,recall_avg,hit_rate,0.5,0,1\n",
    ),
    "report_card": (
        "report_card",
        """method,role,criterion,score,value,ci_low,ci_high,n,baseline,reference,verdict
xrai,map,utility,AUPRC,0.3,0.2,0.4,30,average,0.38,FAIL
xrai,map,utility,AUPRC,0.3,0.2,0.4,30,localizer,0.96,FAIL
average,control,utility,AUPRC,0.38,0.3,0.4,30,,,
""",
    ),
    "sensitivity": (
        "randomization",
        "method,model,stage,mean,sd,ci_low,ci_high,n\nig,net-1,fc,0.1,0.1,0,0.2,3\nig,net-1,conv,0.1,0,0.1,0.1,3\n",
    ),
    "statistics": (
        "statistics",
        """question,contrast,estimate,ci_low,ci_high,p_adjusted,first,second,p
utility,ig - xrai,-0.1,-0.2,0,0.05,ig,xrai,0.01
which,ig - xrai,0.2,0.1,0.3,,ig,xrai,
""",
    ),
    "trained_against_random": (
        "localization",
        "method,trained,random,difference,ci_low,ci_high\nig,0.2,0.1,0.1,0.05,0.15\nxrai,0.3,0.3,0,,\n",
    ),
    "verdicts": (
        "verdict",
        """method,criterion,baseline,value,reference,difference,ci_low,ci_high,verdict,control
xrai,utility,average,0.3,0.38,-0.08,-0.15,0.01,UNDECIDED,False
xrai,utility,localizer,0.3,0.96,-0.66,-0.7,-0.6,FAIL,False
edges,utility,average,0.1,0.38,-0.28,-0.3,-0.2,FAIL,True
""",
    ),
}


def keys(chapter: str) -> dict[str, list[str]]:
    """By which columns a chapter tells the rows of its tables apart, where it says so, from its notebook."""
    found = {}
    for call in ast.walk(ast.parse(chapters.load(chapter).source.read_text())):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "page.table":
            found |= {ast.unparse(call.args[1]): word.value for word in call.keywords if word.arg == "key"}
    return {name.strip("'"): ast.literal_eval(key) for name, key in found.items()}


def leave_table(folder, name, text, key) -> None:
    (folder / "tables" / f"{name}.csv").write_text(text)
    note = {"name": name, "chapter": "localization", "key": key}
    (folder / "tables" / f"{name}.json").write_text(json.dumps(note))


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A function that writes a run of a chapter as `saltrust run` leaves it; returns its folder."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")

    def write(name, shift=0.0, chapter="localization", published=False, **parameters):
        folder = tmp_path / "smoke" / "cells" if published else tmp_path / "runs" / chapter / name
        for kind in ("tables", "figures", "provenance"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        given = {"dataset": "cells", "profile": "smoke", "seed": 0, "methods": "paper"} | parameters
        note = json.dumps({"chapter": chapter, "parameters": given, "seconds": 1.0})
        numbers = {"best": 0.5 + shift, "same": 1 / 3, "n": 30, "map": "XRAI" if shift else "IG"}
        (folder / "numbers.json").write_text(json.dumps({f"{chapter}/{k}": v for k, v in numbers.items()}))
        (folder / ("provenance/localization.json" if published else "provenance.json")).write_text(note)
        if not published:
            (folder / "index.html").touch()
        table = pd.DataFrame(
            {
                "method": ["ig", "xrai"],
                "model": "net-1",
                "mean": [0.1, 0.5 + shift],
                "sd": 0.2,
                "ci_low": [0.05, 0.45 + shift],
                "ci_high": [0.15, 0.55 + shift],
            }
        )
        table.to_csv(folder / "tables" / "localization.csv", index=False)
        about = {"name": "localization", "chapter": chapter, "key": ["method", "model"]}
        (folder / "tables" / "localization.json").write_text(json.dumps(about))
        (folder / "figures" / "boxes.png").write_bytes(PNG)
        figure = {"name": "boxes", "chapter": chapter, "alt": 'boxes of "AUPRC"'}
        (folder / "figures" / "boxes.json").write_text(json.dumps(figure))
        return folder

    return write


def test_a_run_and_itself_do_not_differ(results):
    run = compare.find(str(results("a")))
    found = compare.compare(run, run)
    assert found.parameters.empty
    assert found.numbers.empty
    assert found.estimates["overlap"].tolist() == ["yes", "yes"]
    assert found.estimates["difference"].tolist() == [0, 0]


@pytest.mark.parametrize("name", TABLES)
def test_the_table_of_each_chapter_and_itself_do_not_differ(results, name):
    chapter, text = TABLES[name]
    folder = results("a")
    leave_table(folder, name, text, keys(chapter)[name])
    found = compare.compare(compare.find("a"), compare.find(str(folder)))
    estimates = found.estimates[found.estimates["table"] == name]
    assert estimates["row"].is_unique
    assert 0 < len(estimates) <= len(text.splitlines()) - 1
    assert estimates["first"].tolist() == estimates["second"].tolist()
    assert not estimates["difference"].astype(float).fillna(0).any()
    assert "no" not in estimates["overlap"].tolist()
    assert found.words.empty
    assert "nan" not in said(found)


def said(found):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        terminal.show(found)
    return out.getvalue()


def test_a_verdict_that_flips_is_told_with_its_estimate(results):
    text = TABLES["verdicts"][1]
    flipped = text.replace("-0.08,-0.15,0.01,UNDECIDED", "0.22,0.1,0.3,PASS")
    for name, table in (("a", text), ("b", flipped)):
        leave_table(results(name), "verdicts", table, keys("verdict")["verdicts"])
    found = compare.compare(compare.find("a"), compare.find("b"))
    assert found.words.to_numpy().tolist() == [["verdicts", "xrai, utility, average", "verdict", "UNDECIDED → PASS"]]
    row = found.estimates.set_index("row").loc["xrai, utility, average"]
    assert row["difference"] == pytest.approx(0.3)
    assert row["overlap"] == "no"
    told = said(found)
    assert "Verdicts and other words that differ: verdict in verdicts" in told
    assert re.search(r"xrai, utility, average +UNDECIDED → PASS", told)
    assert "<td>UNDECIDED → PASS</td>" in compare.save(found).read_text()


def test_words_that_only_one_has_and_long_lists_of_them(results):
    for name, word in (("a", ""), ("b", "low")):
        rows = [f"m{i},{word}" for i in range(terminal.SHOWN + 3)]
        leave_table(results(name), "other", "\n".join(["method,baseline", *rows, "last,same"]), ["method"])
    found = compare.compare(compare.find("a"), compare.find("b"))
    assert found.words["change"].tolist() == ["(empty) → low"] * (terminal.SHOWN + 3)
    told = said(found)
    assert told.count("(empty) → low") == terminal.SHOWN
    assert "... and 3 more, on the page" in told


def test_a_key_that_is_empty_in_one_run_matches_only_itself(results):
    head = "model,role,auc,ci_low,ci_high\nnet,"
    for name, role in (("a", ""), ("b", "both")):
        leave_table(results(name), "other", f"{head}{role},0.5,0.4,0.6\n", ["model", "role"])
    found = compare.compare(compare.find("a"), compare.find("b")).estimates.query("table == 'other'")
    assert sorted(found[["row", "first", "second"]].to_numpy().tolist()) == [
        ["net", "0.5 (0.4 to 0.6)", ""],
        ["net, both", "", "0.5 (0.4 to 0.6)"],
    ]


def test_a_table_that_does_not_say_what_tells_its_rows_apart_is_left_out(results):
    leave_table(results("a"), "localization", TABLES["localization"][1], [])
    run = compare.find("a")
    assert compare.compare(run, run).estimates.empty


def test_a_chapter_says_what_tells_the_rows_of_its_table_apart(results, monkeypatch):
    folder = results("a")
    monkeypatch.setenv(OUT, str(folder))
    named = SimpleNamespace(name="any")
    page = Page("localization", SimpleNamespace(store=SimpleNamespace(used={}), profile=named, card=named))
    rows = {"method": ["ig", "ig"], "baseline": [None, "low"], "value": 0.5, "ci_low": 0.4, "ci_high": 0.6}
    with pytest.raises(SaltrustError, match="'left' of chapter 'localization': two rows have the same method"):
        page.table(pd.DataFrame(rows), "left", caption="what", key=["method"])
    page.table(pd.DataFrame(rows), "left", caption="what", key=["method", "baseline"])
    run = compare.find("a")
    found = compare.compare(run, run).estimates.query("table == 'left'")
    assert found["row"].tolist() == ["ig", "ig, low"]


def test_whole_numbers_differ_however_long_they_are(results):
    results("a", seed=10**20), results("b", seed=10**20 + 1)
    found = compare.compare(compare.find("a"), compare.find("b"))
    assert found.parameters.to_numpy().tolist() == [["seed", f"{10**20}", f"{10**20 + 1}"]]
    assert f"{10**20 + 1}" in said(found)


def test_a_run_is_found_by_what_lies_in_its_folder(results, monkeypatch):
    folder = results("a")
    (folder / "localization.ipynb").touch()
    for text in (folder, folder / "index.html", folder / "localization.ipynb"):
        assert compare.find(str(text)).results.folder == folder
    monkeypatch.chdir(folder)
    assert compare.find("index.html").title == "a"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("numbers.json", "{"),
        ("numbers.json", "[1]"),
        ("numbers.json", None),
        ("provenance.json", "[]"),
        ("provenance.json", "{}"),
        ("provenance.json", '{"chapter": "localization", "parameters": {"dataset": "cells"}}'),
        ("provenance.json", '{"parameters": {"dataset": "cells", "profile": "smoke"}}'),
        ("figures/boxes.png", None),
        ("figures/boxes.json", "{}"),
        ("tables/localization.csv", None),
        ("tables/localization.csv", ""),
        ("tables/localization.csv", "method,auprc\nig,0.5\n"),
        ("tables/localization.csv", "method,model\nig,net\nig,net\n"),
        ("tables/localization.csv", 'method,model\nig,"net\n'),
        ("tables/localization.json", "null"),
    ],
)
@pytest.mark.parametrize("published", [True, False])
def test_a_run_that_is_not_whole_is_told_with_the_file(results, file, content, published):
    results("whole")
    damaged = results("a", published=published)
    note = damaged / ("provenance/localization.json" if published else "provenance.json")
    note.write_text(json.dumps(read_json(note) | {"numbers": {"best": {}}}))
    path = note if file == "provenance.json" else damaged / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(SaltrustError, match=f"^{re.escape(str(path))} [^\n]+$"):
        compare.find("published" if published else "a", other="whole")


def test_a_comparison_whose_page_cannot_be_saved_is_told_first(results, monkeypatch, capsys, tmp_path):
    first, second = results("a"), results("b", shift=0.1)
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "RUNS", tmp_path / "file")
    monkeypatch.setattr("sys.argv", ["saltrust", "compare", str(first), str(second)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert "Numbers that differ" in told.out
    (line,) = told.err.splitlines()
    assert line.startswith("saltrust: the page of the comparison could not be saved: ")
    assert str(tmp_path / "file") in line


def test_a_notebook_run_by_hand_is_a_run_without_a_page(results):
    by_hand, other = results("a"), results("b")
    (by_hand / "index.html").unlink()
    found = compare.compare(compare.find(str(by_hand)), compare.find(str(other)))
    assert (found.first.title, found.second.title) == ("by-hand-cells-smoke", "b")
    page = compare.save(found)
    for link in ("a/provenance.json", "b/index.html"):
        assert f'href="{link}"' in page.read_text()
        assert (page.parent / link).is_file()


def test_a_row_that_only_one_has_is_told(results):
    results("a")
    file = results("b") / "tables" / "localization.csv"
    file.write_text(file.read_text().replace("xrai", "lrp"))
    found = compare.compare(compare.find("a"), compare.find("b")).estimates.set_index("row")
    assert found.loc["xrai, net-1", ["first", "second"]].tolist() == ["0.5 (0.45 to 0.55)", ""]
    assert found.loc["lrp, net-1", ["first", "second"]].tolist() == ["", "0.5 (0.45 to 0.55)"]
    assert found.loc["ig, net-1", "overlap"] == "yes"


def test_what_differs_is_told_with_intervals(results):
    results("a")
    results("b", shift=0.2, seed=3)
    found = compare.compare(compare.find("a"), compare.find("b"))
    assert found.parameters.to_numpy().tolist() == [["seed", "0", "3"]]
    numbers = found.numbers.set_index("name")
    assert list(numbers.index) == ["localization/best", "localization/map"]
    assert numbers.loc["localization/best", "difference"] == pytest.approx(0.2)
    assert numbers.loc["localization/map", ["first", "second"]].tolist() == ["IG", "XRAI"]
    estimates = found.estimates.set_index("row")
    assert list(estimates.index) == ["xrai, net-1", "ig, net-1"]  # intervals that do not overlap first
    assert estimates.loc["xrai, net-1", "first"] == "0.5 (0.45 to 0.55)"
    assert estimates.loc["xrai, net-1", "second"] == "0.7 (0.65 to 0.75)"
    assert estimates["overlap"].tolist() == ["no", "yes"]
    assert set(estimates["estimate"]) == {"mean"}


def test_a_run_is_compared_with_what_the_book_shows(results):
    results("a", shift=0.1)
    results("", published=True)
    found = compare.compare(compare.find("published", other="a"), compare.find("a", other="published"))
    assert found.first.title == "published"
    assert found.numbers["name"].tolist() == ["localization/best", "localization/map"]


def test_a_missing_interval_neither_overlaps_nor_lies_apart(results):
    file = results("a") / "tables" / "localization.csv"
    pd.read_csv(file).assign(ci_low=[None, 0.45]).to_csv(file, index=False)
    run = compare.find("a")
    assert compare.compare(run, run).estimates.set_index("row")["overlap"].to_dict() == {
        "ig, net-1": "",
        "xrai, net-1": "yes",
    }


def test_what_lies_apart_is_said_first_and_nothing_is_cut(results):
    results("a", methods=",".join(["gradcam"] * 20))
    results("b", shift=0.2, methods=",".join(["integrated_gradients"] * 10))
    text = said(compare.compare(compare.find("a"), compare.find("b")))
    assert (text.count("gradcam"), text.count("gradients")) == (20, 10)
    assert "Intervals that do not overlap, 1 of 2: mean in localization" in text
    (line,) = (line for line in text.splitlines() if "xrai, net-1" in line)
    assert re.search(r"0.5 \(0.45 to 0.55\) +0.7 \(0.65 to 0.75\) +0.2", line)
    assert "Others that differ, in estimate or interval, or are in one run only: none" in text


def test_the_page_shows_both_and_is_saved_beside_the_runs(results):
    second = results("b", shift=0.1)
    results("a")
    (second / "figures" / "boxes.json").unlink()
    found = compare.compare(compare.find("a"), compare.find("b"))
    page = compare.save(found)
    assert page == paths.RUNS / "localization" / "compare-a-b.html"
    text = page.read_text()
    assert '<img src="a/figures/boxes.png" alt="boxes of &quot;AUPRC&quot;">' in text
    assert 'First: <a href="a/index.html">a</a>' in text
    assert "b has no such figure" in text
    assert "0.45 to 0.55" in text


def test_the_page_says_what_a_number_that_differs_means(results, monkeypatch, tmp_path):
    results("a"), results("b", shift=0.25)
    source = tmp_path / "localization.py"
    source.write_text("""# %% [markdown]
# # Where
#
# The best of {num}`localization/n`, *{num}`localization/map`*, has
# {num}`localization/best .0%`; see {term}`AUPRC`.
#
# A third is {num}`localization/same .2f`.
#
# - **New**: {num}`localization/unknown`
""")
    monkeypatch.setattr(compare.chapters, "load", lambda name: SimpleNamespace(title="Where", source=source))
    comparison = compare.compare(compare.find("a"), compare.find("b"))
    page = compare.page(comparison, tmp_path)
    told = page.partition("<h2>The sentences that quote them</h2>")[2].partition("<h2>")[0]
    assert re.sub(r"\s+", " ", told).strip() == (
        "<p>First → second.</p> <p>The best of 30, <em><strong>IG → XRAI</strong></em>, has "
        "<strong>50% → 75%</strong>; see AUPRC.</p>"
    )
    same = compare.compare(compare.find("a"), compare.find("a"))
    assert "sentences" not in compare.page(same, tmp_path)


def test_the_page_holds_when_the_results_are_moved(results, tmp_path):
    results("a b", shift=0.1)
    figure = results("", published=True) / "figures" / "boxes.png"
    figure.write_bytes(PNG + b" of another")
    found = compare.compare(compare.find("a b"), compare.find("published", other="a b"))
    text = compare.save(found).read_text()
    moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    shown = [unquote(address) for address in re.findall('(?:src|href)="([^"]+)"', text)]
    assert len(shown) == 2 * 2 + 2
    for address in shown:
        assert not address.startswith(("/", "file:"))
    figures = [moved / "runs" / "localization" / address for address in shown if address.endswith("png")]
    assert {file.resolve().read_bytes() for file in figures} == {PNG, PNG + b" of another"}


def test_a_figure_that_is_the_same_is_shown_once(results):
    results("a")
    results("b", shift=0.1)
    text = compare.save(compare.compare(compare.find("a"), compare.find("b"))).read_text()
    assert text.count("<img") == 1
    assert "The same in both." in text


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("a", "nowhere", "no run 'nowhere'; give its folder, its name under .*, or 'published'"),
        ("published", "published", "one of the two must be a run"),
        ("published", "a", "chapter 'localization' of cells is not published"),
        ("a", "other", "'a' is of localization, 'other' of verdict"),
    ],
)
def test_what_cannot_be_compared_is_told(results, first, second, message):
    results("a")
    results("other", chapter="verdict")
    with pytest.raises(SaltrustError, match=message):
        compare.compare(compare.find(first, other=second), compare.find(second, other=first))
