"""The time left, by a clock that the tests turn."""

from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from wider.runs import Progress, duration


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    module = SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr("wider.runs._progress.time", module)
    return clock


@pytest.fixture
def output():
    return StringIO()


@pytest.fixture
def epochs_done(store, monkeypatch):
    """{key: epochs in the checkpoint}, as if it were in the store."""
    done = {}
    monkeypatch.setattr(store, "epochs_done", lambda spec: done.get(spec.key, 0))
    return done


@pytest.fixture
def pair(finished, make_spec):
    """A finished run and one of 10 epochs that is not."""
    return finished[1], make_spec(seed=1, epochs=10)


def progress(costs, store, output):
    return Progress(costs, store, console=Console(file=output), present=4)


def test_the_time_left_is_what_is_left_at_the_pace_so_far(store, pair, clock, output):
    run, other = pair
    with progress({run.spec: 10.0, other: 30.0}, store, output) as shown:
        clock.now += 5  # the run of 10 estimated seconds took 5, so that of 30 takes 15
        shown.finish(run)
    first, line = output.getvalue().splitlines()
    assert first == "2 runs to train, 4 in the store already"
    assert line.startswith(f"1/2  {run.spec.title}: ")
    assert line.endswith("; about 15 s left")


def test_checkpoints_count_and_those_from_before_say_nothing_of_the_pace(
    store, pair, clock, output, epochs_done
):
    run, other = pair
    epochs_done[other.key] = 5  # half of 30 seconds, from an earlier day
    with progress({run.spec: 10.0, other: 30.0}, store, output) as shown:
        clock.now += 20
        epochs_done[other.key] = 6  # 3 more
        shown.finish(run)  # 10 more: 13 in 20 s, and 12 are left
    assert output.getvalue().splitlines()[-1].endswith(f"; about {12 * 20 / 13:.0f} s left")


def test_before_anything_is_done_the_time_left_is_not_known(
    store, make_spec, clock, output, epochs_done
):
    spec = make_spec()
    epochs_done[spec.key] = 1
    shown = progress({spec: 30.0}, store, output)
    clock.now += 5
    assert shown._time_left() == "time left: not known yet"
    epochs_done[spec.key] = 2
    assert shown._time_left() == "about 5 s left"


def test_brackets_in_a_message_stay(store, make_spec, output):
    with progress({make_spec(): 1.0}, store, output) as shown:
        shown.say("[bold]a file[/bold] " + "with a long name " * 20)
    assert output.getvalue().splitlines()[-1].startswith("[bold]a file[/bold] with a long")
    assert len(output.getvalue().splitlines()) == 2  # not wrapped


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (89 * 60, "89 min"),
        (90 * 60, "1.5 h"),
        (36_000, "10.0 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
