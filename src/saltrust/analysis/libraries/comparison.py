"""The same method by other libraries beside ours: do the maps agree, at what cost, and would a verdict change?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from saltrust.artefacts import Artefact
from saltrust.artefacts.data import AverageMask
from saltrust.artefacts.maps import Regions, SaliencyMaps
from saltrust.artefacts.sidecar import StorageError
from saltrust.core.errors import SaltrustError
from saltrust.methods.registry import METHODS, select
from saltrust.study.criteria import localization
from saltrust.study.study import Study
from saltrust.study.verdict import VerdictCell, judge

AGREES = 1e-3  # of a map in [0, 1]: less is not seen, in print or on a screen

NOISE = "other random numbers"
CALLS = "calls of relu() pass their own gradient"
RANGE = "scaled to [0, 1] on each image before it is enlarged"
SIGN = "the sign of the component is left to the linear algebra library"
WHY = {
    "captum:smoothgrad": NOISE,
    "captum:ig": "points on the path in single precision, near kinks of ReLU",
    "captum:deeplift": "calls of relu() and pooling are taken for linear; windows that overlap lose attribution",
    "captum:deeplift_shap": "as captum:deeplift",
    "captum:guided_backprop": CALLS,
    "captum:deconvolution": CALLS,
    "captum:guided_gradcam": f"{CALLS}; the product of raw maps",
    "captum:lrp": "pooling by a function shares relevance out as it does a gradient",
    "captum:occlusion": "windows and steps of whole pixels",
    "pair:smoothgrad": NOISE,
    "pair:smooth_ig": f"{NOISE}; the end points of the path count in full",
    "pair:ig": "the end points of the path count in full",
    "pair:xrai": "of the channels the largest counts, and the end points of the path in full",
    "pair:gradcam": "divided by its maximum before it is enlarged, as if mirrored at the border",
    "pytorch-grad-cam:gradcam": RANGE,
    "pytorch-grad-cam:gradcam_pp": f"1e-6 added to denominators, which small gradients feel; {RANGE}",
    "pytorch-grad-cam:layercam": RANGE,
    "pytorch-grad-cam:eigencam": f"{SIGN}; {RANGE}",
    "pytorch-grad-cam:eigengradcam": f"{SIGN}; {RANGE}",
    "zennit:lrp": "calls of functions have no rule: relevance passes them as a gradient does; sums near 0 amplify it",
    "zennit:lrp_composite": "calls of functions have no rule: relevance passes them as a gradient does",
}
"""Why a library's map is not ours, by method; `examples` shows it on networks of a few numbers."""

SETTINGS = {
    "pair:ig": {"quadrature": "riemann"},
    "pair:xrai": {"quadrature": "riemann", "channels": "max"},
}
"""What our method is told where the library does not let one choose, by the library's method."""


def compared_methods(study: Study, methods: str, most_passes: int) -> list[str]:
    """The methods of installed libraries that one of ours stands beside, and that do not cost too much.

    Args:
        study: whose protocol and profile say how many passes a method takes.
        methods: names and groups, comma-separated; those of our own are left out.
        most_passes: through the network for each image.

    Raises:
        SaltrustError: none is left.
    """
    found = [
        name
        for name in select(methods)
        if METHODS[name].library
        and METHODS[name].defaults["version"]
        and counterpart(name) in METHODS
        and METHODS[name].passes(study.maps.parameters(name)) <= most_passes
    ]
    if not found:
        raise SaltrustError(
            f"methods '{methods}': none is of an installed library, takes at most {most_passes} passes and has one of "
            "ours beside it; try 'libraries', 'captum' or 'captum:ig'"
        )
    return found


def counterpart(method: str) -> str:
    """What our method is called that another library's stands beside.

    >>> counterpart("captum:ig")
    'ig'
    """
    return method.partition(":")[2]


def maps_of(study: Study, names: Sequence[str], n_images: int) -> Iterator[Artefact]:
    """What the chapter is made from.

    Args:
        study: whose main network is explained.
        names: of other libraries' methods.
        n_images: that are explained.
    """
    images = study.images.explained[:n_images]
    yield from warm_up(study, names)
    for name in dict.fromkeys([*map(counterpart, names), *names]):
        yield study.maps.artefact(name, images=images)
    for name in names:
        if name in SETTINGS:
            yield study.maps.artefact(counterpart(name), images=images, parameters=SETTINGS[name])
    yield average_truth(study, n_images)


def warm_up(study: Study, names: Sequence[str]) -> list[SaliencyMaps]:
    """Maps of one image, of which each library's first takes the time that importing it does, and ours that of loading
    the network. Where maps are made in the order of their names, too, these come first."""
    first = {METHODS[name].library: name for name in sorted(names, reverse=True)}
    one = study.images.explained[:1]
    return [study.maps.artefact(name, images=one) for name in (*sorted(map(counterpart, names))[:1], *first.values())]


def average_truth(study: Study, n_images: int) -> AverageMask:
    """The average truth, which utility is compared with, for the first of the explained images."""
    average = study.maps.average_artefact()
    return replace(average, images=average.images[:n_images])


def refusals(study: Study, names: Sequence[str], n_images: int) -> dict[str, str]:
    """Each of the methods whose library cannot explain the network -> why not. The maps of the others are then made."""
    found = {}
    for name in names:
        try:
            study.maps.raw(name, images=study.images.explained[:n_images])
        except StorageError:
            raise
        except SaltrustError as error:
            found[name] = str(error)
    return found


def compare(study: Study, names: Sequence[str], n_images: int, n_boot: int) -> pd.DataFrame:
    """Other libraries' maps beside ours, of the same images, network and protocol.

    Args:
        study: whose main network is explained.
        names: of other libraries' methods, which do not refuse.
        n_images: that are explained.
        n_boot: resamples of a verdict, of images.

    Returns:
        A row for each, with columns method (our name), library, version; raw_difference, the largest difference of raw
        maps as a share of our largest value; shown_difference, that of the maps in [0, 1] as they are shown;
        told_the_same, the same where ours takes the library's fixed settings (see SETTINGS), else NaN;
        rank_correlation of the pixels of these, the mean over images; seconds a map, and ratio to ours, NaN where that
        took none; auprc, ours; verdict (of utility, on these images) and our_verdict; why the maps differ, "" where
        they agree.
    """
    images = study.images.explained[:n_images]
    own = list(dict.fromkeys(map(counterpart, names)))
    utility = _utility(study, [*own, *names], n_images, n_boot)
    rows = []
    for name in names:
        ours = counterpart(name)
        raw, ours_raw = (study.maps.raw(one, images=images).values for one in (name, ours))
        shown, ours_shown = (study.maps.display(one, images=images) for one in (name, ours))
        seconds, ours_seconds = (_seconds(study, one, n_images) for one in (name, ours))
        difference = float(np.abs(shown - ours_shown).max())
        rows.append(
            {
                "method": ours,
                "library": METHODS[name].library,
                "version": METHODS[name].defaults["version"],
                "raw_difference": largest_difference(raw, ours_raw),
                "shown_difference": difference,
                "told_the_same": float(np.abs(shown - _told_the_same(study, name, images)).max()),
                "rank_correlation": rank_correlation(shown, ours_shown),
                "seconds": seconds,
                "ratio": seconds / ours_seconds if ours_seconds else float("nan"),
                "auprc": utility.loc[name, "value"],
                "our_auprc": utility.loc[ours, "value"],
                "verdict": utility.loc[name, "verdict"],
                "our_verdict": utility.loc[ours, "verdict"],
                "why": WHY.get(name, "") if difference > AGREES else "",
            }
        )
    return pd.DataFrame(rows)


def _told_the_same(study: Study, name: str, images: tuple[int, ...]) -> np.ndarray | float:
    """Our maps in [0, 1] with the settings that a library's method has fixed; NaN where it has none."""
    given = SETTINGS.get(name)
    return study.maps.display(counterpart(name), images=images, **given) if given else float("nan")


def largest_difference(maps: np.ndarray, ours: np.ndarray) -> float:
    """The largest difference of two sets of maps, as a share of the largest value of ours.

    Args:
        maps: (n, channels or 1, height, width), any real numbers.
        ours: the same images' maps.

    >>> largest_difference(np.ones((1, 1, 1, 2)), np.array([[[[1.0, 2.0]]]]))
    0.5
    """
    highest = np.abs(ours).max()
    return float(np.abs(maps - ours).max() / highest) if highest > 0 else float("nan")


def rank_correlation(maps: np.ndarray, ours: np.ndarray) -> float:
    """Spearman's correlation of the pixels of two maps, the mean over images; NaN if a map is constant.

    Args:
        maps: (n, height, width), any real numbers.
        ours: the same images' maps.

    >>> round(rank_correlation(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[0.0, 0.5, 9.0]]])), 6)
    1.0
    """
    if any(np.ptp(one) == 0 for one in (*maps, *ours)):
        return float("nan")
    pairs = zip(maps, ours, strict=True)
    return float(np.mean([spearmanr(one.ravel(), other.ravel()).statistic for one, other in pairs]))


def _seconds(study: Study, method: str, n_images: int) -> float:
    """Of one map, the regions of XRAI included, from the notes beside what is stored."""
    images = study.images.explained[:n_images]
    seconds = study.maps.seconds(method, images)
    if METHODS[method].segments:
        regions = Regions(study.maps.artefact(method, images=images).data, images)
        seconds += study.store.sidecar(regions)["seconds"]
    return seconds / len(images)


def _utility(study: Study, methods: Sequence[str], n_images: int, n_boot: int) -> pd.DataFrame:
    """The verdict on utility by method, on the first of the explained images."""
    images, protocol = study.images.explained[:n_images], study.protocol
    average = study.store.get(localization(average_truth(study, n_images), protocol))
    scores = {
        method: study.store.get(localization(study.maps.artefact(method, images=images), protocol))
        for method in methods
    }
    cells = [VerdictCell(method, "utility", "average", values, average) for method, values in scores.items()]
    return judge(cells, protocol, n_boot, study.images.seed).set_index("method")


def side_by_side(study: Study, names: Sequence[str], n_images: int) -> dict[str, dict[str, np.ndarray]]:
    """Maps of the first image in [0, 1], as they are shown.

    Args:
        study: whose main network is explained.
        names: of other libraries' methods, which do not refuse.
        n_images: that are explained.

    Returns:
        Our method -> "ours" or library -> map (height, width), NaN where a library has none.
    """
    images = study.images.explained[:n_images]
    libraries = list(dict.fromkeys(METHODS[name].library for name in names))
    rows = {}
    for ours in dict.fromkeys(map(counterpart, names)):
        own = study.maps.display(ours, images=images)[0]
        theirs = {library: f"{library}:{ours}" for library in libraries}
        rows[ours] = {"ours": own} | {
            library: study.maps.display(name, images=images)[0] if name in names else np.full_like(own, np.nan)
            for library, name in theirs.items()
        }
    return rows
