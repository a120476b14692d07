"""What holds of every executor. Tasks are expressions, so that nothing slow is imported."""

import math
from collections.abc import Callable
from contextlib import closing

import pytest

from wider.executors import Executor

Make = Callable[[int], Executor]  # of a number of jobs


class Contract:
    """Inherited by the tests of each kind, which have a fixture `make`."""

    def test_every_task_is_answered_once(self, make: Make):
        found = make(2).map(math.factorial, iter(range(5)))
        assert sorted(found) == [1, 1, 2, 6, 24]
        assert list(make(1).map(math.factorial, [])) == []

    def test_tasks_are_taken_as_they_are_needed_and_closed_all_ends(self, make: Make):
        taken = []
        tasks = (taken.append(number) or number for number in range(9))
        with closing(make(2).map(math.factorial, tasks)) as found:
            assert next(found) in (1, 2)
        assert len(taken) <= 4

    def test_an_error_comes_back_with_its_place(self, make: Make):
        with pytest.raises(ZeroDivisionError) as caught:
            list(make(1).map(eval, ["1 / 0"]))
        assert 'File "<string>", line 1' in caught.value.__notes__[0]

    def test_an_error_of_a_class_that_is_known_nowhere_else(self, make: Make):
        with pytest.raises(Exception, match="E: 5"):
            list(make(1).map(eval, ["exec('class E(Exception): pass\\nraise E(5)')"]))
