"""Whatever a flag says, it is a run, or refused with exit code 2."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wider.cli import main
from wider.errors import InputError
from wider.models import MLPSpec, ResNet18Spec
from wider.runs import RunSpec

PARTS = ("data", "widening", "recipe")
FLAGS = [
    f"--{part}.{field.replace('_', '-')}"
    for part, fields in {
        **{part: type(getattr(RunSpec(), part)).model_fields for part in PARTS},
        "model": [*MLPSpec().table, *ResNet18Spec().table, "options"],
    }.items()
    for field in fields
] + ["--seed", "--kernel-pairs", "--device", "--precision", "--no-such"]
VALUES = (
    st.integers(-2, 300).map(str)
    | st.sampled_from([
        "100000000000000000000", f"1{'0' * 400}", "1" * 5000, "nan", "inf", "1e999", "-1", "0.5",
        "", "None", "True", "digits", "level", "output", "dense", "[bold]x[/y]", "\x1b[31m", "\0",
        "caf\udce9", "x" * 300, "\u202eabc", "{", "1,2", "--",
    ])
    | st.text(max_size=6)
)  # fmt: skip
ARGUMENTS = st.lists(
    st.tuples(st.sampled_from(FLAGS), st.lists(VALUES, max_size=3)), max_size=3
).map(lambda flags: [word for flag, values in flags for word in (flag, *values)])


def exit_code(arguments: list[str]) -> int | str | None:
    try:
        return main(arguments)
    except SystemExit as stop:
        return stop.code


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In place of training, a refusal."""

    def refuse(*_: object, **__: object) -> None:
        raise InputError("this far")

    monkeypatch.setattr("wider.runs.train_missing", refuse)
    monkeypatch.setattr("wider.runs.Store", Path)
    monkeypatch.chdir(tmp_path)


@given(arguments=ARGUMENTS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flags(arguments: list[str], trained: None):
    assert exit_code(["train", *arguments]) == 2


@pytest.mark.parametrize(
    "flag",
    ["--recipe.epochs", "--recipe.batch-size", "--widening.width", "--data.num-train", "--seed",
     "--kernel-pairs", "--data.image-size", "--recipe.milestones", "--data.classes"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["100000000000000000000", "1" * 401, "1" * 5000])
def test_too_large_numbers(flag: str, value: str, trained: None, capfd: pytest.CaptureFixture[str]):
    assert exit_code(["train", flag, value]) == 2
    errors = capfd.readouterr().err
    assert "this far" not in errors
    assert "Traceback" not in errors
