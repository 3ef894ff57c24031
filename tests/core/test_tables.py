"""Tables as readers see them: rounded down the column, whole numbers whole."""

import pytest

from saltrust.core.errors import SaltrustError
from saltrust.core.tables import columns, read_csv, rounded


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (("1", "-20"), ("1", "\N{MINUS SIGN}20")),
        (("0.5", "0.1239"), ("0.500", "0.124")),
        (("12.3456", "1"), ("12.35", "1.00")),
        (("1234.5", ""), ("1234", "")),
        (("0.00001234", "0.5"), ("1e\N{MINUS SIGN}05", "0.500")),
        (("0.133", "-0.00028", "0.0", "-0.0015"), ("0.133", "\N{MINUS SIGN}0.0003", "0.000", "\N{MINUS SIGN}0.002")),
        (("1234.5", "0.01"), ("1234", "0.01")),
        (("1234.5", "0.5"), ("1234", "0.5")),
        (("0.0000299", "0.0879"), ("2.99e\N{MINUS SIGN}05", "0.0879")),
        (("inf", "0.00001"), ("inf", "1e\N{MINUS SIGN}05")),
        (("nan", "0.5"), ("undefined", "0.500")),
        (("5.0", "", "12.0"), ("5", "", "12")),  # whole numbers with a gap, as pandas writes them
        (("5.0", "", "12.5"), ("5.00", "", "12.50")),
        (("1.0", "1.0"), ("1.000", "1.000")),  # without a gap: scores that happen to be whole
    ],
)
def test_rounding(cells, shown):
    assert rounded(cells) == shown


def test_a_column_of_words_stays_as_it_is():
    words, numbers, empty = columns([["1e3 or so", "1", ""], ["2", "", ""]], 3)
    assert (words.cells, words.numeric) == (("1e3 or so", "2"), False)
    assert (numbers.cells, numbers.numeric) == (("1", ""), True)
    assert (empty.cells, empty.numeric) == (("", ""), False)


def test_a_ragged_table_is_refused(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1\n")
    with pytest.raises(SaltrustError, match="a.csv: the rows do not all have the same number of cells"):
        read_csv(file)
