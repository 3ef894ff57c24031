"""The RO-Crate of a small set of results, judged by the community's validator, which knows nothing of this project."""

import json
import zipfile
from pathlib import Path

import pytest

from saltrust.artefacts import store
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError
from saltrust.publishing import ro_crate

OPEN, CLOSED = "phantom-pneumothorax", "chexlocalize"

# Of the context of RO-Crate 1.1 (https://w3id.org/ro/crate/1.1/context) the terms that a crate here may use; all others
# would be lost when the metadata are read. The validator is not let into the network.
SCHEMA = """about accessibilitySummary actionStatus author citation contentSize datePublished description encodingFormat
endTime hasPart identifier instrument keywords license mainEntity mentions name object programmingLanguage result
softwareRequirements softwareVersion startTime subjectOf url value version ComputerLanguage CreateAction CreativeWork
Dataset Organization Person PropertyValue ScholarlyArticle SoftwareApplication SoftwareSourceCode"""
CONTEXT = {term: f"http://schema.org/{term}" for term in SCHEMA.split()} | {
    "File": "http://schema.org/MediaObject",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
}


def leave(dataset: str, file: str, content: object) -> None:
    path = paths.RESULTS / "quick" / dataset / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Two data sets of which one chapter ran: of one the images may be passed on, of the other they may not."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(paths, "STORE", tmp_path / "results/store")
    times = {"start_time": "2026-11-21T09:48:13.138982+00:00", "end_time": "2026-11-21T09:48:29.085898+00:00"}
    place = {"input_path": "/home/me/source.ipynb", "output_path": "/home/me/localization.ipynb"}
    environment = store.environment()
    for dataset in (OPEN, CLOSED):
        note = {"kind": "figure", "caption": "Boxes of {cite:t}`arun2021assessing`.", "alt": "Two boxes"}
        leave(dataset, "figures/boxes.png", b"png")
        leave(dataset, "figures/boxes.json", note | {"chapter": "localization", "cell": 4, "artefacts": 1})
        leave(dataset, "tables/boxes.csv", b"a\n1\n")
        leave(dataset, "tables/boxes.html", b"<html></html>")
        leave(dataset, "tables/boxes.json", {"kind": "table", "caption": "A table.", "chapter": "localization"})
        leave(dataset, "numbers.json", {"localization/best": 0.5})
        parameters = {"dataset": dataset, "n_boot": 1000, "share": 0.5}
        asked = [{"artefact": "data/1", "seconds": 1.0}]
        run = {"parameters": parameters, "seconds": 16.0, "environment": environment, "artefacts": asked}
        leave(dataset, "provenance/localization.json", run)
        notebook = {"cells": [], "metadata": {"papermill": times | place}, "nbformat": 4, "nbformat_minor": 5}
        leave(dataset, "notebooks/localization.ipynb", notebook)


@pytest.fixture
def judge(monkeypatch, tmp_path):
    """The issues that the validator finds in a crate, by their severity."""
    services = pytest.importorskip("rocrate_validator.services")
    import requests
    from rocrate_validator.utils.http import HttpRequester

    def answer(self, url, *given, **options) -> requests.Response:
        assert str(url) == "https://w3id.org/ro/crate/1.1/context"
        response = requests.Response()
        response.status_code, response._content = 200, json.dumps({"@context": CONTEXT}).encode()
        response.headers["Content-Type"] = "application/ld+json"
        return response

    monkeypatch.setattr(HttpRequester, "get", answer, raising=False)

    def find(folder: Path, profile: str, least: str = "RECOMMENDED") -> dict[str, set[str]]:
        settings = {"rocrate_uri": str(folder), "profile_identifier": profile, "requirement_severity": least}
        found = services.validate(settings | {"cache_path": tmp_path / "cache"}).get_issues()
        levels = ("REQUIRED", "RECOMMENDED")
        return {level: {one.message for one in found if one.severity.name == level} for level in levels}

    return find


def entities(folder: Path) -> dict[str, dict]:
    found = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    assert len({entity["@id"] for entity in found}) == len(found)
    return {entity["@id"]: entity for entity in found}


def ids(value: object) -> set[str]:
    return {one["@id"] for one in (value if isinstance(value, list) else [value])}


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize("profile", ["process-run-crate", "workflow-ro-crate"])
def test_the_validator_misses_only_what_a_depositor_knows(tmp_path, judge, profile):
    issues = judge(ro_crate.write("quick", tmp_path / "crate", [OPEN]), profile)
    assert issues["REQUIRED"] == set()
    unknown = ("agent", "publisher", "url", "URL", "absolute URI")  # who runs and publishes it, and where it will lie
    assert [message for message in issues["RECOMMENDED"] if not any(word in message for word in unknown)] == []


@pytest.mark.usefixtures("results")
def test_the_validator_does_look(tmp_path, judge):
    folder = ro_crate.write("quick", tmp_path / "crate", [OPEN])
    metadata = folder / "ro-crate-metadata.json"
    broken = json.loads(metadata.read_text())
    for entity in broken["@graph"]:
        entity.pop("instrument", None)
    metadata.write_text(json.dumps(broken))
    assert any("instrument" in message for message in judge(folder, "process-run-crate", "REQUIRED")["REQUIRED"])


@pytest.mark.usefixtures("results")
def test_an_action_tells_how_a_chapter_was_run(tmp_path):
    known = entities(ro_crate.write("quick", tmp_path / "crate"))
    action = known[f"#run-{OPEN}-localization"]
    assert (action["startTime"], action["endTime"]) == ("2026-11-21T09:48:13+00:00", "2026-11-21T09:48:29+00:00")
    given = [known[id] for id in ids(action["object"])]
    values = {one["name"]: one["value"] for one in given if one["@type"] == "PropertyValue"}
    assert values == {"dataset": OPEN, "n_boot": 1000, "share": 0.5}
    assert known["notebooks/localization.py"] in [known[id] for id in ids(action["instrument"])]
    software = next(known[id] for id in ids(action["instrument"]) if known[id]["@type"] == "SoftwareApplication")
    needed = {known[id]["name"]: known[id]["softwareVersion"] for id in ids(software["softwareRequirements"])}
    assert needed.keys() == {"python", "numpy", "torch", "torchvision", "scikit-image"}
    base = f"results/{OPEN}"
    made = {f"{base}/figures/boxes.png", f"{base}/tables/boxes.csv", f"{base}/numbers.json"}
    assert made <= ids(action["result"])
    figure = known[f"{base}/figures/boxes.png"]
    assert (figure["description"], figure["accessibilitySummary"]) == ("Boxes of arun2021assessing.", "Two boxes")
    root = known["./"]
    assert f"#run-{OPEN}-localization" in ids(root["mentions"])
    assert ids(root["mainEntity"]) == {"workflow/Snakefile"}
    assert known[root["license"]["@id"]]["name"] == "Apache-2.0"
    papers = {id for id in ids(root["citation"]) if "10.1148/ryai.2021200267" in id}
    assert papers  # the companion study


@pytest.mark.usefixtures("results")
def test_images_that_may_not_be_passed_on_stay_out(tmp_path):
    folder = ro_crate.write("quick", tmp_path / "crate")
    kept = {file.suffix for file in (folder / f"results/{OPEN}").rglob("*")}
    assert {".png", ".ipynb", ".html"} <= kept
    left = {file.suffix for file in (folder / f"results/{CLOSED}").rglob("*") if file.is_file()}
    assert left == {".csv", ".json"}
    assert data_cards.load(CLOSED).title in entities(folder)["./"]["description"].partition("are left out")[0]


@pytest.mark.usefixtures("results")
def test_every_file_is_there_and_described_and_says_nothing_of_the_machine(tmp_path):
    folder = ro_crate.write("quick", tmp_path / "crate")
    known = entities(folder)
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    described = {id for id, entity in known.items() if "File" in entity["@type"]}
    assert described <= files
    undescribed = files - described - {"ro-crate-metadata.json"}
    assert all(name.startswith("src/saltrust/") for name in undescribed)
    assert not any("__pycache__" in name for name in files)
    for name in described:
        if "contentSize" in known[name]:
            assert int(known[name]["contentSize"]) == (folder / name).stat().st_size
    assert all("/home/me" not in (folder / name).read_text("utf-8", "replace") for name in files)


@pytest.mark.usefixtures("results")
def test_an_archive_holds_what_a_folder_holds(tmp_path):
    folder, archive = (ro_crate.write("quick", tmp_path / name, [OPEN]) for name in ("crate", "crate.zip"))
    with zipfile.ZipFile(archive) as opened:
        packed = {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert packed == {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.mark.usefixtures("results")
def test_nothing_is_written_over_or_left_in_part(tmp_path, monkeypatch):
    (tmp_path / "taken").mkdir()
    with pytest.raises(SaltrustError, match="exists already"):
        ro_crate.write("quick", tmp_path / "taken")
    with pytest.raises(SaltrustError, match="no chapter was run on mura"):
        ro_crate.write("quick", tmp_path / "new", ["mura"])
    with pytest.raises(SaltrustError, match="nothing is published under the profile 'full'"):
        ro_crate.write("full", tmp_path / "new")
    monkeypatch.setattr(ro_crate.shutil, "make_archive", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ro_crate.write("quick", tmp_path / "new.zip")
    assert {file.name for file in tmp_path.iterdir()} == {"taken", "results"}
