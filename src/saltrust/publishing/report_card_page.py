"""The report card as a page."""

from base64 import b64encode
from html import escape
from io import BytesIO

import pandas as pd
from matplotlib.figure import Figure

from saltrust.analysis.report_card import GRADES, criteria_of, grades
from saltrust.artefacts.sidecar import environment
from saltrust.methods.registry import PAPER_EIGHT, label_of
from saltrust.publishing.html import document
from saltrust.study.criteria import CRITERIA
from saltrust.study.study import Study

HYPHENATED = {  # where a narrow column may break the word
    "randomization": "Random&shy;ization",
    "repeatability": "Repeat&shy;ability",
    "reproducibility": "Repro&shy;ducibility",
}


def html(study: Study, card: pd.DataFrame, found: list[str], figure: Figure, alt: str) -> str:
    """The card as one page of HTML that needs no other file and fits A4: facts, figure, numbers, warnings.

    Args:
        study: That was judged.
        card: From `report_card`.
        found: From `warnings`.
        figure: Drawn in.
        alt: What the figure shows.
    """
    png = BytesIO()
    figure.savefig(png, format="png", dpi=150, bbox_inches="tight", facecolor="white")
    criteria = [CRITERIA[name] for name in criteria_of(card)]
    heads = "".join(
        f'<th scope="col">{HYPHENATED.get(c.name, c.title)} <small>{c.score_title}</small></th>' for c in criteria
    )
    lower = ", ".join(c.title for c in criteria if not c.larger_is_better)
    key = "".join(f"<span>{_symbol(name)} {grade.title}</span>" for name, grade in GRADES.items())
    notes = "".join(f"<li>{escape(text)}</li>" for text in found) or "<li>None.</li>"
    facts = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in _facts(study).items())
    on = study.card.title if study.card.models else f"{study.networks.title()} on {study.card.title}"
    title = f"Report card: {on}"
    body = f"""<dl class="facts">{facts}</dl>
<div class="figure"><img src="data:image/png;base64,{b64encode(png.getvalue()).decode()}" alt="{escape(alt)}"></div>
<h2>Warnings</h2>
<ul>{notes}</ul>
<h2>Mean and 95 % interval</h2>
<table><thead><tr><th scope="col">Method</th>{heads}</tr></thead><tbody>{_rows(card)}</tbody></table>
<p class="key">{key}</p>
<p>{lower} is better when low, all else when high. Grey: controls and localizer, which are not judged.</p>
<footer>{escape(_origin(study, card))}</footer>"""
    return document(title, "Can these saliency maps be trusted?", body, kind="page paper")


def _facts(study: Study) -> dict[str, str]:
    main = study.networks.table().set_index("model").loc[study.networks.main]
    return {
        "Classifier": study.networks.title(),
        "AUC (95 % interval)": f"{main['auc']:.2f} ({main['ci_low']:.2f} to {main['ci_high']:.2f})",
        "Finding": study.card.finding,
        "Truth": study.card.truth,
        "Images with maps": f"{len(study.images.explained)}, {study.images.size} pixels wide",
        "Protocol": f"{study.protocol.name}, judged by the {study.protocol.rule}",
        "Profile": study.profile.name,
    }


def _rows(card: pd.DataFrame) -> str:
    """The rows of the table: a cell for each criterion, the controls last."""
    graded = grades(card)
    once = card.drop_duplicates(["method", "criterion"]).set_index(["method", "criterion"])
    lines = []
    for method, role in once.reset_index("criterion")["role"].groupby("method", sort=False).first().items():
        cells = []
        for criterion in criteria_of(card):
            if (method, criterion) not in once.index:
                cells.append("<td></td>")
                continue
            row = once.loc[(method, criterion)]
            symbol = _symbol(graded.loc[method, criterion]) + " " if role == "map" else ""
            value, low, high = (_decimal(row[name]) for name in ("value", "ci_low", "ci_high"))
            cells.append(f"<td>{symbol}{value} <small>{low} to {high}</small></td>")
        name = f'<th scope="row">{escape(label_of(method))}</th>'
        lines.append(f'<tr class="{"map" if role == "map" else "control"}">{name}{"".join(cells)}</tr>')
    return "".join(lines)


def _decimal(value: float) -> str:
    """Two decimals, with a true minus sign and no negative zero."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _symbol(name: str) -> str:
    grade = GRADES[name]
    return f'<b class="grade-{name}" role="img" aria-label="{grade.title}">{grade.symbol}</b>'


def _origin(study: Study, card: pd.DataFrame) -> str:
    here, shown = environment(), list(dict.fromkeys(card.loc[card["role"] == "map", "method"]))
    methods = "" if shown == list(PAPER_EIGHT) else f" --methods {','.join(shown)}"
    options = f"--dataset {study.card.name} --profile {study.profile.name} --protocol {study.protocol.name}{methods}"
    return (
        f"saltrust {here['saltrust']}, commit {here['commit']}, seed {study.seed}. To make it anew: saltrust run "
        f"report_card {options}"
    )
