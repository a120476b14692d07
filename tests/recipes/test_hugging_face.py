"""The Trainer, save_pretrained, accelerate and PEFT."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import wider
from wider.randomness import default_generator_from

from ..ecosystem.net import library
from .blocks import assert_same, assert_zeros_in_place, executed, removed

# Of the libraries, which warn of what they call themselves.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def transformers() -> Any:
    library("timm")
    return library("transformers")


def losses_of(trainer: Any) -> dict[int, float]:
    """By the step that they were evaluated after."""
    rows = [row for row in trainer.state.log_history if "eval_loss" in row]
    return {row["step"]: row["eval_loss"] for row in rows}


def test_a_resumed_trainer_is_the_one_that_was_never_interrupted(tmp_path: Path):
    names = executed("The Trainer of transformers", tmp_path)
    whole, resumed = names.whole, names.resumed
    losses = [losses_of(trainer) for trainer in (whole, resumed)]
    assert list(losses[0]) == [2, 4, 6, 8]
    assert losses[0] == losses[1]
    states = [trainer.optimizer.state_dict()["state"] for trainer in (whole, resumed)]
    assert states[0].keys() == states[1].keys()
    for place, found in states[0].items():
        assert found["step"] == 8
        assert torch.equal(found["exp_avg"], states[1][place]["exp_avg"])
        assert torch.equal(found["exp_avg_sq"], states[1][place]["exp_avg_sq"])
    best = min(losses[0], key=lambda step: losses[0][step])
    assert resumed.state.best_model_checkpoint.endswith(f"checkpoint-{best}")
    stored = safetensors.torch.load_file(tmp_path / f"runs/checkpoint-{best}/model.safetensors")
    for trainer in (whole, resumed):
        assert wider.count_weights(trainer.model) == 2000
        assert_zeros_in_place(trainer.model)
        state = trainer.model.state_dict()
        assert all(torch.equal(state[name], tensor) for name, tensor in stored.items())


def test_from_pretrained_gives_the_dense_net_of_the_same_outputs(tmp_path: Path):
    names = executed("save_pretrained and from_pretrained", tmp_path)
    tokens = torch.arange(16).view(2, 8)
    expected = names.net(tokens).logits
    size = sum(matrix.size for matrix in wider.sparsity.matrices(names.net).values())
    for net in (names.dense, names.plain):
        assert torch.equal(net(tokens).logits, expected)
        assert wider.count_weights(net) == size
        weight = net.bert.encoder.layer[0].intermediate.dense.weight
        sparse = names.net.bert.encoder.layer[0].intermediate.dense
        assert torch.equal(weight == 0, removed(sparse))
    assert torch.equal(names.sparse(tokens).logits, expected)
    assert wider.count_weights(names.sparse) == 2000
    # And the folder into a net that is sparse already, of other masks.
    other = wider.sparsify(type(names.net)(names.config), num_weights=2000, seed=1)
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "with-masks/model.safetensors"))
    assert_same(other, names.net)


def test_a_native_net_is_saved_as_a_dense_one_and_otherwise_reported_as_missing(tmp_path: Path):
    names = executed("save_pretrained and from_pretrained", tmp_path)
    native, build = wider.to_native(names.sparse), type(names.net)
    native.save_pretrained(tmp_path, state_dict=wider.to_dense(native).state_dict())
    tokens = torch.arange(16).view(2, 8)
    assert torch.equal(build.from_pretrained(tmp_path)(tokens).logits, names.net(tokens).logits)
    native.save_pretrained(tmp_path)
    _, report = build.from_pretrained(tmp_path, output_loading_info=True)
    assert "bert.pooler.dense.weight" in report["missing_keys"]


def test_from_pretrained_reports_the_masks_and_misses_nothing(tmp_path: Path):
    names = executed("save_pretrained and from_pretrained", tmp_path)
    for folder, unexpected in (("with-masks", 7), ("plain", 0)):
        _, report = type(names.dense).from_pretrained(tmp_path / folder, output_loading_info=True)
        assert not report["missing_keys"]
        assert not report["mismatched_keys"]
        assert len(report["unexpected_keys"]) == unexpected
        assert all(name.endswith(".mask") for name in report["unexpected_keys"])


def test_accelerate_resumes_bit_for_bit(tmp_path: Path):
    names = executed("accelerate", tmp_path)
    assert_same(names.whole, names.resumed)
    assert wider.count_weights(names.resumed) == 80
    assert_zeros_in_place(names.resumed)
    assert not torch.equal(names.whole.output.weight, names.family.sparse(16, seed=0).output.weight)


def with_adapters(net: nn.Module, *layers: str) -> Any:
    import peft

    configuration = peft.LoraConfig(r=2, target_modules=list(layers) or ["hidden.0", "output"])
    with default_generator_from(0, "tests"):
        found: Any = peft.get_peft_model(net, configuration)
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.1)
    return found


def sparse_mlp() -> nn.Module:
    family = wider.Family(wider.models.MLP, base_width=8, in_features=16, num_classes=4)
    return family.sparse(32, seed=0)


def numbers() -> Tensor:
    return torch.linspace(-1, 1, 64).view(4, 16)


def test_adapters_train_beside_a_sparse_net_and_merge_into_the_dense_one(tmp_path: Path):
    names = executed("PEFT", tmp_path)
    outputs = names.adapted(names.inputs)
    torch.testing.assert_close(names.merged(names.inputs), outputs)
    part, merged = names.net.hidden[0], names.merged.hidden[0]
    weight = part.base_layer.weight
    assert (weight[removed(part.base_layer)] == 0).all()
    product = part.lora_B["default"].weight @ part.lora_A["default"].weight
    torch.testing.assert_close(merged.weight, weight + part.scaling["default"] * product)
    assert product.abs().max() > 0.01
    assert type(merged) is nn.Linear
    assert type(names.merged) is wider.models.MLP


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("merge", ["merge_and_unload", "merge_adapter"])
def test_adapters_are_never_lost_in_a_merge(merge: str, safe: bool):
    adapted = with_adapters(sparse_mlp())
    outputs = adapted(numbers())
    with pytest.raises(wider.InputError, match=r"would be lost: .* wider\.to_dense\(net\)"):
        getattr(adapted, merge)(safe_merge=safe)
    assert torch.equal(adapted(numbers()), outputs)


def test_adapters_stay_when_their_net_becomes_native():
    outputs = with_adapters(sparse_mlp())(numbers())
    native = wider.to_native(with_adapters(sparse_mlp()))
    assert isinstance(native.get_base_model().hidden[0].base_layer, wider.native.SparseLinear)
    torch.testing.assert_close(native(numbers()), outputs)
    merged = wider.to_dense(native).merge_and_unload()
    torch.testing.assert_close(merged(numbers()), outputs)


def test_adapters_are_never_lost_in_a_merge_into_native_layers():
    native = wider.to_native(with_adapters(sparse_mlp(), "hidden.0"))
    with pytest.raises(wider.InputError):
        native.merge_and_unload()


def test_adapters_on_native_layers_are_refused_by_peft():
    with pytest.raises(ValueError, match=r"SparseLinear.* is not supported"):
        with_adapters(wider.to_native(sparse_mlp()))


def test_the_trainer_writes_the_weights_under_their_own_names(tmp_path: Path):
    names = executed("save_pretrained and from_pretrained", tmp_path)
    plain = set(type(names.net)(names.config).state_dict())
    for folder in ("with-masks", "plain"):
        stored = set(safetensors.torch.load_file(tmp_path / folder / "model.safetensors"))
        assert plain <= stored
        assert all(name.endswith(".mask") for name in stored - plain)
        assert json.loads((tmp_path / folder / "config.json").read_text())["hidden_size"] == 32
