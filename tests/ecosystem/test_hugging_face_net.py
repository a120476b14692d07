"""Nets of transformers as families: widened by their configuration, small and random."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wider
from wider.models import HuggingFaceNet
from wider.randomness import stream

from .net import library

pytestmark = pytest.mark.filterwarnings("ignore")  # of others; budgets are asserted below

LAYERS, HEADS, GROUPS, HEAD, WIDTH, MLP = 2, 4, 2, 8, 32, 96
TEXT = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SIZES = {
    "hidden_size": WIDTH,
    "intermediate_size": MLP,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
}
CONFIGURATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", {**TEXT, **SIZES, "num_key_value_heads": GROUPS}),
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {**TEXT, "n_positions": 16, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS},
    ),
    "bert": ("BertForMaskedLM", "BertConfig", {**TEXT, **SIZES}),
    "opt": (
        "OPTForCausalLM",
        "OPTConfig",
        {
            **TEXT,
            "hidden_size": WIDTH,
            "ffn_dim": MLP,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "word_embed_proj_dim": WIDTH,
        },
    ),
    "t5": (
        "T5ForConditionalGeneration",
        "T5Config",
        {
            **TEXT,
            "d_model": WIDTH,
            "d_kv": HEAD,
            "d_ff": MLP,
            "num_layers": LAYERS,
            "num_heads": HEADS,
            "decoder_start_token_id": 0,
        },
    ),
    "mixtral": (
        "MixtralForCausalLM",
        "MixtralConfig",
        {**TEXT, **SIZES, "num_key_value_heads": GROUPS, "num_local_experts": 4},
    ),
    "vit": ("ViTForImageClassification", "ViTConfig", {**SIZES, "image_size": 32, "patch_size": 8}),
}
UNCOUNTED = {"vit": ["vit.embeddings.cls_token", "vit.embeddings.position_embeddings"]}
every_net = pytest.mark.parametrize("name", CONFIGURATIONS)
every_way = pytest.mark.parametrize("widened", ["num_heads", "head_size", "mlp"])


def transformers() -> Any:
    return library("transformers")


def configured(name: str) -> tuple[Any, Any]:
    net, configuration, fields = CONFIGURATIONS[name]
    return getattr(transformers(), net), getattr(transformers(), configuration)(**fields)


def architecture(name: str, widened: Any = "num_heads") -> HuggingFaceNet:
    return HuggingFaceNet(*configured(name), widened=widened)


def base_width(name: str, widened: str) -> int:
    return {"mlp": 4 * WIDTH if name == "gpt2" else MLP}.get(widened, WIDTH)


def family(name: str, widened: str = "num_heads") -> wider.Family:
    return wider.Family(
        architecture(name, widened),
        base_width=base_width(name, widened),
        exclude=UNCOUNTED.get(name, ()),
    )


def outputs(name: str, net: nn.Module) -> Tensor:
    generator = stream(0, "inputs")
    if name == "vit":
        return net(torch.randn(2, 3, 32, 32, generator=generator)).logits
    tokens = torch.randint(3, 50, (2, 8), generator=generator)
    more = {"decoder_input_ids": tokens} if name == "t5" else {}
    return net(input_ids=tokens, **more).logits


def of_llama(width: int, heads: int, size: int, groups: int, mlp: int) -> int:
    attention = 2 * width * heads * size + 2 * width * groups * size
    return LAYERS * (attention + 3 * width * mlp) + 50 * width


def test_the_weights_of_llama_by_hand():
    assert family("llama").num_weights == of_llama(WIDTH, HEADS, HEAD, GROUPS, MLP)
    for widened, width, expected in (
        ("num_heads", 48, of_llama(48, 6, HEAD, 3, 144)),
        ("head_size", 48, of_llama(48, HEADS, 12, GROUPS, 144)),
        ("mlp", 120, of_llama(WIDTH, HEADS, HEAD, GROUPS, 120)),
    ):
        net = family("llama", widened).dense(width)
        assert wider.count_weights(net) == expected
        assert outputs("llama", net).isfinite().all()


@every_net
@every_way
def test_at_its_own_width_the_net_is_that_of_the_configuration(name: str, widened: str):
    build, configuration = configured(name)
    expected = {key: value.shape for key, value in build(configuration).state_dict().items()}
    net = architecture(name, widened)(base_width(name, widened))
    assert {key: value.shape for key, value in net.state_dict().items()} == expected


@every_net
@every_way
def test_sparse_members_have_the_budget_and_compute(name: str, widened: str):
    whole = family(name, widened)
    wide = whole.sparse(2 * whole.base_width)
    assert wider.count_weights(wide) == whole.num_weights
    assert wider.count_weights(whole.dense(2 * whole.base_width)) > whole.num_weights
    assert outputs(name, wide).isfinite().all()


@every_net
@every_way
def test_linear_bottlenecks_take_every_layer_or_are_refused(name: str, widened: str):
    whole = family(name, widened)
    if name == "mixtral":
        with pytest.raises(wider.InputError, match=r"experts.* have no linear bottleneck: leave"):
            whole.linear_bottleneck(2 * whole.base_width)
        return
    net = whole.linear_bottleneck(2 * whole.base_width)
    assert whole.num_weights < wider.count_weights(net) <= whole.num_explicit_weights
    names = wider.connectivity(net)
    assert all(each.endswith((".down", ".up")) for each in names if each)
    logits = outputs(name, net)
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_non_linear_bottlenecks_narrow_the_mlp_blocks_alone():
    whole = family("llama")
    with pytest.warns(wider.sparsity.BudgetWarning, match="whole channels"):
        net: Any = whole.nonlinear_bottleneck(48)
    # 2 x (2 x 32 x 32 + 2 x 32 x 16 + 3 x 32 x 96) + 50 x 32 = 26,176 weights. Attention and the
    # head need 2 x (2 x 48 x 48 + 2 x 48 x 24) + 50 x 48 = 16,224, which leaves 34 x 2 x 3 x 48.
    assert {layer.mlp.down_proj.in_features for layer in net.model.layers} == {34}
    assert wider.count_weights(net) == 16_224 + 34 * 2 * 3 * 48
    assert outputs("llama", net).isfinite().all()


def test_what_a_non_linear_bottleneck_cannot_do_is_said():
    with pytest.raises(wider.InputError, match="at width 64, the narrowed layers would need less"):
        family("llama").nonlinear_bottleneck(64)
    with pytest.raises(wider.InputError, match=r"with its mlp widened exposes no layers that"):
        family("llama", "mlp").nonlinear_bottleneck(2 * MLP)


def test_positions_that_grow_are_refused_until_they_are_left_out_by_name():
    grown = wider.Family(architecture("vit"), base_width=WIDTH)
    with pytest.raises(wider.InputError, match=r"cls_token', 'vit.*position_embeddings' hold more"):
        grown.sparse(64)


def test_experts_of_two_kinds_grow_in_their_proportions():
    fields = {**TEXT, **SIZES, "num_experts": 4, "moe_intermediate_size": 12}
    fields |= {"shared_expert_intermediate_size": 24, "num_key_value_heads": GROUPS}
    build = transformers().Qwen2MoeForCausalLM
    net = HuggingFaceNet(build, transformers().Qwen2MoeConfig(**fields))
    wide: Any = net(64)
    mlp = wide.model.layers[0].mlp
    assert mlp.experts.gate_up_proj.shape == (4, 2 * 24, 64)
    assert mlp.shared_expert.up_proj.weight.shape == (48, 64)


def test_the_configuration_is_not_touched():
    build, configuration = configured("llama")
    before = configuration.to_dict()
    net = HuggingFaceNet(build, configuration)
    net(64)
    assert configuration.to_dict() == net.configuration.to_dict() == before


@pytest.mark.parametrize(
    ("widened", "width", "multiple"),
    [("num_heads", 40, 16), ("head_size", 36, 8), ("num_heads", 0, 16)],
)
def test_a_width_that_cuts_a_head_is_refused(widened: Any, width: int, multiple: int):
    # Llama turns pairs of a head's channels, but 36 / 32 x 8 channels are 9.
    with pytest.raises(wider.InputError, match=f"width {width} .* a multiple of {multiple}"):
        architecture("llama", widened)(width)


def test_configurations_without_one_width_are_refused():
    swin = transformers().SwinForImageClassification
    with pytest.raises(wider.InputError, match="SwinConfig has no single num_attention_heads"):
        HuggingFaceNet(swin, transformers().SwinConfig())
    with pytest.raises(wider.InputError, match="BloomConfig has no single intermediate_size or"):
        HuggingFaceNet(transformers().BloomForCausalLM, transformers().BloomConfig(), widened="mlp")
    with pytest.raises(wider.InputError, match="widened is 'depth'; use one of num_heads, head"):
        architecture("llama", "depth")
