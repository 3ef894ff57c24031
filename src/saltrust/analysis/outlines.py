"""What the outlines of a data set say of its finding, for prose that holds with labels alone, too."""

import numpy as np

from saltrust.core.formatting import written


def outlined(area: np.ndarray | None) -> dict[str, float | str]:
    """What prose quotes of the outlines in the images with the finding.

    Args:
        area: (n,) share of each image that its outline covers; None where there are labels alone.

    Returns:
        located and extent, what the outlines are for and how large they are, in words; and where there are any,
        prevalence_pixels, smallest_area and largest_area, the mean, smallest and largest share.

    >>> outlined(np.array([0.02, 0.04]))["extent"][:66]
    'In an image with the finding, the truth covers 3.0% of the pixels '
    """
    if area is None:
        located = "There are labels alone: nothing says where in the image the finding lies."
        return {"located": located, "extent": "With labels alone, neither is known."}
    mean, least, most = (float(value) for value in (area.mean(), area.min(), area.max()))
    extent = (
        f"In an image with the finding, the truth covers {written(mean, '.1%')} of the pixels on average, from "
        f"{written(least, '.1%')} to {written(most, '.1%')}. That share is what a map of a single value scores by "
        "average precision. The average mask is a harder rival: it knows where the finding tends to lie, and never "
        "looks at the image."
    )
    return {
        "located": "The outline is the truth that maps are scored against.",
        "extent": extent,
        "prevalence_pixels": mean,
        "smallest_area": least,
        "largest_area": most,
    }
