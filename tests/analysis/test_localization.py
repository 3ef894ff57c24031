"""Trained against random weights: by image, by method, with intervals over images or what they belong to."""

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.localization import trained_against_random

IMAGES = list("abcdef")


def scores(gaps):
    """AUPRC of two models: that of the random one differs by image, the gap is that of the method."""
    base = np.linspace(0.1, 0.4, len(IMAGES))
    frames = [
        pd.DataFrame({"image": IMAGES, "method": method, "model": model, "auprc": base + extra})
        for method, gap in gaps.items()
        for model, extra in (("net", gap), ("net-random", 0.0), ("net-2", 9.0))
    ]
    return pd.concat(frames).sample(frac=1, random_state=0)


def test_the_difference_is_by_image():
    found = trained_against_random(scores({"ig": 0.3, "grad": -0.1}), "net", "net-random", ["grad", "ig"], n_boot=100)
    assert found["method"].tolist() == ["grad", "ig"]
    assert found["random"].tolist() == pytest.approx([0.25, 0.25])
    assert found["trained"].tolist() == pytest.approx([0.15, 0.55])
    for column in ("difference", "ci_low", "ci_high"):  # the same for each image
        assert found[column].tolist() == pytest.approx([-0.1, 0.3])


def test_what_images_belong_to_is_resampled_as_a_whole():
    frame = scores({"ig": 0.0})
    own = frame["model"].eq("net")
    frame.loc[own, "auprc"] += frame.loc[own, "image"].isin(list("abc"))
    groups = {image: "first" if image in "abc" else "second" for image in IMAGES}
    by_image, by_group = (
        trained_against_random(frame, "net", "net-random", ["ig"], 500, clusters=clusters).iloc[0]
        for clusters in (None, groups)
    )
    assert by_image["difference"] == by_group["difference"] == pytest.approx(0.5)
    assert (by_group["ci_low"], by_group["ci_high"]) == (pytest.approx(0), pytest.approx(1))
    assert by_image["ci_high"] - by_image["ci_low"] < 1
