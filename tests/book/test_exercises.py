"""Numbers that a solution works out by hand are those that follow from the paper's."""

import re

import numpy as np
import pytest
from scipy.stats import norm, t

from saltrust.analysis.quiz_answers import detection, needed, power
from saltrust.analysis.shapley_games import GAMES, rules
from saltrust.core import paths
from saltrust.scores.agreement import counted, dice, iou, pixel_error
from saltrust.scores.alarm import Alarm, choose, f1, swapped
from saltrust.scores.chance import above_chance, iou_by_shift
from saltrust.scores.consensus import REFERENCES, voted
from saltrust.scores.distinctness import distances, distinctness, products
from saltrust.stats.krippendorff import alpha, nominal, value_counts
from saltrust.stats.selective import aurc, error_auroc, excess_aurc, risk_at, risk_coverage
from saltrust.stats.shapley import exact, last_in


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


def marked(n: int, *runs: tuple[int, int]) -> np.ndarray:
    """Readers (r, 1, n) who marked the pixels from a first to a last one, counted from 1."""
    pixels = np.arange(1, n + 1)
    return np.array([[(pixels >= first) & (pixels <= last)] for first, last in runs])


def against(masks: np.ndarray, reference: str) -> list[float]:
    """The IoU of each reader, averaged over his references."""
    return iou(counted(masks[:, None], REFERENCES[reference](masks))).mean(axis=1).tolist()


def test_the_three_readers_on_the_page_on_agreement_have_its_scores():
    text = page("agreement")
    rows = re.findall(r"^([ABC])  +([.#][.#\s]*)$", text, re.M)
    drawn = np.array([[[mark == "#" for mark in cells.split()]] for _, cells in rows])
    assert drawn.shape == (3, 1, 10)
    masks = np.pad(drawn, [(0, 0), (0, 0), (0, 10)])
    a, b, c = masks
    pair = counted(a, b)
    assert f"IoU is $2/6 = {iou(pair):.3f}$, their Dice $4/8 = {dice(pair):.3f}$" in text
    assert f"$4/20 = {pixel_error(pair):.3f}$" in text
    assert f"an IoU of $1/5 = {iou(counted(a, c)):.3f}$, B and C one of $2/4 = {iou(counted(b, c)):.3f}$" in text
    pairs = np.mean(against(masks, "pairwise"))
    assert text.count(f"{pairs:.3f}") == 2
    assert (np.flatnonzero(voted(masks)) + 1).tolist() == [4, 5, 6]
    own = against(masks, "consensus")
    assert "A has an IoU of $2/5 = {:.3f}$, B of $3/4 = {:.3f}$\nand C of $2/3 = {:.3f}$".format(*own) in text
    assert f"the mean is {np.mean(own):.3f}" in text
    others = against(masks, "others")
    assert "$1/5 = {:.3f}$. B gets $1/4 = {:.3f}$ and C\n$1/3 = {:.3f}$".format(*others) in text
    assert f"{np.mean(others):.3f} on average. And a pair" in text
    chance = iou_by_shift(a, b)
    assert f"= {chance:.3f} ," in text
    assert f"= {above_chance(iou(pair), chance):.3f} ." in text
    narrow = iou_by_shift(drawn[0], drawn[1])
    assert f"twice as large, {narrow:.3f}, and {above_chance(iou(pair), narrow):.3f} would be left" in text
    assert narrow == pytest.approx(2 * chance)
    counts, values = value_counts(masks.reshape(3, -1))
    assert f"the example it is {alpha(counts, nominal(values)):.3f}, and" in text


def test_few_images_pass_by_significance_and_many_by_a_margin():
    text = page("agreement")
    text = " ".join(text.split())
    told = re.search(r"IoU ([\d.]+) below the readers', with a standard deviation of ([\d.]+)", text)
    below, sd = (float(x) for x in told.groups())
    margin = float(re.search(r"Let it be ([\d.]+)\.", text).group(1))
    ends = {}
    for n in (16, 588):
        half = norm.ppf(0.95) * sd / np.sqrt(n)
        ends[n] = -below - half, -below + half
        minus = [f"{end:.3f}".replace("-", "\N{MINUS SIGN}") for end in ends[n]]
        assert f"reaches from {minus[0]} to {minus[1]}" in text
    few, many = ends.values()
    assert few[1] > 0 > many[1]
    assert few[0] < -margin < many[0]


def test_the_map_on_the_page_on_agreement_is_ahead_of_each_reader_left_out():
    text = page("agreement")
    masks = marked(20, (2, 5), (4, 7), (5, 6), (4, 6))
    *readers, consensus = masks
    np.testing.assert_array_equal(consensus, voted(np.array(readers)))
    found = []
    for k in range(3):
        others = np.array([reader for i, reader in enumerate(readers) if i != k])
        found.append([iou(counted(one, others)).mean() for one in (readers[k], consensus)])
        assert found[-1][0] < found[-1][1]
    told = "A has a mean IoU of {:.3f}, and the map one of {:.3f}. Left out in turn, B has {:.3f} and the map {:.3f}, "
    told += "and C has {:.3f} and the map {:.3f}."
    assert told.format(*np.ravel(found)) in " ".join(text.split())


def test_the_solution_on_three_readers_is_right():
    text = solution("exercise-three-readers")
    masks = marked(16, (1, 4), (3, 6), (1, 0))
    pair = counted(masks[0], masks[1])
    assert f"IoU is $2/6 = {iou(pair):.3f}$, Dice $4/8 = {dice(pair):.3f}$, and the pixel error" in text
    assert f"$4/16 = {pixel_error(pair):.3f}$" in text
    own, pairs = against(masks, "consensus"), np.mean(against(masks, "pairwise"))
    assert own == pytest.approx([0.5, 0.5, 0])
    assert f"Z has 0: {np.mean(own):.3f} on average. The pairs have 0.333, 0 and 0: {pairs:.3f} on average" in text
    assert against(masks, "others") == [0, 0, 0]
    assert f"$({pairs:.3f} + 1)/2 = {(pairs + 1) / 2:.3f}$, $({pairs:.3f} + 0)/2 = {pairs / 2:.3f}$" in text


def test_the_solution_on_the_wrong_bar_is_right():
    text = solution("exercise-the-wrong-bar")
    program = text.partition("```python\n")[2].partition("```")[0]
    printed: list[list] = []
    exec("\n".join(line[3:] for line in program.splitlines()), {"print": lambda *words: printed.append(list(words))})
    found = {name: float(value) for name, value in printed}
    assert "It prints {:.3f}, {:.3f} and {:.3f}:".format(*found.values()) in text
    p = 0.1
    consensus, held = 3 * p**2 * (1 - p) + p**3, p * (1 - (1 - p) ** 2)
    assert f"= {consensus:.3f}$" in text
    assert f"= {held:.3f}$" in text
    assert f"p / (2 - p) = {p / (2 - p):.3f}$" in text
    assert f"= {held / (p + consensus - held):.3f}$: more than three times" in text
    assert found["consensus"] == pytest.approx(held / (p + consensus - held), abs=0.002)
    assert found["consensus"] > 3 * found["pairwise"]


def test_the_page_on_people_computes_with_the_reviews_numbers():
    text = " ".join(page("people").split())
    tp, fp, fn, z = 0.80, 0.469, 0.367, norm.ppf
    said = 0.5 * tp + 0.25 * fp + 0.25 * (1 - fn)
    assert rf"0.25 \cdot {1 - fn:.3f} = {100 * said + 1e-9:.1f}\,\%$" in text
    assert f"share of right answers would be {100 * (0.5 * tp + 0.25 * fp + 0.25 * fn):.1f} %" in text
    hits, alarms = (0.5 * tp + 0.25 * fp) / 0.75, 1 - fn
    d, c = z(hits) - z(alarms), -(z(hits) + z(alarms)) / 2
    assert f"= {hits:.3f}, \\qquad F = 1 - {fn} = {alarms:.3f} ." in text
    assert f"So $d' = {d:.3f}$ and $c = {c:.3f}$" in text
    assert rf"right in $\Phi(d'/2) = {100 * norm.cdf(d / 2):.1f}\,\%$ of an even mixture" in text
    assert f'"it will" to every image of this mixture is right in {100 * (0.5 + 0.25):.0f} %' in text
    error = np.sqrt((0.551 * 0.449 + 0.607 * 0.393) / (32 * 14))
    assert f"/ 448}} = {error:.3f}$" in text
    assert f"a study of this size finds such a gain in {100 * power(0.04, 64, 14, base=0.56):.0f} of 100 cases" in text
    assert f"{needed(0.056, 14)} people, more than twice as many" in text
    assert (
        f"the power is {power(0.056, 64, 14, spread=0.1):.2f}, and {needed(0.056, 14, spread=0.1)} are needed" in text
    )
    program = page("people").partition("```python\n")[2].partition("```")[0]
    names: dict = {}
    exec(program.partition("\n\n")[0], names)
    for line in program.partition("\n\n")[2].splitlines():
        call, _, stated = line.partition("#")
        found = eval(call.strip(), names)
        shown = ", ".join(f"{value}" for value in found) if isinstance(found, tuple) else f"{found:.2f}"
        assert shown == stated.strip()


def test_the_solution_on_yes_to_everything_is_right():
    text = solution("exercise-yes-to-everything")
    said = {"Ann": (6, 5), "Ben": (5, 1), "Cem": (7, 7)}
    rights = {}
    for name, (hits, alarms) in said.items():
        d, c = (float(x) for x in detection(np.array(hits), np.array(7), np.array(alarms), np.array(7)))
        found = " ".join(text.split()).partition(f"{name}: $H")[2].partition("$c = ")
        assert f"= {d:.3f}$" in found[0] if d else found[0].endswith("$d' = 0$ and ")
        assert found[2].startswith(f"{c:.3f}$")
        assert f"/14 = {(hits + 7 - alarms) / 14:.3f}" in text
        rights[name] = (12 * hits / 7 + 2 * (7 - alarms) / 7) / 14
        assert f"/14 = {rights[name]:.3f}" in text
    assert [*sorted(rights, key=rights.get)] == ["Ben", "Ann", "Cem"]
    program = text.partition("```python\n")[2].partition("```")[0]
    printed: list[list] = []
    exec("\n".join(line[3:] for line in program.splitlines()), {"print": lambda *words: printed.append(list(words))})
    assert "It prints {} and {}:".format(*printed[0]) in text
    assert printed[0][1] == pytest.approx(1.5 * printed[0][0], rel=0.03)


def test_the_solution_on_fair_shares_is_right():
    text = solution("exercise-fair-shares")
    program = text.partition("```python\n")[2].partition("```")[0]
    printed: list[tuple] = []
    exec("\n".join(line[3:] for line in program.splitlines()), {"print": lambda *words: printed.append(words)})
    (fever, sickness_last), (men, budget_last) = printed
    assert f"It prints {fever} and {sickness_last}, then {men} and {budget_last}." in text
    assert [round(x) for x in men] == [(15 + 3) // 6, 3 * 4 // 6, 0]
    found = {name: rules(game) for name, game in GAMES.items()}
    np.testing.assert_allclose(fever, found["sickness"]["Shapley"])
    np.testing.assert_allclose(men, found["budget"]["Shapley"], atol=1e-3)
    both, one = (found["sickness"][f"DeepLIFT, min as {how}"] for how in ("relu(a + b - 1)", "a - relu(a - b)"))
    np.testing.assert_allclose([*both, *one], [1, 1, 5 - 8, 5], atol=1e-6)
    assert abs(found["budget"]["LIME"][2]) > 0.01
    assert found["budget"]["DeepLIFT, max as 4b + relu(5a - 4b)"][2] == 0


def test_the_example_on_the_page_on_fair_shares_is_right():
    text = " ".join(page("shapley").split())
    sickness = GAMES["sickness"].table
    assert f"$(5 - 3)/2 = {exact(sickness)[0]:g}$" in text
    assert f"$2 - 5 = {last_in(sickness)[0]:g}$ for each" in text
    assert f"${last_in(sickness).sum():g}$." in text
