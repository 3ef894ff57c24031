"""What the loaders of generated data share: from a card's parameters to the dataclass of the loader."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from saltrust.core.errors import SaltrustError, unknown_name

P = TypeVar("P")


def parameters(cls: type[P], kind: str, values: Mapping[str, Any]) -> P:
    """Parameters as a card writes them; lists become tuples.

    Args:
        cls: the dataclass that holds them.
        kind: what each is, as a noun ("phantom parameter").
        values: by name.

    Raises:
        SaltrustError: For an unknown name, a value of another type, or one outside its range.
    """
    types = get_type_hints(cls)
    if unknown := sorted(set(values) - set(types)):
        raise unknown_name(kind, unknown[0], types)
    given = {name: _tuples(value) for name, value in values.items()}
    for name, value in given.items():
        try:
            TypeAdapter(types[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise SaltrustError(f"{kind} '{name}': {error.errors()[0]['msg']}, not {str(values[name])[:80]}") from error
    return cls(**given)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
