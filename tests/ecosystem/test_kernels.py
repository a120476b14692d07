"""Kernels of token models of Hugging Face transformers, against plain autograd."""

from typing import Any

import pytest
import torch
from torch import Tensor

import wider
from wider.randomness import default_generator_from, stream
from wider.theory import empirical_kernel

from .of_transformers import GROUPED, SIZES, TEXT, configured

pytestmark = pytest.mark.filterwarnings("ignore")  # of others

TOKENS = torch.randint(3, 12, (3, 4), generator=stream(0, "inputs"))
SMALL = {"vocab_size": 12, "num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 16}
NETS = {
    "gpt2": configured(
        "GPT2LMHeadModel",
        **TEXT | {"vocab_size": 12},
        n_positions=16,
        n_embd=8,
        n_layer=1,
        n_head=4,
    ),
    "llama": configured("LlamaForCausalLM", **GROUPED | SMALL),
    "bert": configured("BertForMaskedLM", **TEXT | SIZES | SMALL),
}


def net_of(name: str) -> Any:
    with default_generator_from(0, "tests"):
        return NETS[name]()


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_kernels_of_token_models(name: str, is_masked: bool):
    net = net_of(name)
    if is_masked:
        wider.sparsify(net, num_weights=wider.count_weights(net) // 3)
    inputs = {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS)}
    conjugate = empirical_kernel(net, inputs, batch_size=2)
    tangent = empirical_kernel(net, inputs, kind="tangent", batch_size=2)
    net = net.double().eval()
    seen: list[Tensor] = []
    head = net.get_submodule("cls.predictions.decoder" if name == "bert" else "lm_head")
    head.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    logits = net(**inputs).logits
    features = seen[0].flatten(1)
    assert features.shape == (3, 32)
    torch.testing.assert_close(conjugate, features @ features.T / 32)
    jacobian = []
    for row in logits:
        outputs = []
        for output in row.flatten():
            net.zero_grad()
            output.backward(retain_graph=True)
            outputs.append(
                torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
            )
        jacobian.append(torch.stack(outputs))
    stacked = torch.stack(jacobian)
    expected = torch.einsum("pcw,qcw->pq", stacked, stacked) / stacked.shape[1]
    torch.testing.assert_close(tangent, expected)


def test_the_features_of_a_body_without_a_head_enter_its_last_projection():
    net = net_of("gpt2").transformer  # whose layers are Conv1D
    kernel = empirical_kernel(net, TOKENS)
    seen: list[Tensor] = []
    net = net.double().eval()
    last = net.get_submodule("h.0.mlp.c_proj")
    last.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    net(TOKENS)
    features = seen[0].flatten(1)
    torch.testing.assert_close(kernel, features @ features.T / (4 * 32))
