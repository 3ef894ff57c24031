"""How a computed number, or a length of time, is written in prose."""


def written(value: float | int | str, spec: str = "") -> str:
    """A value as text. spec: a Python format, by default .3g for floats. Numbers get a true minus sign.

    Raises ValueError for a format that does not fit the value.
    """
    text = format(value, spec or (".3g" if isinstance(value, float) else ""))
    return text if isinstance(value, str) else text.replace("-", "\N{MINUS SIGN}")


def about(seconds: float) -> str:
    """A rough length of time: "under 1 s", "20 s", "3 min", "2.5 h"."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
