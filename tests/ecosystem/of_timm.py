"""Nets of timm, narrow and shallow."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .net import Net, images, library

PATCHES = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}


def large_images(generator: torch.Generator) -> dict[str, Tensor]:
    return {"x": torch.randn(2, 3, 64, 64, generator=generator)}


def created(name: str, **fields: Any) -> Callable[[], nn.Module]:
    return lambda: library("timm").create_model(name, pretrained=False, num_classes=10, **fields)


def mixer() -> nn.Module:
    kind = library("timm.models.mlp_mixer").MlpMixer
    return kind(num_classes=10, img_size=32, patch_size=8, embed_dim=32, num_blocks=2)


def _net(name: str, *uncovered: str, **fields: Any) -> Net:
    return Net(name, "timm", created(name, **fields), images, uncovered)


NETS = [
    _net("vit_tiny_patch16_224", "cls_token", "pos_embed", **PATCHES),
    _net("deit_tiny_distilled_patch16_224", "*_token", "pos_embed", **PATCHES),
    _net("cait_xxs24_224", "cls_token", "pos_embed", **PATCHES),
    _net(
        "swin_tiny_patch4_window7_224",
        "*.relative_position_bias_table",
        img_size=32,
        window_size=4,
        embed_dim=16,
        depths=(1, 1),
        num_heads=(2, 2),
    ),
    Net(
        "levit_128s",
        "timm",
        created(
            "levit_128s",
            img_size=64,
            embed_dim=(32, 32, 32),
            depth=(1, 1, 1),
            num_heads=(2, 2, 2),
            key_dim=8,
        ),
        large_images,
        ("*.attention_biases",),
    ),
    Net("mixer", "timm", mixer, images),
    _net("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 16, 16)),
    _net("resnet18", channels=(8, 8, 16, 16), layers=(1, 1, 1, 1)),
    _net("densenet121", growth_rate=8, block_config=(1, 1)),
    _net("regnety_002", w0=16, wa=20.0, wm=2.0, depth=5, group_size=8),
    _net("mobilenetv3_small_050"),
    # Conv2dSame, which pads first, as in all nets of timm that come from TensorFlow.
    _net("test_efficientnet", pad_type="same"),
]
# Convolutions that standardise their weights: no layer but the head is left.
REFUSED = [
    Net(
        "nf_resnet26",
        "timm",
        created("nf_resnet26", depths=(1, 1, 1, 1), channels=(16, 16, 32, 32), stem_chs=16),
        images,
        exclude=("stem", "stages"),
    ),
    Net(
        "resnetv2_50x1_bit",
        "timm",
        created("resnetv2_50x1_bit"),
        images,
        exclude=("stem", "stages"),
    ),
]
