"""Numbers that a solution works out by hand are those that follow from the paper's."""

import re

import numpy as np
from scipy.stats import t

from saltrust.core import paths


def solution(label: str) -> str:
    """The text of an exercise, from its label to the next."""
    text = (paths.BOOK / "exercises.md").read_text(encoding="utf-8")
    return text.partition(f"({label})=")[2].partition("\n(exercise-")[0]


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
