"""`saltrust quiz`: a page and its key, and what answers say; mistakes are one line."""

import pandas as pd
import pytest
from click.testing import CliRunner

from saltrust.analysis.quiz_reading import ARMS
from saltrust.cli import app
from saltrust.publishing.quiz_page import page
from tests import quizzes


def invoke(*words):
    return CliRunner().invoke(app, ["quiz", *map(str, words)], prog_name="saltrust")


@pytest.fixture
def made():
    return page(quizzes.items())[1]


def test_answers_become_tables_a_model_and_a_csv_file(made, tmp_path):
    key = quizzes.write(tmp_path, "key", made)
    files = [
        quizzes.write(
            tmp_path,
            f"answers-{number}",
            saved := quizzes.saved(
                made,
                number,
                right=lambda task, trial, number=number: (trial + number // 4) % 4 < 2 + (number % 4 > 1),
                features=["f1"],
            ),
        )
        for number in range(1, 17)
    ]
    assert saved["arm"] == ARMS[0]
    files.append(quizzes.write(tmp_path, "cut", "{"))
    out = tmp_path / "new" / "table.csv"
    outcome = invoke("read", key, *files, "--out", out, "--n-boot", 50)
    assert outcome.exit_code == 0, outcome.output
    lines = outcome.output.splitlines()
    assert lines[0].startswith("cut.json is left out: not JSON")
    assert "64 answers of 16 participants; drawn for a test" in lines
    table = pd.read_csv(out)
    assert len(table) == 64
    shares = table.groupby("arm")["right"].mean()
    assert shares.to_dict() == {"neither": 0.5, "scores": 0.5, "maps": 0.75, "both": 0.75}
    for arm, share in shares.items():
        (shown,) = [line for line in lines if line.split()[:2] == ["right", arm]]
        assert shown.split()[2] == f"{share:.3f}"
    assert any(line.split()[:1] == ["maps:scores"] for line in lines)
    assert any(line.startswith("Standard deviations of the intercepts: participant 0.00, task ") for line in lines)
    assert f"Table: {out}" in lines


def test_one_participant_has_no_model_and_is_told_so(made, tmp_path):
    files = quizzes.write(tmp_path, "key", made), quizzes.write(tmp_path, "one", quizzes.saved(made))
    outcome = invoke("read", *files)
    assert outcome.exit_code == 0, outcome.output
    assert "4 answers of 1 participant; drawn for a test" in outcome.output
    assert "No mixed model: a mixed model of the answers needs two participants or more" in outcome.output


def test_where_no_answer_counts_each_file_has_its_line_and_the_command_fails(made, tmp_path):
    key = quizzes.write(tmp_path, "key", made)
    files = [quizzes.write(tmp_path, f"cut-{k}", "{") for k in range(3)]
    outcome = invoke("read", key, *files, key)
    assert [line.partition(" ")[0] for line in outcome.output.splitlines() if line] == [
        *("cut-0.json", "cut-1.json", "cut-2.json", "key.json")
    ]
    assert str(outcome.exception) == "no answer counts; files that were read: 4"


def test_answers_of_a_classroom_are_no_study_and_say_so(tmp_path):
    made = page(quizzes.items(), classroom=True)[1]
    files = quizzes.write(tmp_path, "key", made), quizzes.write(tmp_path, "one", quizzes.saved(made))
    assert "this is no study" in invoke("read", *files).output


def test_a_page_is_not_written_over_and_that_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("saltrust.study.quiz.quiz_items", lambda *given: pytest.fail("it has begun"))
    (tmp_path / "quiz.html").write_text("of a study that runs")
    outcome = invoke("make", "--out", tmp_path / "quiz.html")
    assert "exists already" in str(outcome.exception)


def test_a_page_and_its_key_are_written(tmp_path, monkeypatch):
    asked = []

    def items(study, tasks, seed, network):
        asked.append((study.card.name, study.profile.name, tasks, seed, network))
        return quizzes.items(tasks)

    monkeypatch.setattr("saltrust.study.quiz.quiz_items", items)
    monkeypatch.setattr("saltrust.core.paths.STORE", tmp_path / "store")
    out = tmp_path / "new" / "q.html"
    outcome = invoke("make", "--out", out, "--profile", "smoke", "--classroom", "--seed", 3, "--network", "vgg16-1")
    assert outcome.exit_code == 0, outcome.output
    assert asked == [("cells", "smoke", 4, 3, "vgg16-1")]
    assert f"Page: {out} (0." in outcome.output
    assert "4 tasks; drawn for a test)" in outcome.output
    assert f"Key: {out}.key.json; keep it to yourself" in outcome.output
    assert "So the solutions are in this" in out.read_text()
    invoke("make", "--out", tmp_path / "r.html", "--tasks", 6)
    assert asked[1] == ("cells", "quick", 6, 0, None)
    assert invoke("make", "--out", tmp_path / "s.html").exit_code == 0
    assert asked[2][2] == 14


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["read", "nosuch.json", "a.json"], "no key nosuch.json"),
        (["read", "nosuch.json"], "Missing argument 'ANSWERS...'"),
        (["make", "--dataset", "phantom-pneumonia"], "what its classes are drawn with is not known"),
        (["make", "--dataset", "cell"], "cell"),
        (["make", "--profile", "quik"], "unknown profile 'quik'"),
        (["make", "--seed", "-1"], "-1 is not in the range"),
        (["make", "--network", "alexnet-9"], "unknown classifier 'alexnet-9'"),
    ],
)
def test_a_mistake_is_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("saltrust.core.paths.STORE", tmp_path / "store")
    outcome = invoke(*words)
    text = str(outcome.exception) if not isinstance(outcome.exception, SystemExit) else outcome.output
    assert outcome.exit_code
    assert message in text
    assert not (tmp_path / "quiz.html").exists()
