"""An executed notebook reads with its numbers, and keeps the names that the book needs."""

import nbformat
from nbformat import v4

from saltrust.chapters import prose
from saltrust.publishing import blocks

NUMBERS = {"models/auc": 0.8765, "models/drop": -0.5, "models/best": "XRAI"}
TEXT = (
    "The AUC is {num}`models/auc\n.2f`, {num}`models/drop +.1f`, of {num}`models/best`; {num}`models/none`.\n"
    "{cite:t}`arun2021assessing` and {cite}`arun2021assessing,kim2024x` say {term}`maps <saliency map>`.\n"
    "See [](../../concepts/ssim.md), [](#phantom-verdict) and [words](verdict.md)."
)


def test_roles_become_words_and_numbers():
    assert prose.readable(TEXT, NUMBERS) == (
        "The AUC is 0.88, −0.5, of XRAI; not computed.\n"
        "Arun 2021 and Arun 2021, Kim 2024 say maps.\n"
        "See *ssim* in the book, *phantom-verdict* in the book and [words](verdict.md)."
    )


def test_a_notebook_reads_with_its_numbers_and_gives_back_what_was_written(tmp_path):
    file = tmp_path / "models.ipynb"
    cells = [v4.new_markdown_cell("# Models\n\nIntroduction."), v4.new_code_cell("a = 1"), v4.new_markdown_cell(TEXT)]
    nbformat.write(v4.new_notebook(cells=cells), file)
    before = blocks.of_cells(nbformat.read(file, as_version=4).cells)
    prose.fill_in(file, NUMBERS)
    first, code, last = nbformat.read(file, as_version=4).cells
    assert first.source == f"# Models\n\nIntroduction.\n\n{prose.RECORD}"
    assert "{" not in last.source
    assert "0.88" in last.source
    assert code.source == "a = 1"
    assert [prose.as_written(cell) for cell in (first, last)] == [cells[0].source, TEXT]
    after = blocks.of_cells(nbformat.read(file, as_version=4).cells)
    assert after == before  # the book sees no difference
