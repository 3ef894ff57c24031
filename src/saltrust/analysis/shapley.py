"""Exact Shapley values beside what samples, one part hidden after the other, and other methods say."""

from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import numpy as np
import pandas as pd

from saltrust.analysis.words import listed
from saltrust.methods.registry import label_of
from saltrust.stats.bootstrap import bootstrap_means, difference, interval, times_drawn
from saltrust.study.shapley import VARIANTS

SHARE = 0.2  # of the pixels that are removed, 157 of 784 in Shrikumar et al. 2017
EXACT = "exact Shapley"
GREEDY = "pixel by pixel"
RANDOM, RANDOM_INK, BRIGHTEST = "random pixels", "random ink", "brightest pixels"
REFERENCES = (GREEDY, BRIGHTEST, RANDOM_INK, RANDOM)
"""Rows that are no method: pixels that the network itself chooses one after the other, and those of no network."""
QUOTED = {
    "exact": EXACT,
    "greedy": GREEDY,
    "ink": RANDOM_INK,
    "ig": "ig",
    "ig_grey": "ig, grey",
    "ig_white": "ig, white",
    "superpixels": "kernel_shap, super-pixels",
}
"""Rows that the prose names, by what they are called there."""
SETTLED = 1000  # coalitions from which the error is asked how it falls: below, the regression's unknowns count


def named(method: str) -> str:
    """What a row is called in figures and sentences.

    >>> named("smoothgrad"), named(EXACT), named("ig, grey")
    ('SG', 'exact Shapley', 'IG, grey')
    """
    name, comma, rest = method.partition(",")
    return method if method in (EXACT, *REFERENCES) else f"{label_of(name)}{comma}{rest}"


# --- exact and sampled ------------------------------------------------------------------------------------------------


def relative_error(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """How far values lie from the exact ones, as a share of these: lengths of vectors.

    Args:
        found: (n, ..., parts).
        exact: (n, parts), none of them all zero.

    Returns:
        An array (n, ...), 0 for the same values, 1 for values that are all zero.

    >>> relative_error(np.array([[3.0, 0.0]]), np.array([[3.0, 4.0]])).tolist()
    [0.8]
    """
    beside = exact.reshape(len(exact), *[1] * (found.ndim - 2), exact.shape[-1])
    return np.linalg.norm(found - beside, axis=-1) / np.linalg.norm(beside, axis=-1)


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine of the angle between vectors (..., parts); NaN where one is all zero.

    >>> cosine(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]])).tolist()
    [1.0]
    """
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    with np.errstate(invalid="ignore"):
        return (first * second).sum(-1) / np.where(lengths > 0, lengths, np.nan)


def sampling_errors(
    sampled: np.ndarray, exact: np.ndarray, samples: Sequence[int], images: Sequence[str]
) -> pd.DataFrame:
    """The error of KernelSHAP by the number of coalitions.

    Args:
        sampled: (images, samples, repeats, parts).
        exact: (images, parts).
        samples: numbers of coalitions.
        images: what they are called.

    Returns:
        Columns samples, image, error (root of the mean square over the draws, relative), cosine (mean over the draws).
    """
    errors = np.sqrt((relative_error(sampled, exact) ** 2).mean(axis=2))
    alike = cosine(sampled, exact[:, None, None]).mean(axis=2)
    rows = pd.MultiIndex.from_product([images, samples], names=["image", "samples"]).to_frame(index=False)
    return rows.assign(error=errors.ravel(), cosine=alike.ravel())[["samples", "image", "error", "cosine"]]


def by_passes(
    errors: pd.DataFrame,
    occluded: Mapping[str, np.ndarray],
    occlusion_passes: Mapping[str, int],
    exact: np.ndarray,
    seconds: float,
    n_boot: int,
    seed: int,
) -> pd.DataFrame:
    """What is found for how many passes.

    Args:
        errors: from `sampling_errors`.
        occluded: Occlusion's values (images, parts), by its windows.
        occlusion_passes: passes of these.
        exact: (images, parts).
        seconds: of one pass.
        n_boot: resamples of the images.
        seed: of these.

    Returns:
        Columns method ("kernel_shap", "occlusion", EXACT), windows (of Occlusion), samples (coalitions of KernelSHAP),
        passes, seconds, error with error_low and error_high, cosine with cosine_low and cosine_high.
    """
    rows = []

    def add(about: dict, passes: int, error: np.ndarray, alike: np.ndarray) -> None:
        row = about | {"passes": passes, "seconds": passes * seconds}
        for name, values in (("error", error), ("cosine", alike)):
            low, high = interval(bootstrap_means(values, n_boot, seed))
            row |= {name: float(np.mean(values)), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)

    for count, own in errors.groupby("samples"):
        about = {"method": "kernel_shap", "windows": "", "samples": count}
        add(about, int(count) + 2, own["error"].to_numpy(), own["cosine"].to_numpy())
    for windows, values in occluded.items():
        about = {"method": "occlusion", "windows": windows, "samples": np.nan}
        add(about, occlusion_passes[windows], relative_error(values, exact), cosine(values, exact))
    nothing, same = np.zeros(len(exact)), np.ones(len(exact))
    add({"method": EXACT, "windows": "", "samples": np.nan}, 2 ** exact.shape[1], nothing, same)
    return pd.DataFrame(rows)


def falls_as(errors: pd.DataFrame, n_boot: int, seed: int, least: int = SETTLED) -> dict[str, float]:
    """The power of the number of coalitions with which the error falls: -1/2 for independent samples.

    Args:
        errors: from `sampling_errors`.
        n_boot: resamples of the images.
        seed: of these.
        least: coalitions from which the line is laid.

    Returns:
        power, ci_low, ci_high: slope of the mean error on the number, both in logarithms; NaN with fewer than two
        numbers.

    >>> table = pd.DataFrame({"samples": [1600, 6400], "image": "a", "error": [0.2, 0.1]})
    >>> round(float(falls_as(table, 20, 0)["power"]), 6)
    -0.5
    """
    wide = errors[errors["samples"] >= least].pivot(index="image", columns="samples", values="error")
    if wide.shape[1] < 2:
        return dict.fromkeys(("power", "ci_low", "ci_high"), np.nan)
    drawn = times_drawn(len(wide), n_boot, seed)
    means = np.vstack([wide.mean().to_numpy(), drawn @ wide.to_numpy() / drawn.sum(1, keepdims=True)])
    x = np.log(wide.columns.to_numpy(float))
    slopes = (np.log(means) @ (x - x.mean())) / ((x - x.mean()) ** 2).sum()
    low, high = interval(slopes[1:])
    return {"power": slopes[0], "ci_low": low, "ci_high": high}


def constant(errors: pd.DataFrame, samples: int, parts: int) -> float:
    """The mean error times the root of the pairs of coalitions that are left when each unknown has used up one.

    If this is the same for few and many coalitions, they miss the root law by those unknowns alone.

    Args:
        errors: from `sampling_errors`.
        samples: coalitions, more than twice the unknowns, a number of `errors`.
        parts: of an image; their values have one unknown less, since their sum is known.
    """
    own = errors.loc[errors["samples"] == samples, "error"]
    return float(own.mean() * np.sqrt(samples / 2 - (parts - 1)))


def overtakes(found: pd.DataFrame, windows: str) -> float:
    """Coalitions from which on KernelSHAP's mean error lies below that of Occlusion; NaN where it never does.

    Args:
        found: from `by_passes`.
        windows: of Occlusion.
    """
    limit = found.loc[found["windows"] == windows, "error"].item()
    own = found[found["method"] == "kernel_shap"].sort_values("samples")
    above = own.loc[own["error"] >= limit, "samples"]
    after = own.loc[own["samples"] > above.max(), "samples"] if len(above) else own["samples"]
    return float(after.min()) if len(after) else np.nan


def axioms(
    exact: np.ndarray, sampled: np.ndarray, occluded: np.ndarray, gains: np.ndarray, blank: np.ndarray
) -> pd.DataFrame:
    """By how much values break two of the axioms.

    Args:
        exact: (images, parts).
        sampled: one draw of KernelSHAP (images, parts).
        occluded: of Occlusion (images, parts).
        gains: the output of each whole image less that of the empty one (images,).
        blank: parts that look like the baseline (images, parts), boolean.

    Returns:
        Columns method, efficiency (the sum's mean distance from the gain, as a share of the mean gain), dummy (share of
        the absolute values that lies on blank parts, the mean over the images).
    """
    rows = []
    for method, values in ((EXACT, exact), ("kernel_shap", sampled), ("occlusion", occluded)):
        size = np.abs(values)
        gap = np.abs(values.sum(1) - gains).mean() / np.abs(gains).mean()
        rows.append({"method": method, "efficiency": gap, "dummy": ((size * blank).sum(1) / size.sum(1)).mean()})
    return pd.DataFrame(rows)


# --- one digit against the other --------------------------------------------------------------------------------------


def top_pixels(maps: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """The pixels of the largest values, above zero alone; among equal ones by lot.

    Args:
        maps: (n, h, w).
        count: pixels of each map, fewer where fewer are above zero.
        rng: of the lots.

    Returns:
        Masks (n, h, w), boolean.

    >>> top_pixels(np.array([[[3.0, -1.0], [2.0, 0.0]]]), 3, np.random.default_rng(0)).tolist()
    [[[True, False], [True, False]]]
    """
    flat = maps.reshape(len(maps), -1)
    order = np.lexsort((rng.random(flat.shape), -flat), axis=1)[:, :count]
    chosen = np.zeros(flat.shape, bool)
    np.put_along_axis(chosen, order, True, axis=1)
    return (chosen & (flat > 0)).reshape(maps.shape)


def removed(pixels: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Images whose marked pixels are background (0). pixels: (n, h, w), uint8. masks: the same shape, boolean."""
    return np.where(masks, np.uint8(0), pixels)


def erasures(
    pixels: np.ndarray,
    differences: Mapping[str, np.ndarray],
    log_odds: Callable[[np.ndarray], np.ndarray],
    ids: Sequence[str],
    chances: int,
    seed: int,
    greedy: np.ndarray | None = None,
    share: float = SHARE,
) -> pd.DataFrame:
    """By how much the log-odds of the first class fall as the pixels that speak most for it are removed.

    Args:
        pixels: of the images (n, h, w), uint8.
        differences: map of the first class minus that of the second, by method, (n, h, w) each.
        log_odds: of the first class against the second, for images.
        ids: what the images are called.
        chances: choices of random pixels for each image, over which the mean is taken; and of lots among equal values.
        seed: of these.
        greedy: the pixels that the network gives up, one after the other (n, h, w); None to leave them out.
        share: of the pixels that are removed.

    Returns:
        Columns method (those given, then REFERENCES), image, fall (of the log-odds), ink (share of the image's ink that
        is removed), pixels (removed).
    """
    count, ink = round(share * pixels[0].size), (pixels > 0).astype(float)
    choices: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
        name: lambda rng, values=values: top_pixels(values, count, rng) for name, values in differences.items()
    }
    if greedy is not None:
        choices[GREEDY] = lambda rng: greedy
    choices[BRIGHTEST] = lambda rng: top_pixels(pixels.astype(float), count, rng)
    choices[RANDOM_INK] = lambda rng: top_pixels(ink * (rng.random(pixels.shape) + 1), count, rng)
    choices[RANDOM] = lambda rng: top_pixels(rng.random(pixels.shape) + 1, count, rng)
    before, frames = log_odds(pixels), []
    for method, choose in choices.items():
        rng = np.random.default_rng([seed, crc32(method.encode())])  # another method leaves this one's lots as they are
        masks = [choose(rng) for _ in range(1 if method == GREEDY else chances)]
        falls = np.mean([before - log_odds(removed(pixels, mask)) for mask in masks], axis=0)
        gone = np.mean([(pixels * mask).sum((1, 2)) for mask in masks], axis=0) / pixels.sum((1, 2))
        about = {"method": method, "image": ids, "fall": falls, "ink": gone}
        frames.append(pd.DataFrame(about | {"pixels": np.mean([mask.sum((1, 2)) for mask in masks], axis=0)}))
    return pd.concat(frames, ignore_index=True)


def falls(erased: pd.DataFrame, n_boot: int, seed: int) -> pd.DataFrame:
    """The mean fall of each row, and how far it lies above that of random ink.

    Args:
        erased: from `erasures`.
        n_boot: resamples of the images.
        seed: of these.

    Returns:
        Columns method, fall, ci_low, ci_high; above_random, above_low, above_high; beside_exact, beside_low,
        beside_high (the same less that of the exact Shapley values); ink, pixels. The largest fall comes first.
    """
    wide = erased.pivot(index="image", columns="method", values="fall")
    given = {"paired": True, "n_boot": n_boot, "seed": seed}
    rows = []
    for method, own in erased.groupby("method", sort=False):
        values = wide[method].to_numpy()
        row = {"method": method}
        for name, ends, other in (
            ("fall", "ci", 0.0),
            ("above_random", "above", wide[RANDOM_INK].to_numpy()),
            ("beside_exact", "beside", wide[EXACT].to_numpy()),
        ):
            found = difference(values, other, **given)
            row |= {name: found["difference"], f"{ends}_low": found["ci_low"], f"{ends}_high": found["ci_high"]}
        rows.append(row | {"ink": own["ink"].mean(), "pixels": own["pixels"].mean()})
    return pd.DataFrame(rows).sort_values("fall", ascending=False, ignore_index=True)


def in_groups(found: pd.DataFrame, methods: Sequence[str]) -> dict[str, list[str]]:
    """Methods by whether their pixels count for more than random ink, by the whole interval.

    Args:
        found: from `falls`.
        methods: that are asked about.

    Returns:
        "above", "below" and "undecided" -> methods, in their order.
    """
    table = found.set_index("method").loc[list(methods)]
    above, below = table["above_low"] > 0, table["above_high"] < 0
    return {
        "above": [*table.index[above]],
        "below": [*table.index[below]],
        "undecided": [*table.index[~above & ~below]],
    }


def better_than_exact(found: pd.DataFrame, methods: Sequence[str]) -> str:
    """Which methods do better than the exact Shapley values, by the whole interval, in a sentence.

    Args:
        found: from `falls`.
        methods: that are asked about.
    """
    table = found.set_index("method").loc[list(methods)]
    better = [named(method) for method in table.index[table["beside_low"] > 0]]
    if not better:
        return "No method does demonstrably better than the exact Shapley values."
    return f"{listed(better)} {'does' if len(better) == 1 else 'do'} better than the exact Shapley values."


def sentence_beside(row: pd.Series) -> str:
    """How the same blocks do when each is hidden by itself, beside the exact values. row: of `falls`, of Occlusion."""
    gap, low, high = (row[name] for name in ("beside_exact", "beside_low", "beside_high"))
    word = "behind" if high < 0 else "ahead of" if low > 0 else "not demonstrably apart from"
    return (
        f"With the same 16 blocks, Occlusion is {word} the exact values, by {abs(gap):.2f} (a difference of {low:+.2f} "
        f"to {high:+.2f})."
    )


# --- two networks -----------------------------------------------------------------------------------------------------


SAME_START = "same start"
OF_A_KIND = ("strong", "weak")


def likeness(shares: Mapping[tuple[str, int], np.ndarray], ids: Sequence[str]) -> pd.DataFrame:
    """How alike the maps of two networks are, for each pair of them and image.

    Args:
        shares: values of the parts (images, parts), by kind and number of the network; networks of both kinds that have
            the same number began with the same weights.
        ids: what the images are called.

    Returns:
        Columns first, second (kind-number), pair ("strong", "weak": both of that kind; SAME_START: one of each, from
        the same weights; "between": one of each, from others), image, cosine.
    """
    networks, frames = list(shares), []
    for place, first in enumerate(networks):
        for second in networks[place + 1 :]:
            mixed = SAME_START if first[1] == second[1] else "between"
            pair = first[0] if first[0] == second[0] else mixed
            about = {"first": _called(first), "second": _called(second), "pair": pair, "image": ids}
            frames.append(pd.DataFrame(about | {"cosine": cosine(shares[first], shares[second])}))
    return pd.concat(frames, ignore_index=True)


def likeness_by_pair(table: pd.DataFrame, n_boot: int, seed: int) -> pd.DataFrame:
    """Mean likeness within and between kinds. table: from `likeness`.

    Returns:
        Columns pair, cosine, ci_low, ci_high (over images), less_than_strong, less_low, less_high: how much more alike
        two strong networks are.
    """
    wide = table.groupby(["image", "pair"], sort=False)["cosine"].mean().unstack()
    rows = []
    for pair in dict.fromkeys(table["pair"]):
        own = difference(wide[pair].to_numpy(), 0.0, paired=True, n_boot=n_boot, seed=seed)
        less = difference(wide["strong"].to_numpy(), wide[pair].to_numpy(), paired=True, n_boot=n_boot, seed=seed)
        row = {"pair": pair, "cosine": own["difference"], "ci_low": own["ci_low"], "ci_high": own["ci_high"]}
        row |= {"less_than_strong": less["difference"], "less_low": less["ci_low"], "less_high": less["ci_high"]}
        rows.append(row)
    return pd.DataFrame(rows)


def nearer(table: pd.DataFrame, own: Sequence[str], other: Sequence[str], n_boot: int, seed: int) -> dict[str, float]:
    """How often the map of a network is more like that of one network than like that of another one.

    Args:
        table: from `likeness`.
        own: pairs that it forms with the first of the two.
        other: pairs that it forms with the second; every two pairs that have a network in common are compared.
        n_boot: resamples of the images.
        seed: of these.

    Returns:
        share, ci_low, ci_high; ties count one half, which is also what a coin says.
    """
    both = pd.concat([table, table.rename(columns={"first": "second", "second": "first"})])
    sides = [both[both["pair"].isin(pairs)] for pairs in (own, other)]
    met = sides[0].merge(sides[1], on=["first", "image"], suffixes=("", "_other"))
    won = (met["cosine"] > met["cosine_other"]) + 0.5 * (met["cosine"] == met["cosine_other"])
    means = won.groupby(met["image"], sort=False).mean().to_numpy()
    low, high = interval(bootstrap_means(means, n_boot, seed))
    return {"share": float(means.mean()), "ci_low": low, "ci_high": high}


def traits(shares: Mapping[tuple[str, int], np.ndarray], ids: Sequence[str]) -> pd.DataFrame:
    """What a map shows without another beside it.

    Args:
        shares: as for `likeness`.
        ids: what the images are called.

    Returns:
        Columns network, kind, image, total (sum of the values: the output less that of an empty image), against (share
        of what is negative in the sum of the absolute values), spread (parts that hold as much: the inverse of the sum
        of squared shares).
    """
    frames = []
    for network, values in shares.items():
        size = np.abs(values)
        weights = size / size.sum(1, keepdims=True)
        about = {"network": _called(network), "kind": network[0], "image": ids, "total": values.sum(1)}
        about |= {"against": (weights * (values < 0)).sum(1), "spread": 1 / (weights**2).sum(1)}
        frames.append(pd.DataFrame(about))
    return pd.concat(frames, ignore_index=True)


def traits_by_kind(table: pd.DataFrame, n_boot: int, seed: int) -> pd.DataFrame:
    """Means of the traits of both kinds, and whether they differ. table: from `traits`.

    Returns:
        Columns trait, strong, weak, difference (strong minus weak, by image), ci_low, ci_high, larger (share of the
        images where the strong ones' mean is the larger one).
    """
    rows = []
    for trait in ("total", "against", "spread"):
        wide = table.groupby(["image", "kind"], sort=False)[trait].mean().unstack()
        found = difference(wide["strong"].to_numpy(), wide["weak"].to_numpy(), paired=True, n_boot=n_boot, seed=seed)
        row = {"trait": trait, "strong": wide["strong"].mean(), "weak": wide["weak"].mean()} | found
        rows.append(row | {"larger": (wide["strong"] > wide["weak"]).mean()})
    return pd.DataFrame(rows)


TRAITS = {
    "total": "the sum of its values",
    "against": "the share of values against the digit",
    "spread": "the number of blocks over which it is spread",
}


def tell(by_kind: pd.DataFrame) -> str:
    """Which traits of a single map differ between the kinds, in sentences. by_kind: from `traits_by_kind`."""
    differ = by_kind[(by_kind["ci_low"] > 0) | (by_kind["ci_high"] < 0)]
    said = [
        f"{TRAITS[row.trait]} is {'larger' if row.difference > 0 else 'smaller'} for the strong networks on average "
        f"({row.strong:.2f}, weak {row.weak:.2f}), and in {max(row.larger, 1 - row.larger):.0%} of the images"
        for row in differ.itertuples()
    ]
    if not said:
        return "No trait of a single map differs demonstrably."
    return f"Of what a map shows by itself, {'; '.join(said)}."


def answer(found: pd.DataFrame, fell: pd.DataFrame, apart: Mapping[str, float], names: Sequence[str]) -> str:
    """The chapter's answer in sentences.

    Args:
        found: from `by_passes`.
        fell: from `falls`.
        apart: from `nearer`, of the networks of a kind beside those of the other.
        names: of the two classes.
    """
    own = found[found["method"] == "kernel_shap"].set_index("samples")
    most, table = own.index.max(), fell.set_index("method")
    near = own.index[own["error"] < 0.1]
    first = (
        f"With {near.min():.0f} of 65,536 coalitions Kernel SHAP is within a tenth of the exact values."
        if len(near)
        else f"With {most:.0f} coalitions Kernel SHAP is still {own.loc[most, 'error']:.0%} away from the exact values."
    )
    exact = table.loc[EXACT]
    word = "more than" if exact["above_low"] > 0 else "not demonstrably more than"
    second = f"The pixels that exact values name speak for {names[0]} rather than {names[1]} {word} random ink does"
    ahead = table[(table["beside_low"] > 0) & ~table.index.isin([*REFERENCES, *VARIANTS])]
    second += f", but {len(ahead)} methods of a fraction of the cost name better ones." if len(ahead) else "."
    third = f"By the likeness of maps a network is told to be good or poor in {apart['share']:.0%}, by a coin in half."
    return f"{first} {second} {third}"


def _called(network: tuple[str, int]) -> str:
    return f"{network[0]}-{network[1] + 1}"
