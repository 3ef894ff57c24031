"""Numbers that a solution works out by hand are those that follow from the paper's."""

import re

import numpy as np
import pytest
from scipy.stats import t

from saltrust.core import paths
from saltrust.scores.alarm import Alarm, choose, f1, swapped
from saltrust.scores.distinctness import distances, distinctness, products
from saltrust.stats.selective import aurc, error_auroc, excess_aurc, risk_at, risk_coverage


def solution(label: str) -> str:
    """The text of an exercise, from its label to the next."""
    text = (paths.BOOK / "exercises.md").read_text(encoding="utf-8")
    return text.partition(f"({label})=")[2].partition("\n(exercise-")[0]


def page(name: str) -> str:
    """The text of a page on a concept."""
    return (paths.BOOK / "concepts" / f"{name}.md").read_text(encoding="utf-8")


def table(text: str, name: str) -> list[list[str]]:
    """The rows of a list-table below its header."""
    rows = text.partition(f":name: {name}\n")[2].partition("\n:::")[0].split("\n* - ")[1:]
    return [row.split("\n  - ") for row in rows][1:]


def test_passing_by_a_hair_counts_networks_not_images():
    """Table S1: 0.430 ± 0.106, the standard deviation of the means of three networks."""
    text = solution("exercise-by-a-hair")
    mean, sd, networks, images = 0.430, 0.106, 3, 100
    error = sd / np.sqrt(networks)
    quantile = t.ppf(0.975, networks - 1)
    low, high = mean - quantile * error, mean + quantile * error
    assert rf"$0.106 / \sqrt{{{networks}}} \approx {error:.3f}$" in text
    assert rf"\pm {quantile:.2f} \cdot {error:.3f}$, from {low:.3f} to {high:.3f}" in text
    narrow = t.ppf(0.975, images - 1) * sd / np.sqrt(images)
    assert f"{mean - narrow:.3f} to {mean + narrow:.3f}" in text
    assert set(re.findall(r"\\sqrt{(\d+)}", text)) == {str(networks), str(images)}


def test_the_three_maps_on_the_page_on_alarms_have_its_distances():
    text = page("alarm")
    maps = [[int(x) for x in re.search(rf"S_{i} = \((-?\d), (-?\d)\)", text).groups()] for i in (1, 2, 3)]
    apart = distances(products(np.array(maps, float)[:, None]))
    for i, j, value in ((1, 2, "= 0.04"), (1, 3, "= 1"), (2, 3, "= 1.28")):
        assert re.search(rf"d_\{{{i}{j}\}} = 1 [^,]*{re.escape(value)} ?,", text)
        assert apart[0, i - 1, j - 1] == pytest.approx(float(value.rpartition("= ")[2]), abs=1e-12)
    sums = re.search(r"\$d_1 = ([\d.]+)\$, \$d_2 = ([\d.]+)\$ and \$d_3 = ([\d.]+)\$", text).groups()
    assert distinctness(apart)[0] == pytest.approx([float(x) for x in sums], abs=1e-12)
    assert distinctness(apart)[0].argmin() == 0, "the first output is doubted most"


def test_the_five_answers_on_the_page_on_alarms_have_its_risks():
    text = page("alarm")
    rows = table(text, "tab-risk-coverage")
    doubt, wrong = np.array([float(row[0]) for row in rows]), np.array([row[1] == "wrong" for row in rows])
    coverage, risk = risk_coverage(doubt, wrong)
    assert coverage == pytest.approx([float(row[2]) for row in rows])
    assert np.cumsum(wrong).tolist() == [int(row[3]) for row in rows]
    assert risk == pytest.approx([float(row[4]) for row in rows], abs=0.005)
    area, excess = aurc(doubt, wrong), excess_aurc(doubt, wrong)
    assert f"= {area:.3f}$" in text
    assert f"= {area - excess:.3f}$" in text
    assert f"here {excess:.3f}," in text
    assert f"In the example {error_auroc(doubt, wrong) * 6:.0f} of 6 pairs" in text
    assert f"wrong answers, {wrong.mean():.1f}." in text


def test_the_solution_on_five_doubts_is_right():
    text = solution("exercise-five-doubts")
    rows = table(text, "tab-five-doubts")
    doubt = np.array([float(row[1]) for row in rows])
    said, true = (np.array([row[k] == "yes" for row in rows]) for k in (2, 3))
    wrong = said != true
    assert "".join(row[0] for row, is_wrong in zip(rows, wrong, strict=True) if is_wrong) == "BE"
    assert risk_coverage(doubt, wrong)[1] == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4, 2 / 5])
    assert risk_at(doubt, wrong, [0.6])[0] == pytest.approx(1 / 3)
    area = aurc(doubt, wrong)
    assert f"The AURC is the mean, {area:.3f}" in text
    assert f"= {area - excess_aurc(doubt, wrong):.3f}$" in text
    assert f"$4/6 = {error_auroc(doubt, wrong):.3f}$. F1 does" in text
    assert f"= {f1(said, true):.3f}$" in text
    assert choose(doubt, said, true) == Alarm(0.7)
    after = {tau: f1(swapped(said, Alarm(tau).flagged(doubt)), true) for tau in (0.7, 0.5, 0.3, 0.1, -np.inf)}
    assert list(after.values()) == pytest.approx([6 / 7, 4 / 6, 4 / 7, 4 / 6, 2 / 5])
    assert f"= {after[0.7]:.3f}$" in text


def test_the_solution_on_whether_the_alarm_helped_is_right():
    """Two of five are found, with three false alarms. Of three no answers that are swapped one has the finding."""
    true = np.r_[np.ones(5), np.zeros(6)]
    said = np.r_[np.ones(2), np.zeros(3), np.ones(3), np.zeros(3)]
    flagged = np.r_[np.zeros(2), [1, 0, 0], np.zeros(3), [1, 1, 0]]
    after = swapped(said, flagged)
    assert f1(said, true) == pytest.approx(0.4)
    assert f1(after, true) == pytest.approx(6 / 13)
    assert (after != true).sum() == (said != true).sum() + 1
    assert f"6/13 = {6 / 13:.2f}$" in solution("exercise-did-the-alarm-help")
