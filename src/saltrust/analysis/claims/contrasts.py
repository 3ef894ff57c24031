"""What claims about maps that tell two classes apart are tested on (the review, of Lundberg & Lee and of Garbin)."""

from collections.abc import Iterable

import pandas as pd

from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.analysis.shapley import EXACT, RANDOM_INK, erasures
from saltrust.artefacts import Artefact
from saltrust.study.shapley import KINDS, ShapleyStudy
from saltrust.study.study import Study

COLUMNS = {EXACT: "shapley", "kernel_shap": "kernel_shap", RANDOM_INK: "random_ink"}
METHOD = "kernel_shap"


def made_from(study: Study) -> Iterable[Artefact]:
    """What the table is made from, but for erasures."""
    digits = ShapleyStudy(study)
    yield from (digits.games_artefact(kind, contrasted=True) for kind in KINDS)
    yield from (digits.map_artefact(METHOD, output) for output in digits.contrast)


@TABLES.register("erased")
def _erased(evidence: Evidence) -> pd.DataFrame:
    """Fall of the log-odds of the first class as pixels are removed, a column for each kind of network and choice of
    pixels, "<kind>/<choice>": of COLUMNS, KernelSHAP of the strong network alone."""
    digits = ShapleyStudy(evidence.study)
    parts = []
    for kind in KINDS:
        maps = {EXACT: digits.share_difference(kind)}
        maps |= {METHOD: digits.difference(METHOD)} if kind == KINDS[0] else {}
        pixels = digits.test.pixels[list(digits.contrasted)]
        about = {"ids": digits.test.ids[list(digits.contrasted)], "chances": digits.sizes.chances}
        found = erasures(pixels, maps, lambda one, kind=kind: digits.log_odds(one, kind), **about, seed=evidence.seed)
        wide = found[found["method"].isin(COLUMNS)].pivot(index="image", columns="method", values="fall")
        parts.append(wide.rename(columns=COLUMNS).add_prefix(f"{kind}/"))
    return pd.concat(parts, axis=1).rename_axis(columns=None)
