"""Temporary folders: gone with their block, and told apart from those of others."""

import tempfile

import pytest

from saltrust.core import scratch


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "SHORT", str(tmp_path / "short"))
    (tmp_path / "short").mkdir()
    return tmp_path


def test_a_folder_is_there_in_its_block_and_gone_after_it_whatever_happens(temporary):
    with pytest.raises(KeyboardInterrupt), scratch.folder() as made:
        (made / "file").touch()
        assert scratch.folders() == [made]
        raise KeyboardInterrupt
    assert not made.exists()


def test_sockets_lie_where_their_paths_are_short(temporary, monkeypatch):
    monkeypatch.setattr(scratch, "LONGEST", 1)
    with scratch.folder(sockets=True) as made, scratch.folder() as other:
        assert made.parent == temporary / "short"
        assert other.parent == temporary
        assert set(scratch.folders()) == {made, other}


def test_what_others_call_alike_is_not_among_them(temporary):
    for name in ("saltrust-projects", "saltrust-tmp-12345678", "saltrust-tmp-1234567"):
        (temporary / name).mkdir()
    (temporary / "saltrust-projects" / scratch.LOCK).touch()
    (temporary / "saltrust-tmp-1234567" / scratch.LOCK).touch()
    (temporary / "saltrust-tmp-abcdefgh").symlink_to("/nowhere")
    assert scratch.folders() == []
