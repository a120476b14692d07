"""What timm's own convolutions come to."""

import pytest
import torch
from torch import nn

import wider
from wider.sparsity import Piece, mask_of, register

from .of_timm import NETS, REFUSED

pytestmark = pytest.mark.filterwarnings("ignore")

BY_NAME = {net.name: net for net in [*NETS, *REFUSED]}


def layers(module: nn.Module, kind: str) -> dict[str, nn.Module]:
    return {name: part for name, part in module.named_modules() if type(part).__name__ == kind}


def test_convolutions_that_pad_first_are_masked_and_obey():
    net = BY_NAME["test_efficientnet"]
    module = net.build()
    padded = layers(module, "Conv2dSame")
    assert len(padded) == 5
    wider.sparsify(module, num_weights=5000)
    masks = {name: mask_of(layer) for name, layer in padded.items()}
    removed = {name: ~mask for name, mask in masks.items() if mask is not None}
    assert sum(int(places.sum()) for places in removed.values()) > 0
    expected = net.outputs(module.eval())
    for name, places in removed.items():
        stored = padded[name].get_parameter("parametrizations.weight.original")
        with torch.no_grad():
            stored[places] = 1000.0
    assert torch.equal(net.outputs(module), expected)


@pytest.mark.parametrize(
    ("name", "kind"), [("nf_resnet26", "ScaledStdConv2d"), ("resnetv2_50x1_bit", "StdConv2d")]
)
def test_convolutions_that_standardise_are_refused_with_both_remedies(name: str, kind: str):
    module = BY_NAME[name].build()
    remedies = r"exclude=\['stem\.conv'\], or say .* with wider\.sparsity\.register"
    with pytest.raises(
        wider.InputError, match=rf"'stem\.conv' is a {kind}.*not linear.*{remedies}"
    ):
        wider.sparsify(module, num_weights=1000)
    standardised = list(layers(module, kind))
    assert len(standardised) > 10
    wider.sparsify(module, num_weights=100, exclude=standardised)
    assert wider.count_weights(module) == 100
    assert all(mask_of(layer) is None for layer in layers(module, kind).values())


def test_a_kind_that_is_registered_is_taken_at_its_word():
    module = BY_NAME["nf_resnet26"].build()
    standardised = layers(module, "ScaledStdConv2d").values()
    own = type("Own", (type(next(iter(standardised))),), {})  # so that timm's own stays refused
    for layer in standardised:
        layer.__class__ = own
    register(own, lambda _: [Piece("weight")])
    dense = sum(layer.get_parameter("weight").numel() for layer in standardised)
    wider.sparsify(module, num_weights=dense // 4, exclude=["head"])
    assert wider.count_weights(module) == dense // 4
