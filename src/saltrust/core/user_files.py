"""Files that a user names: the one place where they are opened, and what may stand in them as text, number or JSON.

Whatever is wrong with a file is a SaltrustError that names it.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from saltrust.core.errors import SaltrustError
from saltrust.core.visible import hidden

KINDS: dict[str, Callable[[int], bool]] = {
    "a folder": stat.S_ISDIR,
    "a pipe": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
}
"""What else than a file may have the name of one."""

NUMBER = re.compile(r"\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")


def opened(file: Path | str, what: str = "file") -> BinaryIO:
    """A regular file, opened to be read. A pipe, on which one would wait for ever, and a device are not opened.

    Args:
        file: the file, or a link to it.
        what: the errors call it.

    Raises:
        SaltrustError: It is missing, something else than a file, or may not be read.
    """
    try:
        mode = os.stat(file).st_mode  # before it is opened: to open a device may do something
        if stat.S_ISREG(mode):
            stream = open(file, "rb", opener=_without_waiting)  # noqa: SIM115
            if stat.S_ISREG(mode := os.fstat(stream.fileno()).st_mode):
                return stream
            stream.close()
    except (FileNotFoundError, NotADirectoryError):
        raise SaltrustError(f"no {what} {file}") from None
    except (OSError, ValueError) as error:
        raise SaltrustError(f"{file}: cannot be opened: {_reason(error)}") from error
    kind = next((name for name, is_of in KINDS.items() if is_of(mode)), "no regular file")
    raise SaltrustError(f"{file} is {kind}; only regular files are read")


def _without_waiting(file: str, flags: int) -> int:
    return os.open(file, flags | os.O_NONBLOCK)  # it may have become a pipe meanwhile


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "it is a link that leads back to itself"
    return getattr(error, "strerror", None) or str(error)


def text(stream: BinaryIO) -> str:
    """The text of a file in UTF-8, and its end. Closes it. Raises SaltrustError for other bytes."""
    with stream:
        try:
            return stream.read().decode("utf-8-sig")
        except (UnicodeDecodeError, OSError) as error:
            raise SaltrustError(f"{stream.name}: not a text file in UTF-8: {error}") from error


def read_json(stream: BinaryIO) -> Any:
    """The content of a JSON file. Closes it.

    Raises:
        SaltrustError: It is not JSON, is nested too deeply, names a field twice, or holds a text that is none.
    """
    with stream:
        try:
            return parsed_json(stream.read())
        except (SaltrustError, OSError) as error:
            raise SaltrustError(f"{stream.name}: {error}") from error


def parsed_json(content: str | bytes) -> Any:
    """What a text in JSON says. Raises SaltrustError as `read_json` does."""
    try:
        return json.loads(content, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:  # also numbers of too many digits, and bytes that are no text
        raise SaltrustError(f"not JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise SaltrustError(f"not JSON: '{next(n for n in names if names.count(n) > 1)}' is there twice in one object")
    for value in found.values():
        if type(value) is str and not value.isascii():
            encodable(value)
    return found


def encodable(value: str) -> str:
    """The text itself. Raises SaltrustError where it holds half a character, which no file can be called."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SaltrustError(f"{value[:40]!r} is not a text: {error.reason}") from error
    return value


def number(written: str) -> float:
    """The number that a text is, in the digits 0 to 9.

    Args:
        written: such as "12", " -0.5" or "1e3".

    Raises:
        SaltrustError: It is none, or not finite.

    >>> number("1e3")
    1000.0
    """
    if not NUMBER.fullmatch(written) or (value := float(written)) in (float("inf"), float("-inf")):
        raise SaltrustError(f"'{written[:40]}' is not a number")
    return value


def named(name: str) -> str:
    """A file's name, as it stands. Raises SaltrustError for one with a character that is not seen."""
    if character := hidden(name):
        raise SaltrustError(f"{name[:80]!r} is not the name of a file: it holds the character {character!r}")
    return name


def expanded(path: str) -> Path:
    """A path with "~" filled in. Raises SaltrustError where there is no such user."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError) as error:
        raise SaltrustError(f"'{path}': no such user's folder") from error
