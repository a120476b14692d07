"""What holds for every net of others: the budget, against a count by brute force."""

import copy
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

import wider
from wider.randomness import default_generator_from
from wider.sparsity import UncountedWarning

from .net import Net
from .table import DOCUMENT, NETS, REFUSED, document, num_native

pytestmark = pytest.mark.filterwarnings("ignore")  # of others; ours are asserted below

every_net = pytest.mark.parametrize("net", NETS, ids=lambda net: f"{net.source}: {net.name}")
every_refused_net = pytest.mark.parametrize("net", REFUSED, ids=lambda net: net.name)


def matrices_by_hand(net: Net, module: nn.Module) -> dict[str, Tensor]:
    """All trainable tensors of two or more dimensions that the net computes with, tied ones once,
    but embeddings and what no rule covers.
    """
    seen = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
    found = {}
    for name, part in module.named_modules():
        masked = getattr(part, "parametrizations", {})
        if "parametrizations" in name.split("."):
            continue
        for own in [*dict(part.named_parameters(recurse=False)), *masked]:
            stored = masked[own].original if own in masked else getattr(part, own)
            full = f"{name}.{own}".removeprefix(".")
            is_matrix = stored.requires_grad and stored.dim() > 1 and not net.is_uncovered(full)
            if is_matrix and id(stored) not in seen:
                seen.add(id(stored))
                found[full] = getattr(part, own)
    return found


def num_nonzero(net: Net, module: nn.Module) -> int:
    return sum(int(matrix.count_nonzero()) for matrix in matrices_by_hand(net, module).values())


def train(net: Net, module: nn.Module) -> None:
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.1)
    for _ in range(30):
        optimiser.zero_grad()
        (net.outputs(module).float() - 1).square().mean().backward()
        optimiser.step()


@every_net
def test_the_budget_is_all_matrices_of_the_net_and_stays_it(net: Net):
    module = net.build()
    sizes = {name: matrix.numel() for name, matrix in matrices_by_hand(net, module).items()}
    assert wider.count_weights(module) == sum(sizes.values())
    budget = sum(sizes.values()) // 4
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wider.sparsify(module, num_weights=budget)
    assert_uncovered_tensors_are_said(net, module, caught)
    assert wider.count_weights(module) == wider.summary(module).num_weights == budget
    train(net, module)
    assert net.outputs(module).isfinite().all()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert num_nonzero(net, module) == budget


def assert_uncovered_tensors_are_said(
    net: Net, module: nn.Module, caught: list[warnings.WarningMessage]
) -> None:
    tensors = {name: p.numel() for name, p in module.named_parameters() if net.is_uncovered(name)}
    listed = [each.name for each in wider.summary(module).tensors if each.kind == "not known"]
    assert listed == list(tensors)
    said = [str(each.message) for each in caught if issubclass(each.category, UncountedWarning)]
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert len(said) == (sum(tensors.values()) > 0.01 * trainable)
    assert all(name in message for message in said for name in tensors)


def sparse(net: Net) -> nn.Module:
    module = net.build()
    return wider.sparsify(module, num_weights=wider.count_weights(module) // 4)


def outputs(net: Net, module: nn.Module, *, training: bool = False) -> Tensor:
    """With the same numbers drawn by dropout each time."""
    module.train(training)
    with torch.set_grad_enabled(training), default_generator_from(0, "dropout"):
        return net.outputs(module)


@every_net
def test_it_comes_back_from_a_file_and_its_dense_form_is_the_plain_net(net: Net, tmp_path: Path):
    module = sparse(net)
    expected = outputs(net, module)
    wider.save(module, tmp_path / "net")
    found = wider.load(tmp_path / "net", net.build)
    assert torch.equal(outputs(net, found), expected)
    assert wider.connectivity(found) == wider.connectivity(module)
    dense = wider.to_dense(module)
    torch.testing.assert_close(outputs(net, dense), expected)
    assert list(dense.state_dict()) == list(net.build().state_dict())
    assert num_nonzero(net, dense) <= wider.count_weights(module)  # zeros that it started with


@every_net
def test_it_computes_the_same_natively(net: Net):
    module = sparse(net)
    native = wider.to_native(copy.deepcopy(module))
    assert num_native(native) == num_native(wider.to_native(sparse(net)))
    for training in (False, True):
        expected = outputs(net, module, training=training)
        found = outputs(net, native, training=training)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@every_net
def test_a_compiled_step_is_the_same(net: Net):
    modules = sparse(net), sparse(net)
    torch.compiler.reset()
    compiled = torch.compile(modules[1], backend="aot_eager")
    losses = [
        outputs(net, module, training=True).float().square().mean()
        for module in (modules[0], compiled)
    ]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    for one, other in zip(*(module.parameters() for module in modules), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-5)


@every_refused_net
def test_a_refused_net_names_the_remedies_is_left_as_it_was_and_goes_without_those_layers(net: Net):
    module = net.build()
    before = copy.deepcopy(module.state_dict())
    parametrized = [is_parametrized(part) for part in module.modules()]
    with pytest.raises(wider.InputError, match=r"layer '.*exclude"):
        wider.sparsify(module, num_weights=1000)
    assert all(torch.equal(before[name], each) for name, each in module.state_dict().items())
    assert [is_parametrized(part) for part in module.modules()] == parametrized
    wider.sparsify(module, num_weights=100, exclude=net.exclude)
    assert wider.count_weights(module) == 100
    assert net.outputs(module).isfinite().all()


def test_the_documented_table_is_what_comes_out():
    assert DOCUMENT.read_text() == document()
