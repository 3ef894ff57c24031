"""What every error of a user's mistake must be."""

from saltrust.core.errors import SaltrustError


def one_line(error: SaltrustError, *says: str) -> None:
    """An error is one printable line, not too long, that says what is expected of it."""
    text = str(error)
    assert text.isprintable(), text
    assert len(text) < 2_100
    assert all(part in text for part in says), text
