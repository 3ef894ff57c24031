"""`saltrust readers`: from tables to a table and a sentence; mistakes are one line."""

import pandas as pd
import pytest
from click.testing import CliRunner

from saltrust.cli import app

HEAD = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"


def line(image, *box):
    shape = '{{""name"":""rect"",""x"":{},""y"":{},""width"":{},""height"":{}}}'.format(*box) if box else "{}"
    return f'valid_HAND_p{image}_s1_image1.png,1,{{}},1,0,"{shape}",{{}}'


def invoke(*words):
    return CliRunner().invoke(app, ["readers", *map(str, words)], prog_name="saltrust")


@pytest.fixture
def files(tmp_path):
    shift = {"rad1": 0, "rad2": 4, "rad3": 2}
    for reader, by in shift.items():
        rows = [line(k, 10 + by * (k % 3), 20, 30, 15) for k in range(12)]
        (tmp_path / f"{reader}_annotations.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return [tmp_path / f"{reader}_annotations.csv" for reader in shift]


def test_three_tables_become_one_and_a_sentence(files, tmp_path):
    out = tmp_path / "new" / "readers.csv"
    outcome = invoke(*files, "--size", "100x80", "--n-boot", "50", "--out", out)
    assert outcome.exit_code == 0, outcome.output
    table = pd.read_csv(out)
    assert list(table) == ["rater", "mode", "reference", "score", "mean", "ci_low", "ci_high", "n"]
    assert list(dict.fromkeys(table.rater)) == ["average reader", "rad1", "rad2", "rad3", "all readers"]
    head, *lines = outcome.output.splitlines()
    assert head.split()[-5:] == ["95", "%", "rad1", "rad2", "rad3", "images"][-5:]
    mean = table[(table.rater == "average reader") & (table.reference == "pairwise") & (table.score == "iou")]["mean"]
    (shown,) = [text for text in lines if text.startswith("each other reader") and " IoU " in text]
    assert f" {mean.iloc[0]:.3f} " in shown
    assert "The consensus flatters its readers: the average reader has an IoU of" in outcome.output
    assert "12 images (12 patients), 3 readers, consensus by 2 votes." in outcome.output
    assert f"Table: {out}" in outcome.output


def test_without_the_size_it_says_what_is_missing(files):
    outcome = invoke(*files, "--n-boot", "20")
    assert "need the size of the images." in outcome.output
    assert "pixel error " not in outcome.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "12"], "'12' is not a size in pixels, such as 512x400"),
        (["--votes", "4"], "4 votes of 3 readers: 1 to 3 are possible"),
        (["--chance"], "give the size of the images"),
        (["--images", "some"], "'some' is not one of 'agreed', 'all'"),
    ],
)
def test_a_mistake_is_one_line(files, words, message):
    error = invoke(*files, *words)
    text = str(error.exception) if not isinstance(error.exception, SystemExit) else error.output
    assert error.exit_code
    assert message in text


def test_one_reader_alone(files):
    assert "two readers or more, the tables have only 'rad1'" in str(invoke(files[0]).exception)
