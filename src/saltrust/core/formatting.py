"""How a computed number, or a length of time, is written in prose."""


def written(value: float | int | str, spec: str = "") -> str:
    """A value as text.

    Args:
        value: a number, or a text, which stays as it is. Numbers get a true minus sign, and NaN a word.
        spec: a Python format; by default .3g for floats.

    Raises:
        ValueError: the format does not fit the value.

    >>> written(0.12345), written(0.451, ".0%"), written(3), written("XRAI")
    ('0.123', '45%', '3', 'XRAI')
    """
    text = format(value, spec or (".3g" if isinstance(value, float) else ""))
    if value != value:  # NaN alone differs from itself
        return "undefined"
    return text if isinstance(value, str) else text.replace("-", "\N{MINUS SIGN}")


def rough_duration(seconds: float) -> str:
    """A length of time in one or two digits.

    >>> [rough_duration(seconds) for seconds in (0.2, 20, 200, 9000)]
    ['under 1 s', '20 s', '3 min', '2.5 h']
    """
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def rough_range(low: float, high: float) -> str:
    """Two lengths of time, or one where they read alike.

    >>> rough_range(20, 200), rough_range(0.1, 0.2)
    ('20 s to 3 min', 'under 1 s')
    """
    ends = rough_duration(low), rough_duration(high)
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
