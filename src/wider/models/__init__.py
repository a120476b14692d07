"""Architectures as functions of their width."""

from wider.models._hugging_face import HuggingFaceNet, Widened
from wider.models._mlp import ACTIVATION_NAMES, MLP, Activation, NTKLinear, Parametrization
from wider.models._resnet import BasicBlock, ResNet18, Stem

__all__ = [
    "ACTIVATION_NAMES",
    "MLP",
    "Activation",
    "BasicBlock",
    "HuggingFaceNet",
    "NTKLinear",
    "Parametrization",
    "ResNet18",
    "Stem",
    "Widened",
]
