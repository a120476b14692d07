"""The version of this code, also where it was never installed."""

__version__ = "0.1.0"
