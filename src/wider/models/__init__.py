"""Architectures as functions of their width."""

from wider.models._hugging_face import HuggingFaceNet, Widened
from wider.models._mlp import (
    ACTIVATION_NAMES,
    MLP,
    Activation,
    MLPSpec,
    NTKLinear,
    Parametrization,
)
from wider.models._resnet import BasicBlock, ResNet18, ResNet18Spec, Stem
from wider.models._spec import MODELS, ModelSpec, OwnModel

__all__ = [
    "ACTIVATION_NAMES",
    "MLP",
    "MODELS",
    "Activation",
    "BasicBlock",
    "HuggingFaceNet",
    "MLPSpec",
    "ModelSpec",
    "NTKLinear",
    "OwnModel",
    "Parametrization",
    "ResNet18",
    "ResNet18Spec",
    "Stem",
    "Widened",
]
