"""Architectures as functions of their width."""

from wider.models._mlp import MLP, Activation, NTKLinear, Parametrization
from wider.models._resnet import BasicBlock, ResNet18, Stem

__all__ = [
    "MLP",
    "Activation",
    "BasicBlock",
    "NTKLinear",
    "Parametrization",
    "ResNet18",
    "Stem",
]
