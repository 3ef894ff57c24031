"""Figures of a data set: how large its truth is, and where it lies."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from saltrust.plots.style import MAP, PASS, WIDTH


def truth_sizes(shares: np.ndarray, average: np.ndarray) -> Figure:
    """How much of the images the truth covers, and where it lies.

    Args:
        shares: (n,), the share of each image inside its truth, in [0, 1].
        average: (height, width), at each pixel the share of the images whose truth it belongs to, in [0, 1].
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.8), width_ratios=[1.4, 1])
    left.hist(100 * shares, bins=20, color=PASS)
    left.set(xlabel="share of the image inside the truth (%)", ylabel="test images with the finding")
    drawn = right.imshow(average, cmap=MAP, vmin=0)
    right.set(xticks=[], yticks=[])
    right.grid(False)
    figure.colorbar(drawn, ax=right, label="share of positive images")
    return figure
