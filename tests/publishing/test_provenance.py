"""The lineage of results that were left by hand in a temporary folder, with graphs that networkx walks as well."""

import json

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltrust import chapters
from saltrust.artefacts.sidecar import SIDECAR
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError
from saltrust.publishing import provenance
from saltrust.publishing.provenance import FAILED, NOT_RUN, RUN, DatasetProvenance, TracedArtefact, TracedResult

ENVIRONMENT = {"saltrust": "0.1.0", "torch": "2", "machine": "a", "device": "cpu", "commit": "abc"}
CARD = "phantom-pneumothorax"


def keep(name: str, upstream: tuple[str, ...] = (), seconds: float = 1.0, commit: str = "abc", **more) -> None:
    """Put an artefact of 10 bytes into the store."""
    folder = paths.STORE / name
    folder.mkdir(parents=True)
    (folder / "value.bin").write_bytes(bytes(10))
    note = {"spec": {"kind": name.partition("/")[0], "what": name}, "upstream": upstream, "made": "2026-11-21T09:00:00"}
    note |= {"seconds": seconds, "environment": ENVIRONMENT | {"commit": commit}, "checksums": {"value.bin": "00"}}
    (folder / SIDECAR).write_text(json.dumps(note | more))


def leave(file: str, content: object) -> None:
    path = paths.RESULTS / "quick" / CARD / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A data set whose `dataset` and `localization` ran, the first before anything was noted, and `models` failed."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")
    keep("data/1", seconds=2.0, commit="old")
    keep("maps/1", ("data/1",), seconds=4.0, checksum="00")
    keep("utility/1", ("maps/1",))
    keep("scores/1", ("maps/1",))
    run = {"environment": ENVIRONMENT, "parameters": {"dataset": CARD, "seed": 0}, "seconds": 5.0}
    leave("notebooks/dataset.ipynb", {})
    leave("provenance/dataset.json", run | {"artefacts": [{"artefact": "data/1", "seconds": 2.0}]})
    leave("figures/truth.json", {"kind": "figure", "name": "truth", "chapter": "dataset"})
    leave("notebooks/models.failed.ipynb", {})
    leave("notebooks/localization.ipynb", {})
    asked = [{"artefact": name, "seconds": 1.0} for name in ("data/1", "utility/1", "scores/1", "heat/lost")]
    origins = {"best": {"cell": 4, "artefacts": 2}}
    leave("provenance/localization.json", run | {"artefacts": asked, "numbers": origins})
    leave("tables/boxes.json", {"kind": "table", "name": "boxes", "chapter": "localization", "cell": 5, "artefacts": 3})
    leave("numbers.json", {"localization/best": 0.5, "dataset/images": 3})


def read() -> DatasetProvenance:
    return provenance.read(data_cards.load(CARD), "quick")


def names(artefacts: list[TracedArtefact]) -> list[str]:
    return [one.name for one in artefacts]


@pytest.mark.usefixtures("results")
def test_each_result_is_followed_to_the_artefacts_behind_it():
    found = {one.chapter: one for one in read().chapters}
    assert list(found) == list(chapters.of(data_cards.load(CARD)))
    assert [found[name].state for name in ("dataset", "models", "gallery", "localization")] == [
        RUN,
        FAILED,
        NOT_RUN,
        RUN,
    ]
    one = found["localization"]
    assert one.results == (TracedResult("table", "boxes", 5, 3), TracedResult("number", "best", 4, 2))
    table, number = (names(read().behind(one.asked(result))) for result in one.results)
    assert number == ["data/1", "maps/1", "utility/1"]
    assert table == ["data/1", "maps/1", "scores/1", "utility/1"]  # by way of maps/1, not of what was never stored
    assert found["dataset"].results == (TracedResult("figure", "truth"), TracedResult("number", "images"))
    assert all(found["dataset"].asked(result) == ("data/1",) for result in found["dataset"].results)
    assert read().gone == ("heat/lost",)
    artefact = read().artefacts["maps/1"]
    assert (artefact.size, artefact.seconds, artefact.alone, artefact.spec) == (10, 4.0, True, {"what": "maps/1"})
    assert not read().artefacts["data/1"].alone


@pytest.mark.usefixtures("results")
def test_a_store_that_is_gone_leaves_the_chapters(tmp_path):
    found = provenance.read(data_cards.load(CARD), "quick", tmp_path / "elsewhere")
    assert [one.state for one in found.chapters] == [one.state for one in read().chapters]
    assert found.gone == ("data/1", "heat/lost", "scores/1", "utility/1")
    assert not found.artefacts
    assert provenance.to_text(found, *provenance.trace(found, "localization/best")[0])


@pytest.mark.usefixtures("results")
def test_what_the_page_shows_is_counted_once_for_the_whole_book(tmp_path):
    folder = tmp_path / "evidence"
    (folder / CARD).mkdir(parents=True)
    provenance.write(folder, "quick", [CARD, "mura"])
    shown = json.loads((folder / "lineage.json").read_text())
    assert [row["kind"] for row in shown["kinds"]] == ["data", "maps", "scores", "utility"]
    assert [row["of"] for row in shown["kinds"]] == ["", "data", "maps", "maps"]
    assert shown["not_alone"] == 3
    run, absent = shown["datasets"]
    assert (run["artefacts"], run["gone"], run["megabytes"], run["seconds"]) == (4, 1, 40e-6, 8.0)
    of = {one["chapter"]: one for one in run["chapters"]}
    assert (of["localization"]["artefacts"], of["localization"]["behind"], of["dataset"]["computed"]) == (4, 4, 2.0)
    assert {one["state"] for one in absent["chapters"]} == {NOT_RUN}
    commits = [row for row in shown["versions"]["artefacts"] if row["what"] == "commit"]
    assert [(row["value"], row["times"]) for row in commits] == [("abc", 3), ("old", 1)]
    whole = json.loads((folder / CARD / "lineage.json").read_text())
    assert not (folder / "mura").exists()
    assert [one["name"] for one in whole["artefacts"]] == ["data/1", "maps/1", "scores/1", "utility/1"]
    assert whole["environments"][whole["artefacts"][0]["environment"]]["commit"] == "old"


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("target", "match"),
    [
        ("localisation/best", "did you mean 'localization'"),
        ("localization/bests", "did you mean 'best'"),
        ("gallery/best", "'gallery' of '.*' is not published"),
        ("models/best", "'models' of '.*' is not published"),
    ],
)
def test_a_result_that_is_not_there_is_refused(target, match):
    with pytest.raises(SaltrustError, match=match):
        provenance.trace(read(), target)


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("provenance/localization.json", []),
        ("provenance/localization.json", {"chapter": "localization"}),
        ("numbers.json", []),
        ("tables/boxes.json", []),
        ("tables/boxes.json", {"kind": "table"}),
    ],
)
def test_what_cannot_be_read_is_told_with_the_file(file, content):
    leave(file, content)
    with pytest.raises(SaltrustError, match=f"{file} [^\n]+$"):
        read()


@pytest.mark.usefixtures("results")
def test_a_trace_says_cell_parameters_and_code():
    text = provenance.to_text(read(), *provenance.trace(read(), "localization/best")[0])
    for part in ("number localization/best", "cell 4", "seed = 0", "torch 2", "2 asked for by then, 3 with what"):
        assert part in text


NODES = st.integers(1, 9)


@given(st.sets(st.tuples(NODES, NODES)), st.sets(NODES))
def test_what_lies_behind_is_what_networkx_reaches(edges, asked):
    graph = networkx.DiGraph([(max(pair), min(pair)) for pair in edges if len(set(pair)) == 2])
    graph.add_nodes_from(range(1, 10))
    upstream = {f"k/{node}": tuple(f"k/{up}" for up in graph.successors(node)) for node in graph}
    known = {
        name: TracedArtefact(name, {}, ups, "", 0.0, 0, {}, ENVIRONMENT, alone=True) for name, ups in upstream.items()
    }
    found = DatasetProvenance("a", "A", "quick", (), known, ())
    reached = set(asked).union(*(networkx.descendants(graph, node) for node in asked))
    assert names(found.behind(f"k/{node}" for node in asked)) == sorted(f"k/{node}" for node in reached)
    for name in upstream:
        behind = graph.subgraph({int(name[2:])} | networkx.descendants(graph, int(name[2:])))
        assert provenance.level(name, upstream) == networkx.dag_longest_path_length(behind)
