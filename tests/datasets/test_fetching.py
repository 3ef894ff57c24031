import hashlib
import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.datasets.fetching import fetch
from saltrust.datasets.loaders import loader_of

CARD = """
name: {name}
finding: spot
truth: none
get: {{root: "$SALTRUST_DATA/{name}", source: its maker, archives: {archives}}}
table: {{file: index.csv, image: image, label: label, split: split}}
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """Serves a folder on this machine; yields the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("SALTRUST_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def archived(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # of 1980: names of tests hold the checksum, alike in each process
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return content.getvalue()


def images():
    """A table and two images for each split."""
    rows, members = ["image,label,split"], {}
    for split in ("train", "val", "test"):
        for label in (0, 1):
            name, png = f"{split}{label}.png", io.BytesIO()
            Image.fromarray(np.full((40, 40), 100 * label + 50, np.uint8)).save(png, "PNG")
            members[name] = png.getvalue()
            rows.append(f"{name},{label},{split}")
    return {"index.csv": "\n".join(rows).encode(), **members}


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def card_of(tmp_path, *archives, name="spots"):
    file = tmp_path / f"{name}.yaml"
    listed = ", ".join(f"{{url: '{url}', checksum: '{checksum}'}}" for url, checksum in archives)
    file.write_text(CARD.format(name=name, archives=f"[{listed}]"))
    return data_cards.load(str(file))


def test_archives_of_a_server_fill_the_folder(tmp_path, server, data):
    folder, address = server
    members = images()
    table, rest = archived({"index.csv": members.pop("index.csv")}), archived(members)
    (folder / "table.zip").write_bytes(table)
    (folder / "rest.zip").write_bytes(rest)
    md5 = f"md5:{hashlib.md5(rest).hexdigest()}"
    card = card_of(tmp_path, (f"{address}/table.zip", sha256(table)), (f"{address}/rest.zip", md5))
    assert not card.available
    with pytest.raises(SaltrustError, match="`saltrust datasets get spots`"):
        loader_of(card).fingerprint(card)
    assert fetch(card) == data / "spots"
    assert card.available
    assert [path.name for path in data.iterdir()] == ["spots"]
    assert loader_of(card).load(card, "test", None, 40, 0).pixels.shape == (2, 40, 40)
    (folder / "table.zip").unlink()
    assert fetch(card) == data / "spots"  # what is there stays


def test_an_archive_beside_the_card_is_read_as_it_is(tmp_path, data):
    content = archived(images())
    (tmp_path / "spots.zip").write_bytes(content)
    card = card_of(tmp_path, ("spots.zip", sha256(content)))
    assert card.available
    assert not data.exists()
    assert loader_of(card).load(card, "val", None, 40, 0).labels.sum() == 1
    assert [path.name for path in data.iterdir()] == ["spots"]


def test_a_card_that_moves_finds_its_archive(tmp_path, data):
    content = archived(images())
    (tmp_path / "spots.zip").write_bytes(content)
    card = data_cards.with_models(card_of(tmp_path, ("spots.zip", sha256(content))), card_with_model(), "assessed")
    moved = data_cards.load(str(data_cards.save(card, tmp_path / "elsewhere")))
    assert len(loader_of(moved).load(moved, "train", None, 40, 0).labels) == 2


def test_another_folder_is_never_filled(tmp_path, data):
    content = archived(images())
    (tmp_path / "spots.zip").write_bytes(content)
    card = data_cards.rooted(card_of(tmp_path, ("spots.zip", sha256(content))), str(tmp_path / "elsewhere"))
    assert not card.available
    with pytest.raises(SaltrustError, match="no folder .*elsewhere .get it from its maker"):
        loader_of(card).fingerprint(card)
    assert not (tmp_path / "elsewhere").exists()


def card_with_model():
    from saltrust.core.card_parts import Model

    return [Model(name="own", source="own.pt")]


def test_names_that_lead_elsewhere_stay_inside(tmp_path, data):
    content = archived({"../../out.txt": b"out", "/abs.txt": b"abs"})
    (tmp_path / "spots.zip").write_bytes(content)
    root = fetch(card_of(tmp_path, ("spots.zip", sha256(content))))
    assert sorted(path.name for path in root.rglob("*")) == ["abs.txt", "out.txt"]
    assert not (tmp_path / "out.txt").exists()


GOOD = archived({"a.txt": b"a" * 1000})
REFUSED = {
    "a missing archive": (None, sha256(GOOD), "404"),
    "another file": (GOOD + b"x", sha256(GOOD), "is another file: its checksum is sha256:"),
    "half a file": (GOOD[: len(GOOD) // 2], sha256(GOOD), "is another file"),
    "no archive": (b"nothing", sha256(b"nothing"), "cannot be unpacked: File is not a zip file"),
    "a damaged archive": (GOOD[:40] + b"??" + GOOD[42:], sha256(GOOD[:40] + b"??" + GOOD[42:]), "cannot be unpacked"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_leaves_nothing(case, tmp_path, server, data):
    content, checksum, message = REFUSED[case]
    folder, address = server
    if content is not None:
        (folder / "spots.zip").write_bytes(content)
    with pytest.raises(SaltrustError, match=message):
        fetch(card_of(tmp_path, (f"{address}/spots.zip", checksum)))
    assert list(data.iterdir()) == []


def test_an_interruption_leaves_nothing(tmp_path, data, monkeypatch):
    (tmp_path / "spots.zip").write_bytes(GOOD)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "extractall", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(card_of(tmp_path, ("spots.zip", sha256(GOOD))))
    assert list(data.iterdir()) == []


def test_of_two_that_unpack_at_once_both_have_the_files(tmp_path, data, monkeypatch):
    (tmp_path / "spots.zip").write_bytes(GOOD)
    card, unpack = card_of(tmp_path, ("spots.zip", sha256(GOOD))), zipfile.ZipFile.extractall

    def overtaken(archive, folder):
        monkeypatch.setattr(zipfile.ZipFile, "extractall", unpack)
        assert fetch(card) == data / "spots"
        unpack(archive, folder)

    monkeypatch.setattr(zipfile.ZipFile, "extractall", overtaken)
    assert fetch(card) == data / "spots"
    assert [path.name for path in data.rglob("*")] == ["spots", "a.txt"]


def test_a_server_that_does_not_answer(tmp_path, data):
    with pytest.raises(SaltrustError, match=r"http://127\.0\.0\.1:9/a\.zip cannot be fetched"):
        fetch(card_of(tmp_path, ("http://127.0.0.1:9/a.zip", sha256(GOOD))))


@pytest.mark.parametrize(
    ("name", "message"),
    [("cells", "is generated: there is nothing to get"), ("mura", "is not free to fetch: ask for it at stanfordml")],
)
def test_what_cannot_be_fetched_says_why(name, message, data):
    with pytest.raises(SaltrustError, match=message):
        fetch(data_cards.load(name))


@pytest.mark.parametrize(
    ("url", "checksum", "message"),
    [
        ("ftp://somewhere/a.zip", sha256(GOOD), r"url: must begin with https:// or http://"),
        ("file:///etc/passwd", sha256(GOOD), r"url: must begin with https:// or http://"),
        ("a.zip", "sha256:abc", "checksum"),
        ("a.zip", hashlib.sha256(GOOD).hexdigest(), "checksum"),
    ],
)
def test_cards_with_bad_archives_are_refused(url, checksum, message, tmp_path):
    with pytest.raises(SaltrustError, match=message):
        card_of(tmp_path, (url, checksum))


def test_the_set_that_travels_with_the_project_is_what_its_card_says(data):
    card = data_cards.load("fracatlas-tiles")
    test = loader_of(card).load(card, "test", None, 128, 0)
    assert test.pixels.shape == (281, 128, 128)
    assert test.truth[test.labels == 1].any(axis=(1, 2)).all()
    assert (card.folder / card.get.archives[0].url).stat().st_size <= 8e6
