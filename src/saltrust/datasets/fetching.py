"""Bring the archives of a data set to this machine, and their files to the place that its card names."""

import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from saltrust.core import user_files
from saltrust.core.card_parts import Archive
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.interruption import uninterrupted

TIMEOUT = 30  # seconds without an answer
CHUNK = 1 << 16  # bytes that are fetched at a time


def fetch(card: Card) -> Path:
    """Fill the folder of a data set from the archives of its card, whole or not at all.

    Each archive is compared with its checksum before it is unpacked. A folder that is there already stays as it is.

    Args:
        card: of the data set.

    Returns:
        The folder.

    Raises:
        SaltrustError: The card has no archives; one cannot be fetched, is another file, or cannot be unpacked.
    """
    root = card.root
    if root is None:
        raise SaltrustError(f"data set '{card.name}' is generated: there is nothing to get")
    if os.path.isdir(root):
        return root
    if not card.get.archives:
        raise SaltrustError(f"data set '{card.name}' is not free to fetch: ask for it at {card.get.source}")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{root.name[:40]}.", dir=root.parent))  # beside it: it will be renamed
    except OSError as error:
        raise SaltrustError(f"data set '{card.name}': no folder can be made for {root}: {error.strerror}") from error
    try:
        files = made / "files"
        for archive in card.get.archives:
            _unpack(_checked(card, archive, made / "archive"), archive.url, files)
        _put(files, root)
    finally:
        with uninterrupted():
            shutil.rmtree(made, ignore_errors=True)
    return root


def _put(files: Path, root: Path) -> None:
    try:
        files.rename(root)
    except OSError as error:
        if not root.is_dir():  # else another process was faster, with the same files
            raise SaltrustError(f"{root} cannot be made: {error.strerror}") from error


def _checked(card: Card, archive: Archive, downloaded: Path) -> Path:
    """The file of an archive, which is what its checksum says."""
    import pooch

    if archive.is_web:
        file = _downloaded(archive.url, downloaded)
    else:
        file = card.folder / archive.url
        user_files.opened(file, "archive").close()
    kind = archive.checksum.partition(":")[0]
    if (found := f"{kind}:{pooch.file_hash(str(file), alg=kind)}") != archive.checksum:
        raise SaltrustError(f"{archive.url} is another file: its checksum is {found}, not {archive.checksum}")
    return file


def _downloaded(url: str, target: Path) -> Path:
    import pooch
    import requests
    from tqdm.auto import tqdm

    with tqdm(desc=f"fetching {url}", total=1, unit="B", unit_scale=True, leave=False) as bar:  # pooch sets the total
        fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=TIMEOUT)
        try:
            fetch(url, str(target), None)
        except (requests.RequestException, OSError) as error:
            raise SaltrustError(f"{url} cannot be fetched: {error}") from error
    return target


def _unpack(file: Path, name: str, folder: Path) -> None:
    """Unpack an archive into a folder; names in it that lead elsewhere are made to stay there. name: for errors."""
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise SaltrustError(f"{name} cannot be unpacked: {error}") from error
