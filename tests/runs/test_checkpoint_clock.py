"""When a checkpoint is due, with a clock that a test moves on."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wider.runs import CheckpointClock
from wider.training import ALONE, Processes

SECONDS = 20.0


@dataclass(frozen=True)
class First(Processes):
    """Notes what it tells the others."""

    told: list[int] = field(default_factory=list)

    def told_by_first(self, number: int = 0) -> int:
        self.told.append(number)
        return number


@dataclass(frozen=True)
class Second(Processes):
    """Hears what the first one told; it is an error to ask for more."""

    told: list[int] = field(default_factory=list)

    def told_by_first(self, number: int = 0) -> int:  # noqa: ARG002
        return self.told.pop(0)


@pytest.fixture
def move_on(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    times = [0.0]
    clock = SimpleNamespace(monotonic=lambda: math.fsum(times))
    monkeypatch.setattr("wider.runs._checkpoint_clock.time", clock)
    return times.append


def test_alone_it_looks_after_each_step(move_on):
    clock, due = CheckpointClock(SECONDS, ALONE), []
    for step in range(1, 60):
        move_on(1.5)
        if clock.is_due():
            due.append(step)
            clock.restart()
    assert due == [14, 28, 42, 56]


def test_before_a_long_evaluation_it_is_due_earlier(move_on):
    clock = CheckpointClock(SECONDS, ALONE)
    move_on(5)
    assert not clock.is_due(14.9)
    assert clock.is_due(15.1)
    assert not clock.is_due()


def test_without_seconds_it_is_always_due_and_with_endless_ones_never(move_on):
    for processes in (ALONE, First(count=2)):
        always, never = (CheckpointClock(seconds, processes) for seconds in (0, math.inf))
        for _ in range(20):
            assert always.is_due()
            always.restart()
            assert not never.is_due()
            move_on(1e6)


@pytest.mark.parametrize("step_seconds", [0.003, 0.1, 0.7, 5, 30])
def test_several_processes_are_asked_rarely_and_in_time(move_on, step_seconds):
    first = First(count=2)
    clock = CheckpointClock(SECONDS, first)
    for _ in range(3):
        steps = 0
        first.told.clear()
        while True:
            move_on(step_seconds)
            steps += 1
            if clock.is_due():
                break
        clock.restart()
        assert SECONDS <= steps * step_seconds + 1e-6 < SECONDS + 2 * step_seconds + 1e-6
        assert len(first.told) <= math.log2(steps) + 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.floats(0, 30), st.sampled_from([0.0, 0.0, 0.0, 8.0])), min_size=1, max_size=80
    )
)
def test_all_processes_stop_after_the_same_steps(move_on, steps):
    first = First(count=2)
    second = Second(rank=1, count=2, told=first.told)
    # The second one's watch has another time, which does not matter.
    clocks = [CheckpointClock(SECONDS, first), CheckpointClock(3 * SECONDS, second)]
    for seconds, ahead in steps:
        move_on(seconds)
        ours, theirs = (clock.is_due(ahead) for clock in clocks)
        assert ours == theirs
        assert first.told == []
        if ours:
            for clock in clocks:
                clock.restart()
