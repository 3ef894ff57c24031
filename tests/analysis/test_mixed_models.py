"""Each question takes the rows that belong to it, and its answer says what the numbers say."""

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.mixed_models import QUESTIONS, answer, questions
from saltrust.core.errors import SaltrustError

METHODS = ["grad", "xrai"]
MODELS = {"net-1": 0.0, "net-2": 0.02, "other-1": 0.1, "net-random": -0.1}
IMAGES = [f"image {i}" for i in range(6)]


def frames(methods=METHODS, replicates=1):
    """What `study.criteria` gives: utility of all networks, and the other criteria's frames."""
    rng = np.random.default_rng(0)
    score = {"grad": 0.2, "xrai": 0.5, "sobel": 0.1, "average": 0.3, "unet": 0.9}

    def rows(labels, value):
        return [{"image": image, **labels, **value(image)} for image in IMAGES]

    def noisy(mean):
        return lambda image: {"auprc": mean + 0.01 * IMAGES.index(image) + rng.normal(0, 0.01)}

    utility = [
        r
        for model, shift in MODELS.items()
        for m in methods
        for r in rows({"method": m, "model": model}, noisy(score[m] + shift))
    ]
    for method in ("sobel", "average"):
        utility += rows({"method": method, "model": "control"}, noisy(score[method]))
    for k in (1, 2):
        utility += rows({"method": "unet", "model": f"unet-{k}"}, noisy(0.9))

    def likeness(shift, extra):
        table = [r for m in [*methods, *extra] for r in rows({"method": m}, noisy(score[m] + shift))]
        return pd.DataFrame(table).rename(columns={"auprc": "ssim"})

    return pd.DataFrame(utility), {
        "randomization": pd.concat([likeness(0, ()).assign(replicate=k) for k in range(replicates)]),
        "repeatability": likeness(0, ("unet",)).assign(replicate=0),
        "reproducibility": likeness(-0.2, ("unet",)).assign(replicate=0),
    }


def asked(*given, methods=METHODS, clusters=None):
    trained = [model for model in MODELS if model != "net-random"]
    found = questions(*given, methods=methods, trained=trained, untrained="net-random", clusters=clusters)
    return {question.name: question for question in found}


def test_every_question_takes_its_rows():
    found = asked(*frames())
    assert tuple(found) == QUESTIONS
    one = found["utility"].scores
    assert set(one["model"].dropna()) == {"net-1", "unet-1"}
    assert set(one["level"]) == {"grad", "xrai", "sobel", "average", "unet"}
    every = found["utility_networks"].scores
    assert set(every["model"].dropna()) == {"net-1", "net-2", "other-1", "unet-1", "unet-2"}
    assert every.loc[every["method"] == "sobel", "model"].isna().all()
    assert found["utility_crossed"].random == ("image", "model")
    assert found["utility_networks"].random == ("image", "model", "method:model")
    assert found["training"].pairs == (("grad: trained", "grad: random"), ("xrai: trained", "xrai: random"))
    assert found["stability"].pairs[0] == ("grad: repeatability", "grad: reproducibility")
    assert "unet" in found["repeatability"].scores["level"].to_numpy()
    assert not found["stability"].scores["method"].eq("unet").any()
    assert all(question.random == ("image",) for name, question in found.items() if "_" not in name)


def test_answers_are_the_differences_that_were_put_in():
    found = {name: answer(question, n_boot=200) for name, question in asked(*frames()).items()}
    contrast = {name: one.contrasts.set_index("contrast") for name, one in found.items()}
    assert contrast["utility"].loc["grad - xrai", "estimate"] == pytest.approx(-0.3, abs=0.02)
    assert contrast["training"].loc["grad: trained - random", "estimate"] == pytest.approx(0.1, abs=0.02)
    assert contrast["stability"].loc["xrai: repeatability - reproducibility", "estimate"] == pytest.approx(
        0.2, abs=0.02
    )
    assert list(found["utility"].contrasts)[:6] == [
        "question",
        "contrast",
        "estimate",
        "ci_low",
        "ci_high",
        "p_adjusted",
    ]
    assert list(found["utility"].means.index) == ["unet", "xrai", "average", "grad", "sobel"]
    assert found["utility"].letters == {"unet": "a", "xrai": "b", "average": "c", "grad": "d", "sobel": "e"}
    row = found["utility"].summary()
    assert row["different"] == row["different_by_holm"] == row["pairs"] == 10
    assert row["mixedlm_gap"] < 1e-3
    assert "mixedlm_gap" not in found["utility_networks"].summary()
    assert row["bootstrap_agrees"] + (row["model_only"] + row["bootstrap_only"]) / 10 == pytest.approx(1)
    assert "bootstrap_agrees" not in found["utility_networks"].summary()
    assert (found["utility"].directions["model"] == np.sign(found["utility"].contrasts["estimate"])).all()


def test_where_statsmodels_finds_no_fit_there_is_no_second_opinion(monkeypatch):
    def singular(*given):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr("saltrust.analysis.mixed_models.by_statsmodels", singular)
    assert np.isnan(answer(asked(*frames())["utility"], n_boot=20).summary()["mixedlm_gap"])


def test_controls_count_once_and_those_that_cannot_vary_not_at_all():
    """A control that is asked for as a method is scored for each model, and always the same."""
    utility, others = frames()
    again = [utility[utility["method"] == "sobel"].assign(model=model) for model in MODELS]
    alike = pd.DataFrame({"image": IMAGES, "method": "sobel", "ssim": 1.0})
    found = asked(
        pd.concat([utility, *again]),
        {name: pd.concat([frame, alike.assign(replicate=0)]) for name, frame in others.items()},
        methods=[*METHODS, "sobel"],
    )
    plain = asked(*frames())
    assert len(found["utility_networks"].scores) == len(plain["utility_networks"].scores)
    assert found["repeatability"].left_out == ("sobel",)
    assert found["repeatability"].pairs == plain["repeatability"].pairs
    assert answer(found["repeatability"], 50).summary()["left_out"] == "sobel"
    assert {first for first, _ in found["training"].pairs} == {"grad: trained", "xrai: trained"}
    assert found["stability"].pairs == plain["stability"].pairs


def test_replicates_and_patients_are_random_factors():
    patients = {image: f"patient {i // 2}" for i, image in enumerate(IMAGES)}
    found = asked(*frames(replicates=3), clusters=patients)
    assert found["randomization"].random == ("group", "image", "replicate", "method:replicate")
    assert found["utility"].random == ("group", "image")
    assert "variance_group" in answer(found["utility"], 50).summary()
    alone = asked(*frames(), clusters={image: image for image in IMAGES})
    assert alone["utility"].random == ("image",)


def test_one_method_leaves_no_pairs_and_controls_alone_no_question():
    found = asked(*frames(["xrai"]), methods=["xrai"])
    assert "randomization" not in found
    assert len(found["training"].pairs) == 1
    utility, others = frames()
    with pytest.raises(SaltrustError, match="'sobel': all are controls"):
        asked(utility, others, methods=["sobel"])
