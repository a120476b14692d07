"""Sparse nets in files: round trips, sizes, and what is refused."""

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import wider
from wider.models import MLP, ResNet18
from wider.randomness import stream

SIZES: dict[str, Any] = {"in_features": 784, "num_classes": 10}


def mlp(width: int = 80) -> MLP:
    return MLP(width, **SIZES)


def sparse_mlp(width: int = 80) -> nn.Module:
    return wider.Family(MLP, base_width=5, **SIZES).sparse(width)


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 784, generator=stream(0, "images"))


def test_a_net_comes_back_masked_or_native(tmp_path: Path):
    net, path = sparse_mlp(), tmp_path / "net.safetensors"
    wider.save(net, path)
    masked = wider.load(path, mlp)
    assert torch.equal(masked(images()), net(images()))
    assert list(masked.state_dict()) == list(net.state_dict())
    assert wider.connectivity(masked) == wider.connectivity(net)
    native = wider.load(path, mlp, native=True)
    assert isinstance(native.hidden[0], wider.native.SparseLinear)
    torch.testing.assert_close(native(images()), net(images()))
    wider.save(native, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    given = mlp()
    assert wider.load(str(path), given) is given


@pytest.mark.parametrize("width", [80, 640, 5])
def test_the_size_follows_the_non_zeros(tmp_path: Path, width: int):
    net, path = sparse_mlp(width), tmp_path / "net.safetensors"
    wider.save(net, path)
    masks = [wider.sparsity.mask_of(part) for part in net.modules() if hasattr(part, "weight")]
    places = 0
    for mask in masks:
        if mask is not None:
            kept, rows = int(mask.sum()), len(mask)
            places += min(2 * kept + 4 * rows, -(-mask.numel() // 8))
    biases = width + 10
    assert path.stat().st_size - 4 * (3970 + biases) - places < 1200  # names and shapes


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 40),
    kept=st.floats(0.01, 1),
    seed=st.integers(0, 99),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_any_places_come_back(
    tmp_path_factory: Any, rows: int, columns: int, kept: float, seed: int, dtype: torch.dtype
):
    path = tmp_path_factory.mktemp("nets") / "net.safetensors"
    net = nn.Sequential(nn.Linear(columns, rows)).to(dtype)
    wider.sparsify(net, num_weights=max(1, int(kept * rows * columns)), seed=seed)
    wider.save(net, path)
    found = wider.load(path, nn.Sequential(nn.Linear(columns, rows)).to(dtype))
    assert all(map(torch.equal, net.state_dict().values(), found.state_dict().values()))


def recurrent() -> nn.Module:
    return nn.Sequential(nn.Embedding(20, 6), nn.GRU(6, 7, num_layers=2))


def attention() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0)


def tied() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6, bias=False))
    net[1].weight = net[0].weight
    return net


@pytest.mark.parametrize("build", [recurrent, attention, tied, lambda: ResNet18(4)])
def test_nets_of_other_kinds_come_back(tmp_path: Path, build: Callable[[], nn.Module]):
    net = build()
    wider.sparsify(net, num_weights=wider.count_weights(net) // 5, seed=3)
    wider.save(net, tmp_path / "net")
    found = wider.load(tmp_path / "net", build)
    assert wider.count_weights(found) == wider.count_weights(net)
    state = found.state_dict()
    assert list(state) == list(net.state_dict())
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


def test_what_was_left_out_stays_left_out(tmp_path: Path):
    net = wider.sparsify(mlp(), num_weights=1000, exclude=["output"])
    wider.save(net, tmp_path / "net")
    found = wider.load(tmp_path / "net", mlp)
    assert (
        wider.connectivity(found)
        == wider.connectivity(net)
        == {
            "": 1000 / 62_720,
            "hidden.0": 1000 / 62_720,
        }
    )


def test_no_global_generator_is_touched(tmp_path: Path):
    wider.save(sparse_mlp(), tmp_path / "net")
    before = torch.get_rng_state()
    wider.load(tmp_path / "net", mlp)
    assert torch.equal(torch.get_rng_state(), before)


# Refusals


def saved(tmp_path: Path) -> Path:
    wider.save(sparse_mlp(), tmp_path / "net")
    return tmp_path / "net"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mlp(79), r"'hidden.0.weight' is \(80, 784\) in the file and \(79, 784\) in the n"),
        (lambda: MLP(80, num_hidden_layers=2, **SIZES), r"hidden.1.weight' is missing in the file"),
        (lambda: MLP(80, bias=False, **SIZES), r"hidden.0.bias' is \(80,\) in the file and missin"),
        (sparse_mlp, "is sparse or parametrised already .* give a plain one"),
    ],
)
def test_another_architecture_is_refused_and_left_as_it_was(
    tmp_path: Path, build: Callable[[], nn.Module], message: str
):
    net = build()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(wider.InputError, match=message):
        wider.load(saved(tmp_path), net)
    assert list(net.state_dict()) == list(before)
    assert all(map(torch.equal, net.state_dict().values(), before.values()))


def test_files_of_others_and_missing_ones_are_refused_by_name(tmp_path: Path):
    with pytest.raises(wider.InputError, match=r"cannot read .*nothing"):
        wider.load(tmp_path / "nothing", mlp)
    (tmp_path / "text").write_text("a net, honestly")
    with pytest.raises(wider.InputError, match=r"cannot read .*text"):
        wider.load(tmp_path / "text", mlp)
    safetensors.torch.save_file(mlp().state_dict(), tmp_path / "dense")
    with pytest.raises(wider.InputError, match=r"none that wider.save wrote: load it with load_st"):
        wider.load(tmp_path / "dense", mlp)
    (tmp_path / "folder").mkdir()
    with pytest.raises(wider.InputError, match=r"cannot write .*choose another file"):
        wider.save(mlp(), tmp_path / "folder")


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]) -> Path:
    """A file with other contents, in the same format."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    described = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["wider"])
    tensors = safetensors.torch.load(content)
    change(described, tensors)
    path.write_bytes(safetensors.torch.save(tensors, {"wider": json.dumps(described)}))
    return path


def first_place(tensors: dict[str, Tensor], value: int) -> None:
    tensors["hidden.0.weight:places"].view(torch.int16)[0] = value


DAMAGES: dict[str, tuple[Callable, str]] = {
    "version": (lambda about, _: about.update(version=2), "has version 2 .* this wider reads 1"),
    "no parts": (lambda about, _: about.pop("sparse"), "none that wider.save wrote"),
    "no name": (lambda about, _: about["same"].update(a=["b"]), "none that wider.save wrote"),
    "no list": (lambda about, _: about["excluded"].update(output=5), "none that wider.save wrote"),
    "values": (
        lambda _, tensors: tensors.update({"hidden.0.weight:values": torch.ones(5)}),
        "is damaged: the places of 'hidden.0.weight' make no sense",
    ),
    "a place outside": (lambda _, tensors: first_place(tensors, 784), "make no sense"),
    "a place twice": (
        lambda _, tensors: first_place(tensors, int(tensors["hidden.0.weight:places"][1])),
        "make no sense",
    ),
    "counts": (
        lambda _, tensors: tensors["hidden.0.weight:counts"].add_(1),
        "make no sense",
    ),
    "a missing tensor": (lambda _, tensors: tensors.pop("hidden.0.weight:places"), "no sense"),
    "shape": (
        lambda about, _: about["sparse"]["hidden.0.weight"].update(shape=[80, 783]),
        "another architecture|make no sense",
    ),
    "a negative shape": (
        lambda about, _: about["sparse"]["hidden.0.weight"].update(shape=[-80, 784]),
        "make no sense",
    ),
    "same": (lambda about, _: about["same"].update({"a": "b"}), "it lacks 'b', which 'a' is, too"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: str):
    change, message = DAMAGES[damage]
    net = mlp()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(wider.InputError, match=message):
        wider.load(rewritten(saved(tmp_path), change), net)
    assert all(map(torch.equal, net.state_dict().values(), before.values()))


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_file_with_any_byte_changed_loads_or_is_refused(tmp_path_factory: Any, data: Any):
    folder = tmp_path_factory.mktemp("nets")
    net = wider.sparsify(nn.Sequential(nn.Linear(6, 5)), num_weights=9)
    wider.save(net, folder / "net")
    content = bytearray((folder / "net").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "net").write_bytes(bytes(content))
    with suppress(wider.InputError):
        wider.load(folder / "net", lambda: nn.Sequential(nn.Linear(6, 5)))
