"""Tied tensors and families of nets of Hugging Face transformers."""

from typing import Any, cast

import pytest
import torch
from torch import nn

import wider
from wider.sparsity import UncountedWarning, mask_of, matrices

from .of_transformers import GROUPED, NETS, configured
from .test_nets import num_nonzero, train

pytestmark = pytest.mark.filterwarnings("ignore")

BY_NAME = {net.name: net for net in NETS}
HEADS = {  # {net: (head, the embedding that it is tied to)}
    "GPT2LMHeadModel": ("lm_head", "transformer.wte"),
    "LlamaForCausalLM, tied": ("lm_head", "model.embed_tokens"),
    "BertForMaskedLM": ("cls.predictions.decoder", "bert.embeddings.word_embeddings"),
    "T5ForConditionalGeneration": ("lm_head", "shared"),
}
LAYERS = {  # {net: two layers of the same shape}
    "GPT2LMHeadModel": ("transformer.h.0.mlp.c_fc", "transformer.h.1.mlp.c_fc"),
    "LlamaForCausalLM, tied": ("model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"),
    "BertForMaskedLM": (
        "bert.encoder.layer.0.intermediate.dense",
        "bert.encoder.layer.1.intermediate.dense",
    ),
    "T5ForConditionalGeneration": (
        "encoder.block.0.layer.1.DenseReluDense.wi",
        "decoder.block.1.layer.2.DenseReluDense.wi",
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_tied_head_is_the_embedding_and_stays_it(name: str):
    net, (head, embedding) = BY_NAME[name], HEADS[name]
    module = net.build()
    one, other = (module.get_submodule(part) for part in (embedding, head))
    assert one.weight is other.weight
    wider.sparsify(module, num_weights=4000)
    assert one.weight is other.weight
    assert mask_of(one) is mask_of(other) is None
    listed = [each.name for each in wider.summary(module).tensors if each.kind == "embedding"]
    assert f"{embedding}.weight" in listed
    assert f"{head}.weight" not in listed
    assert head not in matrices(module)
    train(net, module)
    assert one.weight is other.weight
    assert num_nonzero(net, module) == 4000


@pytest.mark.parametrize("name", LAYERS)
def test_tied_layers_are_one_tensor_counted_once_under_one_mask(name: str):
    net = BY_NAME[name]
    module = net.build()
    one, other = (cast(Any, module.get_submodule(part)) for part in LAYERS[name])
    untied = wider.count_weights(module)
    other.weight = one.weight
    assert wider.count_weights(module) == untied - one.weight.numel()
    budget = wider.count_weights(module) // 4
    wider.sparsify(module, num_weights=budget)
    assert mask_of(one) is mask_of(other)
    assert mask_of(one) is not None
    train(net, module)
    assert torch.equal(one.weight, other.weight)
    assert num_nonzero(net, module) == wider.count_weights(module) == budget


def test_a_family_of_language_models_has_one_budget_and_says_that_embeddings_grow():
    def architecture(width: int) -> nn.Module:
        """Llama with as many heads at every width."""
        sizes: dict[str, Any] = {"hidden_size": width, "intermediate_size": 2 * width}
        return configured("LlamaForCausalLM", **{**GROUPED, **sizes})()

    family = wider.Family(architecture, base_width=16, exclude=["lm_head"])
    with pytest.warns(UncountedWarning, match="embeddings are not counted, and they grow"):
        net = family.sparse(32)
    kept = sum(
        int(matrix.count_nonzero())
        for name, part in net.named_modules()
        if isinstance(part, nn.Linear) and name != "lm_head"
        for matrix in [part.weight]
    )
    assert kept == wider.count_weights(net) == family.num_weights
    assert BY_NAME["LlamaForCausalLM"].outputs(net).isfinite().all()
