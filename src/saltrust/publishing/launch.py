"""Links from the book's pages to the chapters' source on the web and to places that run them: book/launch.yaml."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from urllib.parse import quote, urlsplit

import yaml

from saltrust.core import paths
from saltrust.core.errors import SaltrustError, unknown_name

FILE = paths.BOOK / "launch.yaml"
KEYS = ("source", "launch")
FIELDS = ("chapter", "dataset")


@dataclass(frozen=True)
class Links:
    """Addresses of one chapter. source: on the web, or empty. launch: by the words of the link."""

    source: str
    launch: dict[str, str]


def links(chapter: str, dataset: str, file: Path | None = None) -> Links:
    """The links of a page as the file configures them; none where there is no file or its entries are empty.

    Raises SaltrustError, naming the file, for an entry that is not known or no address.
    """
    file = file or FILE
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        found = {key: _filled(text, chapter, dataset) for key, text in _addresses(given or {})}
    except (SaltrustError, yaml.YAMLError) as error:
        raise SaltrustError(f"{file}: {error}") from error
    return Links(found.pop("", ""), found)


def _addresses(given: object) -> Iterator[tuple[str, str]]:
    """Each address with the words of its link; the source's are empty."""
    if not isinstance(given, dict):
        raise SaltrustError(f"must hold {' and '.join(KEYS)}")
    if unknown := [key for key in given if key not in KEYS]:
        raise unknown_name("entry", str(unknown[0]), KEYS)
    services = given.get("launch") or {}
    if not isinstance(services, dict):
        raise SaltrustError("launch: write `words of the link: address`")
    for words, text in {"": given.get("source"), **services}.items():
        if text:
            yield words, text


def _filled(text: str, chapter: str, dataset: str) -> str:
    try:
        named = {field for _, field, _, _ in Formatter().parse(text) if field is not None}
    except (TypeError, ValueError) as error:
        raise SaltrustError(f"{text!r} is not an address: {error}") from error
    if unknown := named - set(FIELDS):
        raise unknown_name("field", min(unknown), FIELDS)
    if "chapter" not in named or urlsplit(text).scheme not in ("http", "https"):
        raise SaltrustError(f"'{text}' must be an address with http:// or https:// that holds {{chapter}}")
    return text.format(chapter=quote(chapter), dataset=quote(dataset))
