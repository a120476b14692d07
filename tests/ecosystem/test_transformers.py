"""Nets of Hugging Face transformers, small and random: nothing is fetched.

The budget is held against a brute-force count of all non-zero entries of all matrices.
"""

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wider
from wider.randomness import default_generator_from, stream
from wider.sparsity import UncountedWarning

pytestmark = pytest.mark.filterwarnings("ignore")  # of others; ours are asserted below

TEXT = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
GROUPED = {**TEXT, **SIZES, "num_key_value_heads": 2}
# {architecture: (class of the net, of its configuration, fields of it)}
ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {**TEXT, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4},
    ),
    "gpt_neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", {**TEXT, **SIZES}),
    "opt": (
        "OPTForCausalLM",
        "OPTConfig",
        {
            **TEXT,
            "hidden_size": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "word_embed_proj_dim": 32,
        },
    ),
    "llama": ("LlamaForCausalLM", "LlamaConfig", GROUPED),
    "llama_tied": ("LlamaForCausalLM", "LlamaConfig", {**GROUPED, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", {**GROUPED, "head_dim": 8}),
    "gemma": ("GemmaForCausalLM", "GemmaConfig", {**GROUPED, "head_dim": 8}),
    "mixtral": ("MixtralForCausalLM", "MixtralConfig", {**GROUPED, "num_local_experts": 4}),
    "qwen2_moe": (
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        {
            **GROUPED,
            "num_experts": 4,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    "bert": ("BertForMaskedLM", "BertConfig", {**TEXT, **SIZES}),
    "distilbert": (
        "DistilBertForMaskedLM",
        "DistilBertConfig",
        {**TEXT, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
    ),
    "t5": (
        "T5ForConditionalGeneration",
        "T5Config",
        {
            **TEXT,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": 2,
            "num_heads": 4,
            "decoder_start_token_id": 0,
        },
    ),
    "vit": ("ViTForImageClassification", "ViTConfig", {**SIZES, "image_size": 32, "patch_size": 8}),
    "convnext": (
        "ConvNextForImageClassification",
        "ConvNextConfig",
        {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "image_size": 32},
    ),
    "resnet": (
        "ResNetForImageClassification",
        "ResNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
    ),
}
IMAGES = {"vit", "convnext", "resnet"}
# What no rule covers, and is said.
UNCOVERED = {
    "vit": ["vit.embeddings.cls_token", "vit.embeddings.position_embeddings"],
}


@cache
def transformers() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        transformers.logging.set_verbosity_error()
    return transformers


def built(name: str, **changes: Any) -> nn.Module:
    net, configuration, fields = ARCHITECTURES[name]
    with default_generator_from(0, "tests"):
        return getattr(transformers(), net)(
            getattr(transformers(), configuration)(**{**fields, **changes})
        )


def outputs(name: str, net: nn.Module) -> Tensor:
    generator = stream(0, "inputs")
    if name in IMAGES:
        return net(torch.randn(2, 3, 32, 32, generator=generator)).logits
    tokens = torch.randint(3, 50, (2, 8), generator=generator)
    more = {"decoder_input_ids": tokens} if name == "t5" else {}
    return net(input_ids=tokens, **more).logits


def num_nonzero(net: nn.Module) -> int:
    """Entries of all tensors of two or more dimensions that are no embedding, tied ones once."""
    embedded = {id(part.weight) for part in net.modules() if isinstance(part, nn.Embedding)}
    seen, count = set(embedded), 0
    for name, part in net.named_modules():
        if "parametrizations" in name.split("."):
            continue
        masked: Any = getattr(part, "parametrizations", {})
        for own in [*dict(part.named_parameters(recurse=False)), *masked]:
            stored = masked[own].original if own in masked else getattr(part, own)
            if stored.dim() > 1 and id(stored) not in seen:
                seen.add(id(stored))
                count += int(getattr(part, own).count_nonzero())
    return count


DOCUMENT = Path(__file__).parents[2] / "docs" / "ecosystem.md"
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@every_architecture
def test_the_budget_is_all_matrices_of_the_net_and_stays_it(name: str):
    net = built(name)
    uncovered = sum(
        tensor.size for tensor in wider.summary(net).tensors if tensor.kind == "not known"
    )
    assert wider.count_weights(net) == num_nonzero_or_zero(net) - uncovered
    budget = wider.count_weights(net) // 4
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wider.sparsify(net, num_weights=budget)
    said = [str(each.message) for each in caught if issubclass(each.category, UncountedWarning)]
    assert all(tensor in said[0] for tensor in UNCOVERED.get(name, []))
    assert bool(said) == (name in UNCOVERED)
    assert wider.count_weights(net) == wider.summary(net).num_weights == budget
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.1)
    for _ in range(30):
        optimiser.zero_grad()
        outputs(name, net).float().square().mean().backward()
        optimiser.step()
    assert outputs(name, net).isfinite().all()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert num_nonzero(net) - uncovered_nonzero(net) == budget


def num_nonzero_or_zero(net: nn.Module) -> int:
    """Before training, when some matrices may start at zero."""
    every = {id(p): p for p in net.parameters() if p.dim() > 1}
    embedded = {id(part.weight) for part in net.modules() if isinstance(part, nn.Embedding)}
    return sum(p.numel() for key, p in every.items() if key not in embedded)


def uncovered_nonzero(net: nn.Module) -> int:
    names = [tensor.name for tensor in wider.summary(net).tensors if tensor.kind == "not known"]
    return sum(int(net.get_parameter(name).count_nonzero()) for name in names)


def table() -> str:
    """Docs/ecosystem.md; written by `python -P tests/ecosystem/test_transformers.py`."""
    lines = [
        "# Nets of others",
        "",
        "What the budget covers in small, random nets of transformers. Each is sparsified to a",
        "quarter, trained for 30 steps of AdamW and counted again by brute force in",
        "`tests/ecosystem/`, which also writes this table.",
        "",
        "| net | weights counted | in embeddings, not counted | in tensors that no rule covers |",
        "|---|---|---|---|",
    ]
    for name, (kind, _, _) in ARCHITECTURES.items():
        found = wider.summary(built(name))
        tied = ", tied" if name.endswith("tied") else ""
        numbers = [found.num_weights, found.total("embedding"), found.total("not known")]
        lines.append(f"| {kind}{tied} | {' | '.join(f'{number:,}' for number in numbers)} |")
    return "\n".join(lines) + "\n"


def test_the_documented_table_is_what_comes_out():
    assert DOCUMENT.read_text() == table()


def test_a_layer_that_another_tool_parametrised_is_left_out_by_name():
    fields = {**SIZES, "conv_dim": (16, 16), "conv_kernel": (3, 3), "conv_stride": (2, 2)}
    fields |= {"num_feat_extract_layers": 2, "num_conv_pos_embeddings": 8}
    fields |= {"num_conv_pos_embedding_groups": 2, "mask_time_prob": 0.0}
    net = transformers().Wav2Vec2Model(transformers().Wav2Vec2Config(**fields))
    with pytest.raises(wider.InputError, match=r"pos_conv_embed.conv' is parametrised .* exclude"):
        wider.sparsify(net, num_weights=1000)
    wider.sparsify(net, num_weights=5000, exclude=["encoder.pos_conv_embed"])
    assert wider.count_weights(net) == 5000
    assert net(torch.randn(2, 400)).last_hidden_state.isfinite().all()


def widened(width: int, **fields: Any) -> nn.Module:
    """Llama with as many heads at every width."""
    return built("llama", hidden_size=width, intermediate_size=2 * width, **fields)


def test_a_family_of_language_models_has_one_budget_and_says_that_embeddings_grow():
    def architecture(width: int) -> nn.Module:
        return widened(width)

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
    assert outputs("llama", net).isfinite().all()


if __name__ == "__main__":
    DOCUMENT.write_text(table())
