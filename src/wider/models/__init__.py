"""Architectures as functions of their width."""

from wider.models._mlp import MLP, Activation, NTKLinear, Parametrization

__all__ = ["MLP", "Activation", "NTKLinear", "Parametrization"]
