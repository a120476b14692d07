"""Committed runs keep their keys, whatever a spec comes to hold.

`committed_keys.json` was written before the path from a spec to a trained run was opened to other
models, tasks and optimisers. What an experiment gains later is added to it; nothing in it changes.
"""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from wider.runs import RunSpec
from wider.study import EXPERIMENTS

ROOT = Path(__file__).parents[1]
PINNED: dict[str, str] = json.loads(Path(__file__).with_name("committed_keys.json").read_text())

# One spec for each field that a run had then, as TOML would have it.
SINGLE: list[tuple[dict, str]] = json.loads(
    Path(__file__).with_name("committed_fields.json").read_text()
)


def keys_of(name: str) -> list[str]:
    experiment, scale = name.split()
    return [spec.key for spec in EXPERIMENTS[experiment].scales[scale].specs()]


@pytest.mark.parametrize("name", PINNED)
def test_an_experiment_asks_for_the_runs_that_it_asked_for(name: str):
    assert hashlib.sha256("".join(keys_of(name)).encode()).hexdigest() == PINNED[name]


@pytest.mark.parametrize(("document", "key"), SINGLE)
def test_a_field_keeps_its_place_in_the_key(document: dict, key: str):
    assert RunSpec.model_validate_json(json.dumps(document)).key == key


def test_every_committed_key_is_that_of_a_spec():
    asked = {key for name in PINNED for key in keys_of(name)}
    tables = [pd.read_csv(path, low_memory=False) for path in (ROOT / "results").glob("*.csv")]
    committed = {key for table in tables if "key" in table for key in table["key"]}
    assert len(committed) > 2000
    assert committed <= asked
