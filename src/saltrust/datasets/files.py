"""The files of a data set: the one way to them, which stays inside its folder; tables; a digest that tells versions
apart."""

import csv
import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from saltrust.core import user_files
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError

TEXT = (".csv", ".tsv", ".txt", ".json", ".xml", ".yaml", ".yml")  # files whose content a fingerprint covers
CHUNK = 1 << 20  # bytes that are read at a time
EMPTY = ("NaN", "nan")  # cells that hold nothing

csv.field_size_limit(sys.maxsize)  # runs and outlines are longer than csv's 131,072 characters


def inside(root: Path, relative: str) -> Path:
    """The file of that name under the root: what a table says must not open other files of this machine.

    Args:
        root: the folder of the data set.
        relative: what its tables call the file.

    Raises:
        SaltrustError: For a file that lies elsewhere, be it by an absolute path, by `..` or by a symbolic link.
    """
    user_files.named(relative)
    folder, name = os.path.split(os.path.join(root, relative))
    file = os.path.join(_real(folder), name)
    file = os.path.realpath(file) if os.path.islink(file) else os.path.normpath(file)
    base = _real(str(root))
    if os.path.isabs(relative):
        raise SaltrustError(f"'{relative}' is absolute; write it relative to the data folder {root}")
    if os.path.commonpath([file, base]) != base:
        raise SaltrustError(f"'{relative}' leaves the data folder {root}")
    return Path(folder, name)


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def opened(root: Path, file: Path) -> BinaryIO:
    """A file of a data set, opened to be read.

    Args:
        root: the folder of the data set.
        file: in it, or in a folder in it.

    Raises:
        SaltrustError: For one that lies elsewhere, be it by a link, and for what is no regular file.
    """
    return user_files.opened(inside(root, os.path.relpath(file, root)))


def walked(folder: Path, suffix: str | tuple[str, ...] = "") -> Iterator[Path]:
    """Every file in a folder and in those below it, sorted by folder and name; linked folders are not entered.

    Args:
        folder: where to look.
        suffix: how the names end, in small letters; "" for any end.

    Raises:
        SaltrustError: For a folder that cannot be read, has vanished, or is called as only a file should be.
    """
    for place, folders, names in _listed(folder):
        if suffix and (taken := [name for name in folders if name.lower().endswith(suffix)]):
            raise SaltrustError(f"{os.path.join(place, taken[0])} is a folder; only regular files are read")
        yield from (Path(place, name) for name in names if name.lower().endswith(suffix))


def _listed(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder, its folders and its files, as `os.walk` has them, but sorted and complete."""

    def stop(error: OSError) -> None:
        raise _unreadable(error) from error

    for place, folders, names in os.walk(folder, onerror=stop):
        folders.sort()
        yield place, folders, sorted(names)


def _unreadable(error: OSError) -> SaltrustError:
    if isinstance(error, FileNotFoundError):
        return SaltrustError(f"{error.filename} vanished while its data set was read; begin again")
    return SaltrustError(f"{error.filename}: the folder cannot be read: {error.strerror}")


def table(
    card: Card, name: str, columns: Sequence[str] = (), headings: Sequence[str | int] | None = None
) -> pd.DataFrame:
    """A CSV file of a data set.

    Args:
        card: of the data set.
        name: of the file, relative to the root.
        columns: those that it must have, each once.
        headings: of a file whose first line is a row already; its first columns are called so.

    Returns:
        The table as text, "" for what is empty; its rows are numbered as the lines of the file on which they end.

    Raises:
        SaltrustError: For a file that is missing, not CSV, without rows, with rows of several lengths, or without one
            of the columns.
    """
    file = present(card, name)
    content = user_files.text(user_files.opened(file))
    with at(str(file)):
        head, lines, cells = _parsed(content, headings)
        if missing := [column for column in columns if column not in head]:
            raise SaltrustError(f"no column {missing[0]!r}; columns: {', '.join(map(str, head))}")
        if twice := [column for column in columns if head.count(column) > 1]:
            raise SaltrustError(f"two columns are called {twice[0]!r}")
        if not lines:
            raise SaltrustError("has no rows")
    first = dict(reversed(list(zip(head, cells, strict=True))))  # of several columns of one name
    return pd.DataFrame({name: first[name] for name in head}, index=lines, dtype=object)


def _parsed(content: str, headings: Sequence[str | int] | None) -> tuple[list[str | int], list[int], list[list[str]]]:
    """The headings of a table, the lines on which its rows end, and the cells of each column.

    By column, since a list for each of 100,000 rows would keep Python's collector busy for many seconds.
    """
    reader = csv.reader(io.StringIO(content, newline=""), skipinitialspace=True, strict=True)
    try:
        if headings is None:
            headings = [cell.strip() for cell in next(reader, [])]
        if not headings:
            raise SaltrustError("not a CSV table: it is empty")
        named = max((place for place, heading in enumerate(headings, 1) if heading != ""), default=0)
        lines, cells = [], [[] for _ in headings]
        for row in reader:
            row = ["" if cell in EMPTY else cell for cell in row]
            if not any(row):
                continue
            if not named <= len(row) <= len(headings):
                raise SaltrustError(
                    f"not a CSV table: line {reader.line_num} has {len(row)} cells, not {len(headings)}"
                )
            lines.append(reader.line_num)
            for column, cell in zip_longest(cells, row, fillvalue=""):  # columns without a name may be left out
                column.append(cell)
    except csv.Error as error:
        raise SaltrustError(f"not a CSV table: line {reader.line_num}: {error}") from error
    return list(headings), lines, cells


def rows(card: Card, file: str, columns: Sequence[str]) -> Iterator[tuple]:
    """Line in the file and cells of those columns (text) of every row of a table. Raises SaltrustError as `table`."""
    return table(card, file, columns)[list(columns)].itertuples(name=None)


def present(card: Card, name: str) -> Path:
    """A file or folder of a data set, by its name relative to the root. Raises SaltrustError where it is missing."""
    with at(f"card '{card.name}'"):
        path = inside(card.root, name)
    if not os.path.exists(path):  # which, unlike Path's, is False also for a name too long
        raise card.not_here(f"no {'file' if path.suffix else 'folder'} {path}")
    return path


@contextmanager
def at(where: str) -> Iterator[None]:
    """Errors raised inside say where: a file and line, or an image."""
    try:
        yield
    except SaltrustError as error:
        raise SaltrustError(f"{where}: {error}") from error


def fingerprint(root: Path) -> str:
    """Digest of the tables under the root and of the size of every other file there: another version of the data has
    another one. An image that was changed without changing its size goes unnoticed.

    Of a link, where it leads counts, and its table where that lies under the root. Pipes, devices and files elsewhere
    are not read. Raises SaltrustError for a file that vanishes meanwhile, and for a table that cannot be read.
    """
    digest = hashlib.sha256()
    start, count = str(root), len(str(root))
    for place, folders, names in _listed(root):
        for file in (os.path.join(place, name) for name in names):
            found, leads = _looked_at(file)
            digest.update(os.fsencode(f"{file[count:]} {found.st_size}{leads}\n"))
            if file.lower().endswith(TEXT) and (_is_own(start, file) if leads else stat.S_ISREG(found.st_mode)):
                with opened(root, Path(file)) as stream:
                    while part := stream.read(CHUNK):
                        digest.update(part)
        for folder in (os.path.join(place, name) for name in folders):
            if os.path.islink(folder):
                digest.update(os.fsencode(f"{folder[count:]}{_looked_at(folder)[1]}\n"))
    return digest.hexdigest()[:16]


def _looked_at(file: str) -> tuple[os.stat_result, str]:
    """What a file is, and where it leads if it is a link. Raises SaltrustError where it has vanished."""
    try:
        found = os.lstat(file)
        return found, f" -> {os.readlink(file)}" if stat.S_ISLNK(found.st_mode) else ""
    except OSError as error:
        raise _unreadable(error) from error


def _is_own(root: str, link: str) -> bool:
    """Whether a link leads to a file under the root."""
    base, target = _real(root), os.path.realpath(link)
    return os.path.commonpath([target, base]) == base and os.path.isfile(target)
