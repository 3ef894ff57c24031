"""Frames and what R says about them: oracle/oracle.R reads oracle/*.csv and has written oracle/record.json."""

import json
from pathlib import Path

import pandas as pd
import pytest

ORACLE = Path(__file__).with_name("oracle")
RANDOM = {
    "balanced": ("image",),
    "missing": ("image",),
    "singular": ("image",),
    "crossed": ("image", "model"),
    "interaction": ("image", "model", "method:model"),
}


@pytest.fixture(scope="session")
def record():
    return json.loads((ORACLE / "record.json").read_text(encoding="utf-8"))["frames"]


@pytest.fixture(params=RANDOM)
def case(request, record):
    """(frame, random factors, R's answer) for each of the frames."""
    name = request.param
    return pd.read_csv(ORACLE / f"{name}.csv"), RANDOM[name], record[name]
