"""Files of a run that are not as it left them, when it is compared with another: refused with their names, or shown."""

import json
import re

import pytest

from saltrust.core.errors import SaltrustError
from saltrust.publishing import compare
from tests.publishing.test_compare import results

__all__ = ["results"]  # a fixture

WRONG = {
    "null": None,
    "a number": 7,
    "a text": "x",
    "a list": [1],
    "an object": {"a": {}},
    "a list of lists": [[]],
    "a number of 400 digits": 10**400,
}
FIELDS = {
    "provenance.json": ("chapter", "parameters", "seconds", "environment", "artefacts", "numbers"),
    "tables/localization.json": ("chapter", "caption", "rows", "key", "cell", "artefacts"),
    "figures/boxes.json": ("chapter", "caption", "alt", "counterpart", "tabs", "cell"),
    "numbers.json": ("localization/best", "localization/n", "localization/map"),
}
CONTENTS = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "not JSON": b'{"chapter": ',
    "not UTF-8": b"\xff\xfe\x00",
    "nested 100,000 times": b'{"a": ' + b"[" * 100_000,
    "a number of 5,000 digits": b'{"chapter": ' + b"1" * 5000 + b"}",
    "an object without fields": b"{}",
}
TABLES = {
    "empty": "",
    "headings alone": "method,model,mean,sd,ci_low,ci_high\n",
    "without its key": "a,b\n1,2\n",
    "two rows of one key": "method,model,mean,sd,ci_low,ci_high\nig,n,1,1,1,1\nig,n,2,1,1,1\n",
    "a row too long": "method,model,mean,sd,ci_low,ci_high\nig,n,1,1,1,1,9,9,9\n",
    "a row too short": "method,model,mean,sd,ci_low,ci_high\nig\n",
    "a quote that is not closed": 'method,model,mean,sd,ci_low,ci_high\n"ig,n,1,1,1,1\n',
    "words for numbers": "method,model,mean,sd,ci_low,ci_high\nig,n,much,x,y,z\n",
    "an interval upside down": "method,model,mean,sd,ci_low,ci_high\nig,n,1,1,2,0\n",
    "numbers that overflow": "method,model,mean,sd,ci_low,ci_high\nig,n,1e999,1,-1e999,1e999\n",
    "NaN": "method,model,mean,sd,ci_low,ci_high\nig,n,nan,nan,nan,nan\n",
    "columns twice": "method,model,mean,mean,ci_low,ci_high\nig,n,1,1,2,0\n",
    "the interval first": "ci_low,ci_high,method,model,mean,sd\n0,1,ig,net-1,0.5,1\n",
    "no estimate before the interval": "method,model,neam,sd,ci_low,ci_high\nig,n,1,1,0,2\n",
    "nothing before the interval": "ci_low,ci_high,method,model\n0,2,ig,n\n",
    "zero bytes": "method,model\0,mean,sd,ci_low,ci_high\nig,n,1,1,2,0\n",
}


def _field(name, field, value):
    def change(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | {field: value}))

    return change


def _content(name, content):
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def _parameter(name, value):
    def change(folder):
        content = json.loads((folder / "provenance.json").read_text())
        content["parameters"][name] = value
        (folder / "provenance.json").write_text(json.dumps(content))

    return change


CASES = {
    f"{field} in {name} is {what}": _field(name, field, value)
    for name, fields in FIELDS.items()
    for field in fields
    for what, value in WRONG.items()
}
CASES |= {f"{name} is {what}": _content(name, text) for name in FIELDS for what, text in CONTENTS.items()}
CASES |= {f"the table is {what}": _content("tables/localization.csv", text) for what, text in TABLES.items()}
CASES |= {
    f"the parameter {name} is {what}": _parameter(name, value)
    for name in ("dataset", "profile", "seed", "methods")
    for what, value in (
        WRONG | {"a way out": "../../../../etc", "a zero byte": "a\0b", "300 letters": "a" * 300}
    ).items()
}
CASES |= {
    "no table beside its note": lambda folder: (folder / "tables/localization.csv").unlink(),
    "no figure beside its note": lambda folder: (folder / "figures/boxes.png").unlink(),
    "a figure that is a folder": lambda folder: (
        (folder / "figures/boxes.png").unlink() or (folder / "figures/boxes.png").mkdir()
    ),
    "a note that is a folder": lambda folder: (folder / "figures/more.json").mkdir(),
    "a dangling link for the numbers": lambda folder: (
        (folder / "numbers.json").unlink() or (folder / "numbers.json").symlink_to("/nowhere")
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_damaged_run_is_named_or_compared(results, case):
    case(results("a"))
    results("b", shift=0.1)
    results("published", published=True)
    for other in ("b", "published"):
        told = "nothing of 'a' is wrong"
        try:
            compare.compare(compare.find("a", other=other), compare.find(other, other="a"))
        except SaltrustError as error:
            told = str(error)
        assert re.fullmatch(r"[^\n]*(/a/|'a'|unknown|not published)[^\n]*", told)
