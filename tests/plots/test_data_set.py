"""The figure of a data set's truth."""

import matplotlib.pyplot as plt
import numpy as np

from saltrust.plots.data_set import truth_sizes


def test_truth_sizes_shows_all_images_and_the_average():
    average = np.linspace(0, 0.5, 16).reshape(4, 4)
    figure = truth_sizes(np.array([0.1, 0.1, 0.3]), average)
    left, right, *_ = figure.axes
    assert sum(bar.get_height() for bar in left.patches) == 3
    np.testing.assert_array_equal(right.images[0].get_array(), average)
    plt.close(figure)
