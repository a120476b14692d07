"""torch.export, ONNX, int8 and the small server."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

import wider
from wider.randomness import stream

from ..ecosystem.net import library
from .blocks import BLOCKS, ROOT, TEXT, executed

# Of copyreg in torch's exporter, and of torch.ao, which says that it is deprecated.
EXPORTER = "ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"
OLD = "ignore:torch.ao.quantization is deprecated:DeprecationWarning"
TYPES = "ignore:torch.quantize_per_tensor.*deprecated:UserWarning"
pytestmark = pytest.mark.filterwarnings(EXPORTER, OLD, TYPES)


@pytest.fixture(autouse=True, scope="module")
def torchvision() -> None:
    library("timm")  # the exporter imports torchvision where it is installed


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 16, generator=stream(0, "tests"))


def run(path: Path, inputs: torch.Tensor) -> torch.Tensor:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": inputs.numpy()})[0])


def test_every_recipe_is_tested_and_every_link_there():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for heading, blocks in BLOCKS.items():
        assert len(blocks) == 1
        assert f'"{heading}"' in tests or heading.startswith("Two processes: ")
    assert TEXT.count("```python") == len(BLOCKS) == 12
    assert (ROOT / "examples" / "serve.py").exists()


def test_an_exported_net_takes_batches_of_any_size(tmp_path: Path):
    names = executed("torch.export", tmp_path)
    for count in (1, 2, 7, 64):
        assert torch.equal(names.loaded(images(count)), names.net(images(count)))
        assert torch.equal(names.exported.module()(images(count)), names.net(images(count)))
    native = wider.to_native(names.family.sparse(32, seed=0)).eval()
    assert isinstance(native.hidden[0], wider.native.SparseLinear)
    for net in (wider.to_dense(names.net), native):
        exported = torch.export.export(net, (images(2),), dynamic_shapes=names.sizes)
        assert torch.equal(exported.module()(images(7)), net(images(7)))


def test_onnx_gives_the_same_outputs_for_batches_of_any_size(tmp_path: Path):
    names = executed("ONNX", tmp_path)
    assert names.outputs.shape == (5, 4)
    for count in (1, 2, 7, 64):
        expected = names.net(images(count)).detach()
        torch.testing.assert_close(run(tmp_path / "net.onnx", images(count)), expected)


def test_int8_is_near_and_keeps_zeros(tmp_path: Path):
    import onnx

    names = executed("int8", tmp_path)
    expected = names.dense(images(64)).detach()
    largest = expected.abs().max()
    for outputs in (run(tmp_path / "net-int8.onnx", images(64)), names.quantised(images(64))):
        error = (outputs - expected).abs().max()
        assert 0 < error < 0.05 * largest  # of 127 steps in each weight and each input
    kinds = {node.op_type for node in onnx.load(tmp_path / "net-int8.onnx").graph.node}
    assert "MatMulInteger" in kinds
    zeros = names.dense.hidden[0].weight == 0
    assert zeros.sum() == 256 - 40
    assert (names.quantised.hidden[0].weight().dequantize()[zeros] == 0).all()


def test_torchs_int8_knows_plain_layers_alone():
    family = wider.Family(wider.models.MLP, base_width=4, in_features=16, num_classes=4)
    quantise: Any = torch.ao.quantization.quantize_dynamic
    with pytest.raises(AssertionError, match="only works for"):
        quantise(family.sparse(16, seed=0), {nn.Linear})
    native = quantise(wider.to_native(family.sparse(32, seed=0)), {nn.Linear})
    assert isinstance(native.hidden[0], wider.native.SparseLinear)


def test_the_server_answers_what_the_net_says(tmp_path: Path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names = executed("Serving", tmp_path)
    assert names.address.startswith("http://127.0.0.1:")
    assert names.server.returncode is not None
    net = wider.load(tmp_path / "net.safetensors", lambda: names.family.dense(64))
    expected = net(torch.from_numpy(names.pixels / np.float32(255))[None])[0]
    torch.testing.assert_close(torch.tensor(names.logits), expected.detach(), rtol=1e-5, atol=1e-6)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    family = wider.Family(wider.models.MLP, base_width=8, in_features=64, num_classes=10)
    wider.save(family.sparse(64, seed=0), tmp_path / "net.safetensors")
    command = [sys.executable, ROOT / "examples" / "serve.py", tmp_path / "net.safetensors"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def test_the_server_refuses_what_is_no_image_and_goes_on(address: str):
    for body, status in ((b"none", 400), (b"", 400), (b"\0" * (2**20 + 1), 413)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address, data=body, timeout=30)
        assert refused.value.code == status
        refused.value.close()
    file = BytesIO()
    PIL.Image.new("RGB", (40, 30), (255, 255, 255)).save(file, format="JPEG")
    with urllib.request.urlopen(address, data=file.getvalue(), timeout=30) as answer:
        assert len(json.load(answer)["logits"]) == 10
