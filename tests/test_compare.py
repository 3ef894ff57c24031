"""Two runs side by side: what differs is shown, what is the same is not."""

import json

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
    assert list(estimates.index) == ["ig, net-1", "xrai, net-1"]
    assert estimates.loc["xrai, net-1", "first"] == "0.5 (0.45 to 0.55)"
    assert estimates.loc["xrai, net-1", "second"] == "0.7 (0.65 to 0.75)"
    assert estimates["overlap"].tolist() == ["yes", "no"]
    assert set(estimates["estimate"]) == {"mean"}


def test_a_run_is_compared_with_what_the_book_shows(results):
    results("a", shift=0.1)
    results("", published=True)
    found = compare.compare(compare.find("published", other="a"), compare.find("a", other="published"))
    assert found.first.title == "published"
    assert found.numbers["name"].tolist() == ["localization/best", "localization/map"]


def test_the_page_shows_both_and_is_saved_beside_the_runs(results):
    first, second = results("a"), results("b", shift=0.1)
    (second / "figures" / "boxes.json").unlink()
    found = compare.compare(compare.find("a"), compare.find("b"))
    page = compare.save(found)
    assert page == paths.RUNS / "localization" / "compare-a-b.html"
    text = page.read_text()
    assert f'<img src="{(first / "figures" / "boxes.png").as_uri()}" alt="boxes of &quot;AUPRC&quot;">' in text
    assert "b has no such figure" in text
    assert "0.45 to 0.55" in text


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
