"""Two runs side by side: what differs is shown, what is the same is not."""

import json
import re
from types import SimpleNamespace
from urllib.parse import unquote

import pandas as pd
import pytest

from saltrust import compare, paths
from saltrust.errors import SaltrustError

PNG = b"\x89PNG made up"


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
        (folder / "tables" / "localization.json").write_text(json.dumps({"name": "localization", "chapter": chapter}))
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


def test_the_terminal_is_told_what_lies_apart_first_in_lines_of_100(results):
    results("a", methods=",".join(["gradcam"] * 20))
    results("b", shift=0.2, methods=",".join(["integrated_gradients"] * 10))
    text = compare.told(compare.compare(compare.find("a"), compare.find("b")))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("gradcam") >= 15  # of 20, the others are broken over lines: nothing is cut
    assert text.count("gradients") >= 7
    assert "Intervals that do not overlap, 1 of 2: mean in localization" in text
    (line,) = (line for line in text.splitlines() if "xrai, net-1" in line)
    assert "0.5 (0.45 to 0.55)  0.7 (0.65 to 0.75)  0.2" in line
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
