"""Nets of Hugging Face transformers, narrow and shallow."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .net import Net, images, library, tokens

TEXT = {"vocab_size": 50, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
GROUPED = {**TEXT, **SIZES, "num_key_value_heads": 2}


def configured(net: str, **fields: Any) -> Callable[[], nn.Module]:
    """A net by the name of its class, whose configuration is called like its architecture."""
    architecture = net.partition("For")[0].removesuffix("Model").removesuffix("LMHead")

    def make() -> nn.Module:
        transformers = library("transformers")
        transformers.logging.set_verbosity_error()
        return getattr(transformers, net)(getattr(transformers, f"{architecture}Config")(**fields))

    return make


def text(generator: torch.Generator) -> dict[str, Tensor]:
    return {"input_ids": tokens(generator)}


def two_texts(generator: torch.Generator) -> dict[str, Tensor]:
    words = tokens(generator)
    return {"input_ids": words, "decoder_input_ids": words}


def pixels(generator: torch.Generator) -> dict[str, Tensor]:
    return {"pixel_values": images(generator)["x"]}


def spectrum(generator: torch.Generator) -> dict[str, Tensor]:
    heard = torch.randn(2, 8, 32, generator=generator)
    return {"input_features": heard, "decoder_input_ids": tokens(generator)}


def sound(generator: torch.Generator) -> dict[str, Tensor]:
    return {"input_values": torch.randn(2, 400, generator=generator)}


def _of_text(net: str, *uncovered: str, **fields: Any) -> Net:
    return Net(net, "transformers", configured(net, **fields), text, uncovered)


def _of_images(net: str, *uncovered: str, **fields: Any) -> Net:
    return Net(net, "transformers", configured(net, **fields), pixels, uncovered)


T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "num_mel_bins": 8,
    "max_source_positions": 16,
    "max_target_positions": 16,
}
WAV2VEC2 = {
    "conv_dim": (16, 16),
    "conv_kernel": (3, 3),
    "conv_stride": (2, 2),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.0,
}
NETS = [
    _of_text("GPT2LMHeadModel", **TEXT, n_positions=16, n_embd=32, n_layer=2, n_head=4),
    _of_text("GPTNeoXForCausalLM", **TEXT, **SIZES),
    _of_text(
        "OPTForCausalLM",
        **TEXT,
        hidden_size=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=32,
    ),
    _of_text("LlamaForCausalLM", **GROUPED),
    Net(
        "LlamaForCausalLM, tied",
        "transformers",
        configured("LlamaForCausalLM", **GROUPED, tie_word_embeddings=True),
        text,
    ),
    _of_text("Qwen3ForCausalLM", **GROUPED, head_dim=8),
    _of_text("GemmaForCausalLM", **GROUPED, head_dim=8),
    _of_text("MixtralForCausalLM", **GROUPED, num_local_experts=4),
    _of_text(
        "Qwen2MoeForCausalLM",
        **GROUPED,
        num_experts=4,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
    ),
    _of_text(
        "MambaForCausalLM",
        "*.A_log",
        **TEXT,
        hidden_size=32,
        num_hidden_layers=2,
        state_size=4,
        intermediate_size=64,
        time_step_rank=4,
    ),
    _of_text("BertForMaskedLM", **TEXT, **SIZES),
    _of_text("AlbertForMaskedLM", **TEXT, **SIZES, embedding_size=16),
    _of_text("DistilBertForMaskedLM", **TEXT, dim=32, hidden_dim=64, n_layers=2, n_heads=4),
    Net(
        "T5ForConditionalGeneration",
        "transformers",
        configured("T5ForConditionalGeneration", **TEXT, **T5, decoder_start_token_id=0),
        two_texts,
    ),
    Net(
        "WhisperForConditionalGeneration",
        "transformers",
        configured("WhisperForConditionalGeneration", **TEXT, **WHISPER, decoder_start_token_id=1),
        spectrum,
    ),
    _of_images(
        "ViTForImageClassification",
        "vit.embeddings.cls_token",
        "vit.embeddings.position_embeddings",
        **SIZES,
        image_size=32,
        patch_size=8,
    ),
    _of_images(
        "ConvNextForImageClassification",
        hidden_sizes=[8, 16],
        depths=[1, 1],
        num_stages=2,
        image_size=32,
    ),
    _of_images(
        "ResNetForImageClassification",
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
    ),
]
REFUSED = [
    Net(
        "Wav2Vec2Model",
        "transformers",
        configured("Wav2Vec2Model", **SIZES, **WAV2VEC2),
        sound,
        exclude=("encoder.pos_conv_embed",),
    ),
]
