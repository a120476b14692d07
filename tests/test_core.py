"""The core alone: without the packages of the study, as `pip install wider` brings it."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from wider.errors import MissingExtraError
from wider.extras import EXTRAS, imported, need

ALONE = """
import sys
from wider.extras import EXTRAS
sys.modules |= dict.fromkeys(EXTRAS["study"])  # as if none of them were installed
"""

USED = """
import importlib, torch, wider

for room in ("bottleneck", "families", "models", "native", "sparsity", "theory"):
    importlib.import_module(f"wider.{room}")
family = wider.Family(wider.models.MLP, base_width=5, in_features=784, num_classes=10)
net, images = family.sparse(width=80), torch.rand(40, 784)
assert wider.summary(net).num_weights == 3970 and "masked" in str(wider.summary(net))
outputs = net(images)
wider.to_native(net, inputs=images)
torch.testing.assert_close(net(images), outputs)
advice = wider.theory.best_width(images, base_width=5, widths=[5, 20], num_classes=10)
assert advice.distances["width"].tolist() == [5, 20]
assert wider.models.ResNet18(4)(torch.rand(2, 3, 16, 16)).shape == (2, 10)

def said_by(used):
    try:
        used()
    except ImportError as error:
        return str(error)

message = "pandas is not installed: pip install 'wider[study]'"
assert said_by(advice.distances.to_frame) == message
for room in ("bench", "data", "evidence", "report", "runs", "study", "training"):
    for used in (lambda: importlib.import_module(f"wider.{room}"), lambda: getattr(wider, room)):
        assert said_by(used).endswith("is not installed: pip install 'wider[study]'"), room
"""

COMMAND = """
sys.argv = ["wider", "demo"]
from wider.cli import start
start()
"""


def alone(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ALONE + script], capture_output=True, text=True, check=False
    )


def test_the_core_works_without_the_study_and_the_rest_says_what_to_install():
    done = alone(USED)
    assert done.returncode == 0, done.stderr


def test_the_command_line_says_what_to_install():
    done = alone(COMMAND)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wider: altair is not installed: pip install 'wider[study]'\n"


def test_a_module_that_is_there_is_imported():
    need("study")
    assert imported("pandas", extra="study") is sys.modules["pandas"]
    with pytest.raises(MissingExtraError, match="nowhere is not installed") as missing:
        imported("nowhere", extra="study")
    assert missing.value.name == "nowhere"


def test_the_extras_have_the_packages_that_the_project_names():
    """Those of the study and of what it includes, by the modules that they bring."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert {f"wider[{extra}]" for extra in ("hub", "report")} < set(extras["study"])
    packages = {
        each.partition(">=")[0]
        for extra in ("study", "report", "hub")
        for each in extras[extra]
        if not each.startswith("wider[")
    }
    modules = packages_distributions()
    brought = {name.lower() for module in EXTRAS["study"] for name in modules[module]}
    assert {name.replace("_", "-") for name in brought} == packages
