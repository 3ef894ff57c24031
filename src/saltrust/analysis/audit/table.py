"""The findings in their order, and the table of their demonstrations."""

import pandas as pd

from saltrust.analysis.audit import arun, libraries, shu, tjoa, venkatesh
from saltrust.analysis.audit.finding import Finding
from saltrust.core.progress import track
from saltrust.study.study import Study

FINDINGS: dict[str, Finding] = {
    finding.name: finding
    for finding in (
        # what is explained
        arun.predicted_class,
        arun.moving_class,
        # how maps are made
        arun.squares,
        arun.steps,
        arun.own_range,
        arun.displayed_product,
        arun.grid,
        tjoa.first_layer,
        tjoa.signs,
        tjoa.validated_large,
        tjoa.same_layers,
        libraries.functional_relu,
        libraries.functional_pooling,
        # how maps are scored
        arun.preparation,
        arun.window,
        arun.data_range,
        arun.high_baseline,
        arun.constant_maps,
        arun.clipping,
        arun.area,
        # what they are compared with
        arun.leak,
        arun.boxes,
        arun.draws,
        arun.folder,
        arun.deviations,
        libraries.batchnorm,
        # generated cells and their score
        tjoa.pole,
        tjoa.compositing,
        tjoa.turned,
        tjoa.rim,
        tjoa.divisor,
        tjoa.missed,
        tjoa.axes,
        tjoa.clamping,
        # beside radiologists
        venkatesh.chosen_on_test,
        venkatesh.bootstrap_values,
        venkatesh.squeezed,
        venkatesh.dead_networks,
        venkatesh.opening,
        venkatesh.corners,
        venkatesh.kept_edges,
        venkatesh.raw_overlap,
        venkatesh.dropped_pairs,
        venkatesh.own_consensus,
        venkatesh.convex_fill,
        venkatesh.nothing,
        venkatesh.overwritten,
        # a paper without public code
        shu.one_film,
        shu.printed_means,
        shu.two_areas,
        shu.t_test,
    )
}
"""By name, in the order of the table."""


def audit(study: Study) -> pd.DataFrame:
    """Every finding, demonstrated on a study.

    Returns:
        Columns name, finding, paper, text, code, measure, as_text, as_code.
    """
    rows = []
    for name, found in track(FINDINGS.items(), "audit", len(FINDINGS)):
        as_text, as_code = found.demonstrate(study)
        rows.append(
            {
                "name": name,
                "finding": found.title,
                "paper": found.paper,
                "text": found.text,
                "code": found.code,
                "measure": found.measure,
                "as_text": float(as_text),
                "as_code": float(as_code),
            }
        )
    return pd.DataFrame(rows)
