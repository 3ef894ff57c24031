"""The report card: what one study found about the saliency maps of one classifier, with what speaks against it."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from io import BytesIO

import pandas as pd
from matplotlib.figure import Figure

from saltrust.plots import FAIL, PASS, abbreviation
from saltrust.registry import Registry
from saltrust.statistics.resampling import summarize
from saltrust.store import environment
from saltrust.study import THE_EIGHT, Study, chosen

CRITERIA = {"utility": "AUPRC", "randomization": "SSIM", "repeatability": "SSIM", "reproducibility": "SSIM"}
"""The four criteria, each with its score."""


@dataclass(frozen=True)
class Grade:
    """How a method does by one criterion. title: in words; symbol: in text; marker: matplotlib's; colour."""

    title: str
    symbol: str
    marker: str
    colour: str


GRADES = {
    "pass": Grade("passes every baseline", "●", "o", PASS),
    "low": Grade("passes all but the localizer", "▲", "^", "#4c9fd1"),
    "fail": Grade("fails a low baseline", "✕", "X", FAIL),
}


def report_card(study: Study, methods: str = "paper", n_boot: int = 1000) -> pd.DataFrame:
    """One row for each method, criterion and baseline, and one for each control and localizer by criterion.

    Columns: method, role ("map", "control" or "localizer"), criterion, score (its name), value (the mean over images),
    ci_low, ci_high (its 95 % bootstrap interval), n (images), baseline, reference (the baseline's mean) and verdict
    ("PASS" or "FAIL"). The last three are missing for controls and localizers, which are not judged.
    """
    kind = study.card.localizer
    utility = study.localization(methods).query("model in [@study.main, 'control', @kind + '-1']")
    frames = {
        "utility": (utility, "auprc"),
        "randomization": (study.sensitivity(methods, stage=study.stages[-1]), "ssim"),
        **{criterion: (frame, "ssim") for criterion, frame in study.stability(methods).items()},
    }
    means = pd.concat(
        summarize(frame, score, ["method"], n_boot, study.seed).assign(criterion=criterion, score=CRITERIA[criterion])
        for criterion, (frame, score) in frames.items()
    ).rename(columns={"mean": "value"})
    roles = dict.fromkeys(chosen(methods), "map") | {kind: "localizer"}
    means["role"] = means["method"].map(roles).fillna("control")
    judged = study.verdicts(methods, n_boot)[["method", "criterion", "baseline", "reference", "verdict"]]
    columns = ["method", "role", "criterion", "score", "value", "ci_low", "ci_high", "n"]
    return means[columns].merge(judged, "left", ["method", "criterion"])


def grades(card: pd.DataFrame) -> pd.DataFrame:
    """How each method does by each criterion, a name in GRADES: methods x criteria. card: from `report_card`."""
    failed = card[card["role"] == "map"].assign(failed=lambda rows: rows["verdict"] == "FAIL")
    low = failed["baseline"] != "localizer"
    found = failed.groupby(["method", "criterion"], sort=False).size().rename("grade").to_frame().assign(grade="pass")
    for part, grade in ((failed[~low], "low"), (failed[low], "fail")):  # a failed low baseline weighs more
        found.loc[part[part["failed"]].set_index(["method", "criterion"]).index.unique(), "grade"] = grade
    return found["grade"].unstack().loc[list(dict.fromkeys(failed["method"])), asked(card)]


def asked(card: pd.DataFrame) -> list[str]:
    """The criteria of a card, in the order of CRITERIA: two of them need a second network."""
    return [criterion for criterion in CRITERIA if (card["criterion"] == criterion).any()]


# --- warnings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """What warnings are drawn from: a study, the methods asked for and their report card."""

    study: Study
    methods: str
    card: pd.DataFrame
    n_boot: int = 1000

    @cached_property
    def models(self) -> pd.DataFrame:
        return self.study.models(self.n_boot)

    @cached_property
    def faults(self) -> pd.DataFrame:
        return self.study.faults(self.methods, models=(self.study.main,))

    @cached_property
    def utility(self) -> dict[str, pd.Series]:
        """Mean AUPRC by method, the highest first, for each role."""
        means = self.card[self.card["criterion"] == "utility"].drop_duplicates("method").set_index("method")
        return {role: rows["value"].sort_values(ascending=False) for role, rows in means.groupby("role")}

    @property
    def best(self) -> tuple[str, float]:
        """The map with the highest mean AUPRC, and that mean."""
        means = self.utility["map"]
        return abbreviation(means.index[0]), means.iloc[0]


WARNINGS: Registry[Callable[[Evidence], str | None]] = Registry("warning")
"""Each looks at the evidence, and says in one line what is wrong and what follows, or nothing (None)."""

WEAK = 0.8  # AUC below which a classifier has hardly learned the finding; the papers' reach 0.89 or more
FEW = 50  # images
LOOSE = 0.1  # residual, as a share of the total
LARGE = 0.1  # share of the image


def warnings(evidence: Evidence) -> list[str]:
    """What a reader of the card must know before believing it, one line each; empty where nothing is amiss."""
    return [text for check in WARNINGS.values() if (text := check(evidence))]


@WARNINGS.register("profile")
def _profile(evidence: Evidence) -> str | None:
    if evidence.study.profile.name != "smoke":
        return None
    which = "localizers" if evidence.study.card.models else "networks"
    return f"Profile smoke: few images, and {which} trained for a few steps only. The card shows that the code runs."


@WARNINGS.register("generated")
def _generated(evidence: Evidence) -> str | None:
    if evidence.study.card.get is not None:
        return None
    return "The images are drawn by a program: what holds for them need not hold for patients."


@WARNINGS.register("classifiers")
def _classifiers(evidence: Evidence) -> str | None:
    own = evidence.models.query("role == 'classifier'").dropna(subset="auc")
    weakest = own.loc[own["auc"].idxmin()]
    if weakest["auc"] >= WEAK:
        return None
    return (
        f"{evidence.study.title(weakest['model'])} has an AUC of {weakest['auc']:.2f} ({weakest['ci_low']:.2f} to "
        f"{weakest['ci_high']:.2f}): a map cannot show what its network has not learned."
    )


@WARNINGS.register("images")
def _images(evidence: Evidence) -> str | None:
    fewest = evidence.card.query("role == 'map'").groupby("criterion")["n"].max()
    if fewest.min() >= FEW:
        return None
    return (
        f"{fewest['utility']} images behind utility, {fewest['randomization']} behind randomization: the fewer there "
        "are, the more an interval is too narrow, so that a PASS may be chance; and a small difference is not seen."
    )


@WARNINGS.register("networks")
def _networks(evidence: Evidence) -> str | None:
    study = evidence.study
    if not study.partners:
        return "There is one network: whether another one would show the same was not asked."
    return (
        f"What another network would show rests on one pair of networks ({study.replication}): no interval here says "
        "how far another pair would differ."
    )


@WARNINGS.register("refused")
def _refused(evidence: Evidence) -> str | None:
    """Of the paper's methods, those that were left out since they cannot explain a model that was trained elsewhere."""
    reasons = evidence.study.refused([name for name in THE_EIGHT if name not in chosen(evidence.methods)])
    if not reasons:
        return None
    return "Not shown: " + "; ".join(f"{abbreviation(method)} ({reason})" for method, reason in reasons.items()) + "."


@WARNINGS.register("faults")
def _faults(evidence: Evidence) -> str | None:
    kinds = {"not_finite": "not finite", "constant": "constant", "empty": "empty"}
    found = evidence.faults.set_index("method")[list(kinds)].rename(columns=kinds).stack()
    found = found[found > 0]
    if found.empty:
        return None
    counts = ", ".join(f"{abbreviation(method)} {n} {kind}" for (method, kind), n in found.items())
    total = evidence.faults["maps"].sum()
    return f"{found.sum()} of {total} maps say nothing ({counts}): their scores are those of a blank, or missing."


@WARNINGS.register("residual")
def _residual(evidence: Evidence) -> str | None:
    loose = evidence.faults.set_index("method")["residual"]
    loose = loose[loose > LOOSE]
    if loose.empty:
        return None
    shares = ", ".join(f"{abbreviation(method)} by {share:.0%}" for method, share in loose.items())
    return f"Maps miss the total that they should add up to: {shares}. They are not yet what their method defines."


@WARNINGS.register("controls")
def _controls(evidence: Evidence) -> str | None:
    (best, value), rivals = evidence.best, evidence.utility["control"]
    rivals = rivals[rivals >= value]
    if rivals.empty:
        return None
    names = ", ".join(f"{abbreviation(name)} {mean:.2f}" for name, mean in rivals.items())
    return f"No map finds more than a control that never sees the network: {names}; the best map, {best}, {value:.2f}."


@WARNINGS.register("edges")
def _edges(evidence: Evidence) -> str | None:
    maps, edges = evidence.utility["map"], evidence.utility["control"]["sobel"]
    below = int((maps <= edges).sum())
    if not below:
        return None
    return f"An edge detector (AUPRC {edges:.2f}) finds as much as, or more than, {below} of {len(maps)} methods."


@WARNINGS.register("localizer")
def _localizer(evidence: Evidence) -> str | None:
    (best, value), (name, reference) = evidence.best, next(evidence.utility["localizer"].items())
    if reference > value:
        return None
    return (
        f"The localizer ({abbreviation(name)}) finds no more than {best}: AUPRC {reference:.2f} against {value:.2f}. "
        "It is no high baseline here."
    )


@WARNINGS.register("texture")
def _texture(evidence: Evidence) -> str | None:
    study, fixed = evidence.study, evidence.study.protocol.low_baseline
    if not study.partners:
        return None
    other = next(iter(study.partners.values()))
    null = study.null(evidence.methods, other).groupby("method")["ssim"].mean().drop(study.card.localizer)
    name, value = abbreviation(null.idxmax()), null.max()
    if fixed is not None:
        return (
            f"The low baseline of SSIM is set at {fixed:g}, not measured: maps that share their texture alone reach "
            f"{null.min():.2f} ({abbreviation(null.idxmin())}) to {value:.2f} ({name})."
        )
    if value <= 0.5:
        return None
    return f"SSIM is {value:.2f} for maps that share their texture alone ({name}): the number by itself says little."


@WARNINGS.register("undecided")
def _undecided(evidence: Evidence) -> str | None:
    verdicts = evidence.study.verdicts(evidence.methods, evidence.n_boot)
    open_ones = int(((verdicts["ci_low"] <= 0) & (verdicts["ci_high"] >= 0)).sum())
    if not open_ones:
        return None
    return (
        f"{open_ones} of {len(verdicts)} comparisons are undecided: their interval holds zero. FAIL then means “not "
        "shown to be better”, and PASS by the mean alone may be chance."
    )


@WARNINGS.register("boxes")
def _boxes(evidence: Evidence) -> str | None:
    if evidence.study.card.truth != "box":
        return None
    return "The truth is boxes, which hold more than the finding: a map of its exact outline would lose recall."


@WARNINGS.register("size")
def _size(evidence: Evidence) -> str | None:
    study = evidence.study
    share = study.data("test").truth[list(study.explained)].mean()
    if share <= LARGE:
        return None
    return f"The finding covers {share:.0%} of the image on average: a map that says nothing has that AUPRC."


# --- one page ---------------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem; max-width: 190mm; box-sizing: border-box; background: #fff; color: #1a1a1a;
  font: 13px/1.4 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { margin: 0; font-size: 1.6em; } h2 { margin: .9em 0 .3em; font-size: 1.1em; } p { margin: .3em 0; }
.facts { display: flex; flex-wrap: wrap; gap: .3em 1.8em; margin: .7em 0; }
.facts dt { color: #595959; font-size: .85em; } .facts dd { margin: 0; font-weight: 600; }
.figure { overflow-x: auto; } img { display: block; width: 100%; min-width: 30rem; height: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15em .4em; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }
th small, td small { font-weight: 400; font-size: .85em; color: #595959; }
tr.control td, tr.control th { color: #595959; font-weight: 400; }
ul { margin: .3em 0; padding-left: 1.2em; } li { margin: .1em 0; }
.key span { display: inline-block; margin-right: 1.2em; }
footer { margin-top: .8em; padding-top: .4em; border-top: 1px solid #ddd; color: #595959; font-size: .85em; }
@media (max-width: 36rem) { body { padding: .6rem; font-size: 12px; } th, td { padding: .15em .1em; }
  th small, td small { display: block; } thead th { font-size: .85em; } }
@page { size: A4; margin: 9mm; }
@media print { body { padding: 0; font-size: 9.5px; } img { width: 80%; margin: auto; }
  th, td { padding: .08em .4em; } }
"""


HEADINGS = {name: name.capitalize() for name in CRITERIA} | {
    "randomization": "Random&shy;ization",  # where a narrow column may break the word
    "repeatability": "Repeat&shy;ability",
    "reproducibility": "Repro&shy;ducibility",
}


def html(study: Study, card: pd.DataFrame, found: list[str], figure: Figure, alt: str) -> str:
    """The card as one page of HTML that needs no other file and fits A4: facts, figure, numbers, warnings.

    card: from `report_card`. found: from `warnings`. figure: drawn in; alt: what it shows.
    """
    png = BytesIO()
    figure.savefig(png, format="png", dpi=150, bbox_inches="tight", facecolor="white")
    heads = "".join(f'<th scope="col">{HEADINGS[c]} <small>{CRITERIA[c]}</small></th>' for c in asked(card))
    key = "".join(f"<span>{_symbol(grade)} {grade.title}</span>" for grade in GRADES.values())
    notes = "".join(f"<li>{escape(text)}</li>" for text in found) or "<li>None.</li>"
    facts = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in _facts(study).items())
    on = study.card.title if study.card.models else f"{study.title()} on {study.card.title}"
    title = f"Report card: {on}"
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head>
<body>
<h1>Can these saliency maps be trusted?</h1>
<p>{escape(title)}</p>
<dl class="facts">{facts}</dl>
<div class="figure"><img src="data:image/png;base64,{b64encode(png.getvalue()).decode()}" alt="{escape(alt)}"></div>
<h2>Warnings</h2>
<ul>{notes}</ul>
<h2>Mean and 95 % interval</h2>
<table><thead><tr><th scope="col">Method</th>{heads}</tr></thead><tbody>{_rows(card)}</tbody></table>
<p class="key">{key}</p>
<p>Randomization is better when low, all else when high. Grey: controls and localizer, which are not judged.</p>
<footer>{escape(_origin(study, card))}</footer>
</body>
</html>
"""


def _facts(study: Study) -> dict[str, str]:
    main = study.models().set_index("model").loc[study.main]
    return {
        "Classifier": study.title(),
        "AUC (95 % interval)": f"{main['auc']:.2f} ({main['ci_low']:.2f} to {main['ci_high']:.2f})",
        "Finding": study.card.finding,
        "Truth": study.card.truth,
        "Images with maps": f"{len(study.explained)}, {study.size} pixels wide",
        "Protocol": f"{study.protocol.name}, PASS by {study.protocol.rule}",
        "Profile": study.profile.name,
    }


def _rows(card: pd.DataFrame) -> str:
    """The rows of the table: a cell for each criterion, the controls last."""
    graded = grades(card)
    once = card.drop_duplicates(["method", "criterion"]).set_index(["method", "criterion"])
    lines = []
    for method, role in once.reset_index("criterion")["role"].groupby("method", sort=False).first().items():
        cells = []
        for criterion in asked(card):
            if (method, criterion) not in once.index:
                cells.append("<td></td>")
                continue
            row = once.loc[(method, criterion)]
            symbol = _symbol(GRADES[graded.loc[method, criterion]]) + " " if role == "map" else ""
            value, low, high = (_decimal(row[name]) for name in ("value", "ci_low", "ci_high"))
            cells.append(f"<td>{symbol}{value} <small>{low} to {high}</small></td>")
        name = f'<th scope="row">{escape(abbreviation(method))}</th>'
        lines.append(f'<tr class="{"map" if role == "map" else "control"}">{name}{"".join(cells)}</tr>')
    return "".join(lines)


def _decimal(value: float) -> str:
    """Two decimals, with a true minus sign and no negative zero."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _symbol(grade: Grade) -> str:
    return f'<b style="color:{grade.colour}" role="img" aria-label="{grade.title}">{grade.symbol}</b>'


def _origin(study: Study, card: pd.DataFrame) -> str:
    here, shown = environment(), list(dict.fromkeys(card.loc[card["role"] == "map", "method"]))
    methods = "" if shown == list(THE_EIGHT) else f" --methods {','.join(shown)}"
    options = f"--dataset {study.card.name} --profile {study.profile.name} --protocol {study.protocol.name}{methods}"
    return (
        f"saltrust {here['saltrust']}, commit {here['commit']}, seed {study.seed}. To make it anew: saltrust run "
        f"report_card {options}"
    )
