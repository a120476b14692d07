"""Layers and nets that store and compute only the non-zero weights."""

from wider.native._mlp import Images, LinearLayer, SparseMLP, is_available

__all__ = ["Images", "LinearLayer", "SparseMLP", "is_available"]
