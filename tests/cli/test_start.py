"""Signals, from the first moment on. What takes seconds to import is left out where it can be."""

import signal
import subprocess
import sys

import pytest

LINE = "\nwider: interrupted; the same command goes on from what is finished\n"

WHILE_IMPORTING = """
import os, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == module:
            os.kill(os.getpid(), int(number))
_, number, module = sys.argv
sys.argv[1:] = ["train", "--help"]
sys.meta_path.insert(0, Interrupting())
from wider.cli import start
start()
"""

AT_WORK = """
import os, sys, time, types
signals = [int(number) for number in sys.argv[1:]]
def hit():
    if signals:
        os.kill(os.getpid(), signals.pop(0))
        time.sleep(60)
def main():
    try:
        hit()
    except KeyboardInterrupt as interrupt:
        hit()
        return 128 + interrupt.args[0]
    return 0
module = types.ModuleType("wider.cli._main")
module.main = main
sys.modules["wider.cli._main"] = module
from wider.cli import start
start()
"""


def started(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("name", "module"),
    [("SIGINT", "tyro"), ("SIGTERM", "tyro"), ("SIGHUP", "tyro"), ("SIGTERM", "torch")],
)
def test_a_signal_while_importing_ends_in_a_line(name, module):
    number = int(signal.Signals[name])
    done = started(WHILE_IMPORTING, number, module)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", LINE)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_at_work_interrupts_and_the_second_ends_at_once(name):
    number = int(signal.Signals[name])
    done = started(AT_WORK, number)
    assert (done.returncode, done.stderr) == (128 + number, "")
    done = started(AT_WORK, number, int(signal.SIGINT))
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_without_a_signal_nothing_happens():
    assert started(AT_WORK).returncode == 0
