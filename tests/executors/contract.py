"""What holds of every executor. Tasks are expressions, so that nothing slow is imported."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from wider.executors import Executor

Make = Callable[[int], Executor]  # of a number of jobs


class Contract:
    """Inherited by the tests of each kind, which have a fixture `make`."""

    def test_every_task_is_answered_once(self, make: Make):
        found = make(2).map(math.factorial, iter(range(5)))
        assert sorted(found) == [1, 1, 2, 6, 24]
        assert list(make(1).map(math.factorial, [])) == []

    def test_closed_early_nothing_runs_on(self, make: Make, tmp_path: Path):
        told = tmp_path / "process"
        write = f"__import__('pathlib').Path({str(told)!r}).write_text"
        long = f"{write}(str(__import__('os').getpid())) and __import__('time').sleep(600)"
        with closing(make(2).map(eval, ["1", long])) as found:
            assert next(found) == 1
            self.wait_for(lambda: told.exists() and told.read_text())
        self.wait_for(lambda: not psutil.pid_exists(int(told.read_text())))

    def wait_for(self, condition: Callable[[], object]):
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def test_an_error_comes_back_with_its_place(self, make: Make):
        with pytest.raises(ZeroDivisionError) as caught:
            list(make(1).map(eval, ["1 / 0"]))
        assert 'File "<string>", line 1' in caught.value.__notes__[0]

    def test_an_error_of_a_class_that_is_known_nowhere_else(self, make: Make):
        with pytest.raises(Exception, match="E: 5"):
            list(make(1).map(eval, ["exec('class E(Exception): pass\\nraise E(5)')"]))
