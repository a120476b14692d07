"""What each of two processes checks of a net that FSDP2 shards: run by torchrun."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
)
from torch.distributed.fsdp import fully_shard

import wider
from wider.randomness import default_generator_from, stream

WHOLE = StateDictOptions(full_state_dict=True)
NOT_STRICT = StateDictOptions(full_state_dict=True, strict=False)


def net(seed: int = 0) -> Any:
    """Of sides that two processes cannot share evenly."""
    with default_generator_from(seed, "tests"):
        made = nn.Sequential(nn.Linear(17, 7), nn.ReLU(), nn.Linear(7, 5))
    return wider.sparsify(made, num_weights=60, seed=seed)


def sharded(seed: int = 0) -> Any:
    made = net(seed)
    fully_shard(made[0])
    fully_shard(made)
    return made


def main() -> None:
    torch.distributed.init_process_group("gloo")
    inputs = torch.randn(8, 17, generator=stream(0, "tests"))
    one, other = net(), sharded()
    assert wider.count_weights(other) == wider.count_weights(one) == 60
    assert wider.connectivity(other) == wider.connectivity(one)
    assert str(wider.summary(other)) == str(wider.summary(one))
    dense = nn.Linear(7, 5)
    fully_shard(dense)
    assert wider.count_weights(dense) == 35
    for _ in range(2):  # whatever Muon leaves in removed places
        for each in (one, other):
            optimiser = torch.optim.Muon([p for p in each.parameters() if p.dim() > 1], lr=0.01)
            each(inputs).square().sum().backward()
            optimiser.step()
            optimiser.zero_grad()
    state: Any = get_model_state_dict(other, options=WHOLE)
    expected = one.state_dict()
    assert list(state) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-3)  # Muon has bfloat16
    for number, layer in ((0, one[0]), (2, one[2])):
        mask: Any = wider.sparsity.mask_of(layer)
        assert torch.equal(state[f"{number}.weight"] != 0, mask)
        weight = other[number].weight
        assert torch.equal(weight.full_tensor(), state[f"{number}.weight"])
    outputs = net(1)
    outputs.load_state_dict(state)
    without_masks = {name: each for name, each in state.items() if not name.endswith(".mask")}
    for seed, kept, options in ((1, state, WHOLE), (0, without_masks, NOT_STRICT)):
        loaded = sharded(seed)
        set_model_state_dict(loaded, dict(kept), options=options)
        torch.testing.assert_close(loaded(inputs), outputs(inputs))
    loaded = sharded(1)
    loaded.load_state_dict(other.state_dict())  # of shards
    torch.testing.assert_close(loaded(inputs), outputs(inputs))
    with pytest.raises(wider.InputError, match=r"a part of this net \(FSDP\): load its full state"):
        wider.save(other, "net.safetensors")
    with pytest.raises(AssertionError, match="use state dict"):
        wider.to_dense(other)
    Path(f"done-{torch.distributed.get_rank()}").touch()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
