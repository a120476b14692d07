"""Workers: what they answer, and that none is left. Tasks are expressions, so that nothing slow is
imported.
"""

import math
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from wider.errors import InputError
from wider.executors import LostWorkerError, in_workers

PID = "__import__('os').getpid()"
SLEEP = "__import__('time').sleep(600)"

PARENT = f"""
from wider.executors import in_workers
tasks = ["{PID}", "{PID}", "{SLEEP}", "exec('while True: pass')"]
for pid in in_workers(eval, tasks, jobs=2):
    print(pid, flush=True)
"""


def all_end(pids):
    """Whether processes are gone in the end; on a busy machine that may take a while."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("jobs", [1, 2, 30])
def test_every_task_is_answered_once(jobs):
    answers = in_workers(math.factorial, range(20), jobs=jobs)
    assert sorted(answers) == [math.factorial(number) for number in range(20)]
    assert list(in_workers(math.factorial, [], jobs=jobs)) == []


def test_workers_are_kept_and_compute_on_one_thread():
    task = f"({PID}, __import__('os').environ['OMP_NUM_THREADS'])"
    answers = list(in_workers(eval, [task] * 20, jobs=2))
    assert len({pid for pid, _ in answers} - {os.getpid()}) == 2
    assert {threads for _, threads in answers} == {"1"}
    assert list(in_workers(eval, [PID], jobs=1)) == [os.getpid()]


@pytest.mark.parametrize("jobs", [1, 2])
def test_tasks_are_taken_when_they_are_needed(jobs):
    taken = []
    with closing(in_workers(abs, (taken.append(n) or n for n in range(99)), jobs=jobs)) as answers:
        next(answers)
    assert len(taken) <= 2 * jobs


def test_large_tasks_and_results():
    tasks = [bytes([number]) * 2**22 for number in range(4)]
    assert sorted(in_workers(bytes, tasks, jobs=2)) == tasks


def test_an_error_comes_back_with_its_place():
    with pytest.raises(ZeroDivisionError) as caught:
        list(in_workers(eval, ["1 / 0"], jobs=2))
    assert 'File "<string>", line 1' in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("exec('class E(Exception): pass\\nraise E(5)')", r"E: 5"),  # its class is known nowhere
        ("lambda: 0", "pickle"),
    ],
)
def test_what_cannot_be_sent_is_told(task, words):
    with pytest.raises(Exception, match=words):
        list(in_workers(eval, [task], jobs=2))


def test_a_function_of_this_place_only_is_refused_at_once():
    with pytest.raises(AttributeError, match="local"):
        list(in_workers(lambda task: task, [1], jobs=2))


def test_what_a_task_prints_is_no_result(capfd):
    assert list(in_workers(print, ["said"], jobs=2)) == [None]
    assert capfd.readouterr() == ("", "said\n")


@pytest.mark.parametrize(
    ("death", "words"),
    [
        ("kill(__import__('os').getpid(), 9)", r"killed \(SIGKILL\).*: use fewer jobs; the same"),
        ("abort()", "ended by SIGABRT; the same command goes on"),
        ("_exit(7)", "ended with exit code 7; the same command goes on"),
    ],
)
def test_a_worker_that_is_killed_is_told_of_and_the_others_end(death, words):
    pids = []
    with pytest.raises(LostWorkerError, match=words):
        pids.extend(in_workers(eval, [PID, PID, SLEEP, f"__import__('os').{death}"], jobs=2))
    assert len(set(pids)) == 2
    assert not any(map(is_alive, pids))


def test_closed_early_all_workers_end():
    with closing(in_workers(eval, [PID, PID, SLEEP, SLEEP, SLEEP], jobs=2)) as answers:
        pids = [next(answers), next(answers)]
        assert all(map(is_alive, pids))
    assert not any(map(is_alive, pids))


def test_workers_do_not_hear_ctrl_c():
    task = "__import__('os').kill(__import__('os').getpid(), 2) or 5"
    assert list(in_workers(eval, [task] * 3, jobs=2)) == [5] * 3


def test_a_machine_without_room_for_a_process_is_told(monkeypatch):
    def refused(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", refused)
    with pytest.raises(InputError, match=r"temporarily unavailable\): use fewer jobs"):
        list(in_workers(abs, [1], jobs=2))


@pytest.mark.parametrize("moment", ["at work", "starting"])
def test_workers_end_with_a_parent_that_is_killed(moment):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        if moment == "at work":
            pids = [int(parent.stdout.readline()) for _ in range(2)]
        else:
            while not (pids := [child.pid for child in psutil.Process(parent.pid).children()]):
                time.sleep(0.001)
        parent.send_signal(signal.SIGKILL)
        assert all_end([parent.pid, *pids])
        assert parent.communicate()[1] == ""
