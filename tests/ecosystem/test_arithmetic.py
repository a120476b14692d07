"""Multiply-adds of nets of others, against PyTorch's own count and by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import wider
from wider.randomness import stream

from . import of_timm, of_transformers
from .net import Net

pytestmark = pytest.mark.filterwarnings("ignore")  # of others

TOKENS = torch.randint(3, 50, (2, 8), generator=stream(0, "inputs"))
# Its counter knows neither Mamba's own product nor the matrices of recurrent layers.
NETS = [net for net in (*of_timm.NETS, *of_transformers.NETS) if "Mamba" not in net.name]
BY_NAME = {net.name: net for net in NETS}


def built(name: str, attention: str | None = None) -> Any:
    net: Any = BY_NAME[name].build()
    if attention is not None:
        net.set_attn_implementation(attention)
    return net


def counted_by_pytorch(net: nn.Module, inputs: dict[str, Tensor]) -> int:
    # It knows attention on a CPU only where that is plain products of matrices.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        net.eval()(**inputs)
    return counter.get_total_flops() // 2


def with_experts(net: Any, way: str) -> Any:
    if hasattr(net, "set_experts_implementation"):
        net.set_experts_implementation(way)
    return net


@pytest.mark.parametrize("of", NETS, ids=lambda of: of.name)
def test_dense_nets_have_the_arithmetic_that_pytorch_counts(of: Net):
    net, inputs = with_experts(of.build(), "eager"), of.inputs(stream(0, "inputs"))
    expected = counted_by_pytorch(net, inputs)
    assert wider.multiply_adds(net, inputs)[""] == expected
    found = wider.summary(net, inputs)
    assert found.multiply_adds == expected
    rows = sum(tensor.multiply_adds or 0 for tensor in found.tensors)
    assert rows + (found.products or 0) == expected


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_gpt_2_and_llama_by_hand(attention: str):
    # Sixteen tokens; two sequences of eight in attention; width 32, two layers.
    products = 2 * 8 * 8 * (32 + 32)
    gpt_2 = built("GPT2LMHeadModel", attention)
    found = wider.multiply_adds(gpt_2, {"input_ids": TOKENS})
    assert found["transformer.h.0.attn"] == products
    assert found["transformer.h.1.attn.c_attn"] == 16 * 3 * 32 * 32
    assert found[""] == 16 * (2 * 12 * 32 * 32 + 50 * 32) + 2 * products
    llama = built("LlamaForCausalLM", attention)  # keys and values have half the heads
    found = wider.multiply_adds(llama, (TOKENS,))
    assert found["model.layers.1.self_attn"] == products
    assert found["model.layers.1.self_attn.k_proj"] == 16 * 16 * 32
    assert found[""] == 16 * (2 * (3 * 32 * 32 + 3 * 64 * 32) + 50 * 32) + 2 * products


@pytest.mark.parametrize("way", ["eager", "batched_mm", "grouped_mm"])
def test_of_experts_those_count_that_tokens_are_sent_to(way: str):
    net = with_experts(built("MixtralForCausalLM"), way)
    found = wider.multiply_adds(net, {"input_ids": TOKENS})
    assert found["model.layers.0.mlp.gate"] == 16 * 4 * 32
    assert found["model.layers.0.mlp.experts"] == 16 * 2 * 3 * 64 * 32  # two of four a token
    wider.sparsify(net, num_weights=15_000)
    chosen: list[Tensor] = []
    experts = net.get_submodule("model.layers.1.mlp.experts")
    handle = experts.register_forward_pre_hook(lambda _, inputs: chosen.append(inputs[1]))
    found = wider.multiply_adds(net, {"input_ids": TOKENS})
    handle.remove()
    tokens = torch.bincount(chosen[0].flatten(), minlength=4)
    kept = sum(
        matrices.count_nonzero(dim=(1, 2)) for matrices in (experts.gate_up_proj, experts.down_proj)
    )
    assert found["model.layers.1.mlp.experts"] == int((tokens * kept).sum())


@pytest.mark.parametrize(
    "name", ["GPT2LMHeadModel", "LlamaForCausalLM", "MixtralForCausalLM", "BertForMaskedLM"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masked_nets_count_what_they_keep(name: str, dtype: torch.dtype):
    net = with_experts(built(name), "eager").to(dtype)
    inputs = {"input_ids": TOKENS}
    dense = wider.summary(net, inputs)
    wider.sparsify(net, num_weights=wider.count_weights(net) // 3)
    masked = wider.summary(net, inputs)
    assert masked.products == dense.products
    for before, after in zip(dense.tensors, masked.tensors, strict=True):
        if "experts" not in after.name:  # masked nets send tokens to others
            assert (after.multiply_adds or 0) * after.size == after.kept * (
                before.multiply_adds or 0
            )


def test_its_layers_become_native(capsys: pytest.CaptureFixture[str]):
    net = wider.sparsify(built("LlamaForCausalLM"), num_weights=5_000)
    before = wider.multiply_adds(net, {"input_ids": TOKENS})
    wider.to_native(net, inputs={"input_ids": TOKENS})
    assert "model.layers.0.mlp.up_proj" in capsys.readouterr().out
    assert any(isinstance(part, wider.native.SparseLinear) for part in net.modules())
    assert wider.multiply_adds(net, {"input_ids": TOKENS}) == before
