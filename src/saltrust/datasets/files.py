"""The files of a data set: paths that stay inside its folder, tables, and a digest that tells versions apart."""

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pandas as pd

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError

TEXT = (".csv", ".tsv", ".txt", ".json", ".xml", ".yaml", ".yml")  # files whose content a fingerprint covers


def inside(root: Path, relative: str) -> Path:
    """The file of that name under the root: what a table says must not open other files of this machine.

    Args:
        root: the folder of the data set.
        relative: what its tables call the file.

    Raises:
        SaltrustError: For a file that lies elsewhere, be it by an absolute path, by `..` or by a symbolic link.
    """
    folder, name = os.path.split(os.path.join(root, relative))
    if "\0" in relative:
        raise SaltrustError(f"{relative!r} is not the name of a file")
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


def table(card: Card, name: str, columns: Sequence[str] = (), **options) -> pd.DataFrame:
    """A CSV file of a data set.

    Args:
        card: of the data set.
        name: of the file, relative to the root.
        columns: those that it must have.
        options: of pandas' `read_csv`.

    Returns:
        The table as text, "" for what is empty; its rows are numbered as the lines of the file.

    Raises:
        SaltrustError: For a file that is missing, not CSV, without rows or without one of the columns.
    """
    file = present(card, name)
    options = {"dtype": str, "skipinitialspace": True, "index_col": False, "skip_blank_lines": False} | options
    options |= {"keep_default_na": False, "na_values": ["", "NaN", "nan"]}  # a class may be "None"
    try:
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):  # it would cut the rows
            content = pd.read_csv(file, encoding="utf-8-sig", **options)
    except (ValueError, OSError, pd.errors.ParserWarning) as error:  # pandas' own errors are ValueErrors
        raise SaltrustError(f"{file}: not a CSV table: {' '.join(str(error).split())}") from error
    content.columns = [str(column).strip() for column in content.columns]
    if missing := [column for column in columns if column not in content.columns]:
        raise SaltrustError(f"{file}: no column {missing[0]!r}; columns: {', '.join(content.columns)}")
    first = 1 if options.get("header", 0) is None else 2
    content.index = range(first, len(content) + first)
    content = content.dropna(how="all").fillna("")
    if content.empty:
        raise SaltrustError(f"{file}: has no rows")
    return content


def rows(card: Card, file: str, columns: Sequence[str]) -> Iterator[tuple]:
    """Line in the file and cells of those columns (text) of every row of a table. Raises SaltrustError as `table`."""
    return table(card, file, columns)[list(columns)].itertuples(name=None)


def present(card: Card, name: str) -> Path:
    """A file or folder of a data set, by its name relative to the root. Raises SaltrustError where it is missing."""
    with at(f"card '{card.name}'"):
        path = inside(card.root, name)
    if not os.path.exists(path):  # which, unlike Path's, is False also for a name too long
        raise not_here(card, f"no {'file' if path.suffix else 'folder'} {path}")
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
    another one. An image that was changed without changing its size goes unnoticed."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            file = os.path.join(folder, name)
            digest.update(f"{file[len(str(root)) :]} {os.lstat(file).st_size}\n".encode())
            if name.lower().endswith(TEXT):
                digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]


def not_here(card: Card, what: str) -> SaltrustError:
    return SaltrustError(f"data set '{card.name}' is not on this machine: {what} (get it from {card.get.source})")
