"""Links from the book's pages to the chapters' source on the web and to places that run them: book/launch.yaml."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from saltrust.core import paths, yaml_files
from saltrust.core.errors import SaltrustError, unknown_name

FILE = paths.BOOK / "launch.yaml"
KEYS = ("source", "launch")


@dataclass(frozen=True)
class Links:
    """Addresses of one chapter. source: on the web, or empty. launch: by the words of the link."""

    source: str
    launch: dict[str, str]


def links(chapter: str, dataset: str, file: Path | None = None) -> Links:
    """The links of a page as the file configures them; none where there is no file or its entries are empty.

    Raises:
        SaltrustError: naming the file, for an entry that is not known or no address.
    """
    file, fields = file or FILE, {"chapter": quote(chapter), "dataset": quote(dataset)}
    given = (yaml_files.read(file) if file.is_file() else None) or {}
    try:
        if not isinstance(given, dict):
            raise SaltrustError(f"must hold {' and '.join(KEYS)}")
        if unknown := [key for key in given if key not in KEYS]:
            raise unknown_name("entry", unknown[0], KEYS)
        services = given.get("launch") or {}
        if not isinstance(services, dict):
            raise SaltrustError("launch: write `words of the link: address`")
        launch = {words: _filled(text, fields) for words, text in services.items() if text}
        return Links(_filled(given.get("source") or "", fields), launch)
    except SaltrustError as error:
        raise SaltrustError(f"{file}: {error}") from error


def _filled(text: str, fields: dict[str, str]) -> str:
    try:
        address = text.format(**fields)
    except KeyError as error:
        raise unknown_name("field", error.args[0], fields) from error
    except (AttributeError, IndexError, ValueError) as error:
        raise SaltrustError(f"{text!r} is not an address: {error}") from error
    if text and ("{chapter}" not in text or urlsplit(text).scheme not in ("http", "https")):
        raise SaltrustError(f"'{text}' must be an address with http:// or https:// that holds {{chapter}}")
    return address
