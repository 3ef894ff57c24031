"""What the loaders of generated data share: the parameters of a card, in the types that they have."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from saltrust.core.errors import SaltrustError, unknown_name

P = TypeVar("P")


def parameters(kind: type[P], values: Mapping[str, Any], what: str) -> P:
    """Parameters from a data card's mapping, whose lists become tuples.

    Args:
        kind: their dataclass.
        values: by name.
        what: errors call the data, as a noun ("phantom").

    Raises:
        SaltrustError: For a name that is unknown, and a value of another type or outside its range.
    """
    if unknown := sorted(set(values) - {field.name for field in fields(kind)}):
        raise unknown_name(f"{what} parameter", unknown[0], (field.name for field in fields(kind)))
    given = {name: _tuples(value) for name, value in values.items()}
    with suppress(TypeError):  # of values that cannot be compared, of which the types say more
        kind(**given)
    types = get_type_hints(kind)
    for name, value in given.items():
        try:
            TypeAdapter(types[name]).validate_python(value, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = "".join(f"[{part}]" for part in first["loc"])
            raise SaltrustError(f"{what}: {name}{where}: {first['msg']}, not {value!r:.80}") from error
    return kind(**given)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
