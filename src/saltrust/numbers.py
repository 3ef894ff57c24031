"""How a computed number is written in prose."""


def written(value: float | int | str, spec: str = "") -> str:
    """A value as text. spec: a Python format, by default .3g for floats. Numbers get a true minus sign.

    Raises ValueError for a format that does not fit the value.
    """
    text = format(value, spec or (".3g" if isinstance(value, float) else ""))
    return text if isinstance(value, str) else text.replace("-", "\N{MINUS SIGN}")
