"""Nets of Hugging Face transformers as functions of their width."""

import copy
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal, get_args

from torch import nn

from wider.bottleneck import checked_narrowed
from wider.errors import InputError

Widened = Literal["num_heads", "head_size", "mlp"]

# What configurations call the same things. Fields that one lacks are passed over.
HEADS = ("num_attention_heads", "num_key_value_heads", "decoder_attention_heads")
MLP_SIZES = (
    "intermediate_size",
    "ffn_dim",
    "d_ff",
    "hidden_dim",
    "n_inner",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "moe_intermediate_size",
    "shared_expert_intermediate_size",
)
AS_WIDE_AS_THE_MODEL = ("word_embed_proj_dim", "embedding_size")  # where they are so at first
GPT2_MLP = 4  # times the model's width, where a configuration has n_inner = None


class HuggingFaceNet:
    """A net of transformers that is widened by the fields of its configuration.

    All else in the configuration (layers, vocabulary, context) stays. The library `transformers`
    is not imported for it. Non-linear bottlenecks narrow the hidden layers of the MLP blocks, and
    attention stays as wide as the model, so they end where attention alone has the budget.

    Args:
        build: configuration -> net, such as a class of transformers.
        configuration: of the proportions that every width keeps; never changed.
        widened: "num_heads": the model's width (`hidden_size`), with more heads of the same size;
            "head_size": the same with as many heads, which get larger; in both the MLP blocks grow
            along. "mlp": the hidden layers of the MLP blocks (`intermediate_size`) alone.

    Raises:
        InputError: `widened` is not one of them, or the configuration lacks what it needs.

    Example:
        >>> configuration = transformers.LlamaConfig(
        ...     hidden_size=64, intermediate_size=128, num_attention_heads=4, num_hidden_layers=2
        ... )
        >>> net = HuggingFaceNet(transformers.LlamaForCausalLM, configuration)
        >>> family = wider.Family(net, base_width=64, exclude=["lm_head"])
        >>> wider.count_weights(family.sparse(128)) == family.num_weights
        True
    """

    def __init__(
        self,
        build: Callable[[Any], nn.Module],
        configuration: Any,
        *,
        widened: Widened = "num_heads",
    ) -> None:
        if widened not in get_args(Widened):
            raise InputError(f"widened is {widened!r}; use one of {', '.join(get_args(Widened))}")
        self.build = build
        self.configuration = copy.deepcopy(configuration)
        self.widened: Widened = widened
        self.__name__ = f"{getattr(build, '__name__', 'the net')} with its {widened} widened"
        missing = [
            name
            for name in ("hidden_size", "num_attention_heads")
            if not isinstance(getattr(configuration, name, None), int)
        ]
        if widened == "mlp" and not _mlp_size(configuration):
            missing = list(MLP_SIZES)
        if missing:
            raise InputError(
                f"{type(configuration).__name__} has no single {' or '.join(missing)}, so its "
                "net cannot be widened by it: write a function of the width that makes the "
                "configuration"
            )

    def __call__(self, width: int, *, narrowed: Sequence[int] | None = None) -> nn.Module:
        """The net of a width.

        Args:
            width: of what is widened.
            narrowed: the hidden width of the MLP blocks, one number; None for the usual one.

        Raises:
            InputError: heads do not divide the width.
        """
        configuration = self._at(width)
        usual = self.narrowed_widths(width)
        (size,) = checked_narrowed(narrowed, usual, "net") or (None,)
        if size is not None:
            _set_mlp_size(configuration, size)
        return self.build(configuration)

    def narrowed_widths(self, width: int) -> tuple[int, ...]:
        """The usual hidden width of the MLP blocks; none where it is what is widened."""
        size = None if self.widened == "mlp" else _mlp_size(self._at(width))
        return () if size is None else (size,)

    def _at(self, width: int) -> Any:
        configuration = copy.deepcopy(self.configuration)
        if self.widened == "mlp":
            _set_mlp_size(configuration, width)
            return configuration
        model_width = configuration.hidden_size
        growing = _heads(configuration) if self.widened == "num_heads" else _sizes(configuration)
        step = _step(configuration, growing)
        if width < 1 or width % step:
            raise InputError(
                f"width {width} does not give whole heads: with {self.widened} widened, "
                f"{type(configuration).__name__} needs a multiple of {step}"
            )
        factor = Fraction(width, model_width)
        mlp_size = _mlp_size(configuration)
        for name in AS_WIDE_AS_THE_MODEL:
            if getattr(configuration, name, None) == model_width:
                setattr(configuration, name, width)
        configuration.hidden_size = width
        for name, value in growing.items():
            if _can_be_set(configuration, name):
                setattr(configuration, name, int(value * factor))
        if mlp_size is not None:
            _set_mlp_size(configuration, math.floor(mlp_size * factor))
        return configuration


def _heads(configuration: Any) -> dict[str, int]:
    return {name: getattr(configuration, name) for name in HEADS if hasattr(configuration, name)}


def _sizes(configuration: Any) -> dict[str, int]:
    """Of a head; where it is not a field, it follows from the others."""
    size = getattr(configuration, "head_dim", None)
    return {"head_dim": size or configuration.hidden_size // configuration.num_attention_heads}


def _step(configuration: Any, growing: dict[str, int]) -> int:
    """Of the model's width, so that what grows with it stays whole."""
    width = configuration.hidden_size
    # Rotary embeddings turn the channels of a head in pairs.
    is_rotary = bool(getattr(configuration, "rope_parameters", None))
    parts = [
        value // 2 if name == "head_dim" and is_rotary and value % 2 == 0 else value
        for name, value in growing.items()
    ]
    return math.lcm(*(width // math.gcd(width, part) for part in parts))


def _can_be_set(configuration: Any, name: str) -> bool:
    is_computed = isinstance(getattr(type(configuration), name, None), property)
    return getattr(configuration, name, None) is not None and not is_computed


def _mlp_size(configuration: Any) -> int | None:
    """The first of the MLP blocks' widths."""
    for name in MLP_SIZES:
        if isinstance(size := getattr(configuration, name, None), int):
            return size
    if hasattr(configuration, "n_inner"):
        return GPT2_MLP * configuration.hidden_size
    return None


def _set_mlp_size(configuration: Any, size: int) -> None:
    """All of the MLP blocks' widths, in the proportions that they have."""
    first = _mlp_size(configuration)
    assert first is not None
    for name in MLP_SIZES:
        usual = getattr(configuration, name, None)
        if isinstance(usual, int):
            setattr(configuration, name, max(1, usual * size // first))
        elif name == "n_inner" and hasattr(configuration, name):
            setattr(configuration, name, size)
