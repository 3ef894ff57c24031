"""What a run is too small for: each limit where it holds and where it does not, on studies that are made up."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from saltrust.analysis.claims import limits
from saltrust.analysis.claims.limits import LEAST_GRID, LEAST_IMAGES, LIMITS, cam_grid, few, merged
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.methods.registry import PAPER_EIGHT


def images(n):
    return [f"image {i}" for i in range(n)]


def evidence(n=30, profile="quick", protocol="published", clusters=None, auc=None, columns=None, size=None):
    """Scores of n images. auc: a network's area under the curve and the lower end of its interval, by name."""
    names = {"inception_v3-1": (0.9, 0.8), "inception_v3-2": (0.9, 0.8), "densenet121-1": (0.9, 0.8)}
    names |= {"unet-1": (0.9, 0.8), "unet-2": (0.9, 0.8)} | (auc or {})
    networks = SimpleNamespace(
        main="inception_v3-1",
        replicate="inception_v3-2",
        other="densenet121-1",
        architecture=lambda name: name.rpartition("-")[0],
        size=lambda name: size or PROFILES[profile].size,
    )
    table = pd.DataFrame(0.5, index=images(n), columns=columns or [*PAPER_EIGHT, "average", "localizer"])
    return SimpleNamespace(
        table=lambda name: table,
        networks=pd.DataFrame([{"model": name, "auc": a, "ci_low": low} for name, (a, low) in names.items()]),
        study=SimpleNamespace(
            profile=PROFILES[profile],
            protocol=PROTOCOLS[protocol],
            networks=networks,
            card=SimpleNamespace(truth="mask", localizer="unet"),
            images=SimpleNamespace(clusters=clusters, unit="patient" if clusters else "image"),
        ),
    )


def test_from_so_many_images_on_an_interval_covers_what_it_should():
    """The percentile interval of a mean of n normal scores, in the limit of many resamples, is the mean ± 1.96 times
    the standard deviation with divisor n over the root of n."""

    def coverage(n):
        return 2 * t.cdf(norm.ppf(0.975) * np.sqrt((n - 1) / n), n - 1) - 1

    assert coverage(5) == pytest.approx(0.84, abs=0.01)
    assert coverage(LEAST_IMAGES) == pytest.approx(0.93, abs=0.005)


def test_five_images_make_no_interval():
    assert LIMITS["few_images"](evidence(LEAST_IMAGES), "utility") == {}
    assert LIMITS["few_images"](evidence(5), "randomization")["grad"] == ["5 images"]
    assert LIMITS["few_images"](evidence(5), "threshold")["grad"] == ["5 pairs of images"]


def test_images_without_a_score_do_not_count():
    on = evidence(30)
    on.table("utility").iloc[:15, 0] = np.nan
    assert LIMITS["few_images"](on, "utility") == {"grad": ["15 images"]}


def test_patients_are_counted_where_several_images_are_of_one():
    patients = {image: f"patient {i // 3}" for i, image in enumerate(images(30))}
    assert LIMITS["few_images"](evidence(30, clusters=patients), "utility")["xrai"] == ["10 patients"]
    assert LIMITS["few_images"](evidence(30, clusters=patients), "threshold") == {}


@pytest.mark.parametrize(("number", "text"), [(1, "1 image"), (2, "2 images"), (0, "0 images")])
def test_a_number_of_images_in_words(number, text):
    assert few(number, "image") == text
    assert few(1, "pair of images") == "1 pair of images"


def test_the_profile_cuts_steps_and_copies():
    found = merged(LIMITS["few_passes"](evidence(), "utility"))
    assert {method: sorted(reasons) for method, reasons in found.items()} == {
        "smoothgrad": ["5 of 25 noisy copies"],
        "ig": ["10 of 25 steps"],
        "smooth_ig": ["4 of 25 steps", "5 of 25 noisy copies"],
        "xrai": ["10 of 100 steps"],
    }
    assert merged(LIMITS["few_passes"](evidence(profile="full"), "utility")) == {}


def test_what_the_protocol_itself_asks_for_is_no_limit():
    found = LIMITS["few_passes"](evidence(protocol="as_run"), "utility")
    assert found["ig"] == []
    assert found["smooth_ig"] == ["5 of 25 noisy copies", "4 of 10 steps"]
    ten = evidence(protocol="as_run", profile="full")
    assert merged(LIMITS["few_passes"](ten, "utility")) == {}


@pytest.mark.parametrize(
    ("table", "columns", "limited"),
    [
        ("utility_by_model", ["main", "other"], ["main", "other"]),
        ("cascade", ["logits"], []),
        ("recall", ["vgg16"], []),
        ("reader_subgroups", ["fracture/ig", "fracture/grad"], ["fracture/ig"]),
        ("reader_utility", ["average reader, pairwise"], []),
    ],
)
def test_columns_that_are_not_called_after_methods(table, columns, limited):
    assert list(merged(LIMITS["few_passes"](evidence(columns=columns), table))) == limited


@pytest.mark.parametrize(
    ("architecture", "size", "min_grid", "grid"),
    [
        ("inception_v3", 128, 1, 2),  # the profile quick
        ("inception_v3", 128, 4, 6),
        ("inception_v3", 320, 1, 8),  # the paper's size: 8 x 8, where the text says 10 x 10
        ("densenet121", 128, 1, 4),
    ],
)
def test_the_grid_of_a_class_activation_map(architecture, size, min_grid, grid):
    assert cam_grid(architecture, size, min_grid) == grid


@pytest.mark.parametrize(
    ("protocol", "table", "grids", "limited"),
    [
        ("published", "utility", {"inception_v3": 2, "densenet121": 4}, ["a grid of 2 × 2"]),
        ("published", "utility_other", {"inception_v3": 2, "densenet121": 4}, []),
        ("published", "reproducibility", {"inception_v3": 4, "densenet121": 3}, ["a grid of 3 × 3"]),
        ("published", "reproducibility", {"inception_v3": 2, "densenet121": 3}, ["a grid of 2 × 2", "a grid of 3 × 3"]),
        ("published", "repeatability", {"inception_v3": 2, "densenet121": 4}, ["a grid of 2 × 2"]),
        ("corrected", "utility", {"inception_v3": LEAST_GRID, "densenet121": 4}, []),
    ],
)
def test_class_activation_maps_of_a_coarse_grid(monkeypatch, protocol, table, grids, limited):
    monkeypatch.setattr(limits, "cam_grid", lambda architecture, size, min_grid: grids[architecture])
    found = merged(LIMITS["coarse_grid"](evidence(protocol=protocol), table))
    assert found == (dict.fromkeys(["gradcam", "guided_gradcam"], tuple(limited)) if limited else {})


def test_a_network_that_has_learned_nothing_has_nothing_to_show():
    chance = {"densenet121-1": (0.55, 0.42)}
    assert merged(LIMITS["unlearned"](evidence(auc=chance), "utility")) == {}
    found = merged(LIMITS["unlearned"](evidence(auc=chance), "reproducibility"))
    assert found == dict.fromkeys(PAPER_EIGHT, ("AUC 0.55 of densenet121-1",))
    assert LIMITS["unlearned"](evidence(auc={"inception_v3-1": (0.5, 0.4)}), "utility_random") == {}


@pytest.mark.parametrize(
    ("table", "column", "names"),
    [
        ("utility", "grad", ("inception_v3-1",)),
        ("utility", "average", ()),
        ("utility", "localizer", ("unet-1",)),
        ("utility_other", "grad", ("densenet121-1",)),
        ("utility_by_model", "main", ("inception_v3-1",)),
        ("utility_by_model", "other", ("densenet121-1",)),
        ("cascade", "logits", ("inception_v3-1",)),
        ("repeatability", "grad", ("inception_v3-1", "inception_v3-2")),
        ("reproducibility", "grad", ("inception_v3-1", "densenet121-1")),
        ("reproducibility", "localizer", ("unet-1", "unet-2")),
    ],
)
def test_which_networks_are_behind_a_column(table, column, names):
    assert limits.networks_behind(evidence(), table, column) == names


def test_a_localizer_that_has_learned_nothing():
    second = evidence(auc={"unet-2": (0.4, 0.3)})
    assert merged(LIMITS["unlearned"](second, "repeatability")) == {"localizer": ("AUC 0.40 of unet-2",)}
    assert merged(LIMITS["unlearned"](second, "utility")) == {}  # made by the first


def graded(right, columns):
    """A study of several classes, the most frequent of which has 20 of 100 images. right: accuracy by network."""
    on = evidence(columns=columns)
    on.study.card.truth = "graded"
    labels = np.r_[np.zeros(20, int), np.arange(80) % 8 + 1]
    on.study.images.split = lambda name: SimpleNamespace(labels=labels)
    accuracies = pd.DataFrame({"network": right.keys(), "accuracy": right.values()})
    on.graded = SimpleNamespace(
        networks=tuple(name for name in right if "+" not in name),
        deepened=tuple(name for name in right if "+" in name),
        accuracies=lambda networks: accuracies[accuracies["network"].isin(networks)],
    )
    return on


def test_networks_of_several_classes_must_beat_the_most_frequent_one():
    columns = ["vgg16/saliency", "alexnet/saliency", "alexnet"]
    found = merged(LIMITS["unlearned_classes"](graded({"vgg16": 0.9, "alexnet": 0.25}, columns), "recall"))
    assert found == dict.fromkeys(columns[1:], ("alexnet is right in 25%",))
    assert LIMITS["unlearned_classes"](graded({"alexnet": 0.25}, ["alexnet"]), "accuracy") == {}
    assert LIMITS["unlearned_classes"](evidence(), "recall") == {}


def test_all_deepened_networks_are_behind_the_test_of_depth():
    right = {"alexnet": 0.9, "alexnet+1": 0.9, "alexnet+2": 0.1}
    found = LIMITS["unlearned_classes"](graded(right, ["recall", "precision"]), "depth")
    assert found == dict.fromkeys(["recall", "precision"], ["alexnet+2 is right in 10%"])


def test_all_limits_of_a_column_are_told(monkeypatch):
    monkeypatch.setattr(limits, "cam_grid", lambda architecture, size, min_grid: 2)
    found = limits.limits(evidence(5), "randomization")
    assert found["grad"] == ("5 images",)
    assert found["gradcam"] == ("5 images", "a grid of 2 × 2")
    assert found["ig"] == ("5 images", "10 of 25 steps")


def test_the_papers_sizes_have_no_limit():
    assert limits.limits(evidence(246, profile="full"), "utility") == {}


def test_readers_have_no_network_and_methods_beside_them_those_of_their_criterion():
    on = evidence(auc={"inception_v3-2": (0.6, 0.4)}, columns=["ig", "fracture/ig", "average reader, consensus"])
    found = {table: merged(LIMITS["unlearned"](on, table)) for table in limits.OF_READERS}
    assert found["reader_utility"] == found["reader_subgroups"] == found["reader_reproducibility"] == {}
    assert set(found["reader_repeatability"]) == {"ig", "fracture/ig"}
    on = evidence(auc={"densenet121-1": (0.6, 0.4)}, columns=["ig", "average reader, consensus"])
    assert set(merged(LIMITS["unlearned"](on, "reader_reproducibility"))) == {"ig"}
