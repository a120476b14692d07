"""Nothing in wider needs a module that only POSIX systems have."""

import subprocess
import sys
from pathlib import Path

# Other libraries may: on Linux some of them need these.
SCRIPT = """
import builtins, importlib, pkgutil, sys
from pathlib import Path

POSIX = {"crypt", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "resource", "spwd",
         "syslog", "termios", "tty"}
import_any = builtins.__import__

def import_portable(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    if importer.partition(".")[0] == "wider" and name.partition(".")[0] in POSIX:
        raise ModuleNotFoundError(f"{importer} imports {name}")
    return import_any(name, globals, locals, fromlist, level)

builtins.__import__ = import_portable

import wider
for module in pkgutil.walk_packages(wider.__path__, "wider."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

from wider.cli import main
from wider.runs import Store

flags = "--data.dataset digits --data.num-train 100 --recipe.epochs 1 --store runs"
assert main(["train", *flags.split()]) == 0
(run,) = Store(Path("runs")).runs()
assert run.result.status == "finished" and run.result.peak_memory == 0
assert main("report --store runs --output page.html".split()) == 0
assert b"\\r" not in Path("page.html").read_bytes().partition(b"<script>")[0]
"""


def test_all_of_it_is_imported_and_used_without_them(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
