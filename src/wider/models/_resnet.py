"""Residual networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wider.bottleneck import checked_narrowed
from wider.errors import InputError
from wider.families import Family
from wider.models._spec import MODELS, ModelSpec
from wider.native import BatchNormReLU
from wider.tasks import Task

Stem = Literal["cifar", "imagenet"]

STEMS = {"cifar": (3, 1), "imagenet": (7, 2)}  # kernel size and stride


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: relu(x' + N(W2 relu(N(W1 x)))), N = BatchNorm.

    The shortcut x' is x itself, or N(Ws x) with a 1x1 convolution Ws where the shape changes.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the first convolution and of the shortcut; the second has stride 1.
        middle_channels: channels between the two convolutions; None for `out_channels`.

    Source:
        He et al. 2016, equations (1) and (2); BatchNorm and projections as in Sections 3.3, 3.4.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, middle_channels: int | None = None
    ) -> None:
        super().__init__()
        if middle_channels is None:
            middle_channels = out_channels
        self.convolution_1 = _convolution(in_channels, middle_channels, 3, stride)
        self.norm_1 = BatchNormReLU(middle_channels)
        self.convolution_2 = _convolution(middle_channels, out_channels, 3, 1)
        self.norm_2 = BatchNormReLU(out_channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut.add_module(
                "convolution", _convolution(in_channels, out_channels, 1, stride)
            )
            self.shortcut.add_module("norm", nn.BatchNorm2d(out_channels))

    def forward(
        self, features: Float[Tensor, "batch in rows columns"]
    ) -> Float[Tensor, "batch out out_rows out_columns"]:
        """The block's feature maps, of size ceil(rows / stride) x ceil(columns / stride)."""
        middle = self.norm_1(self.convolution_1(features))
        return self.norm_2(self.convolution_2(middle), self.shortcut(features))


class ResNet18(nn.Module):
    """ResNet-18: a first convolution, four stages of two basic blocks, one linear layer.

    The stages have width, 2 width, 4 width and 8 width channels; each but the first halves the
    feature maps. Every convolution is without bias and followed by BatchNorm. All layers start
    as PyTorch's default has them.

    Args:
        width: output channels of the first convolution; 64 in the original.
        num_classes: outputs.
        in_channels: channels of the images.
        stem: the first convolution, named "stem": 3x3 with stride 1 ("cifar", for small images),
            or 7x7 with stride 2 and a 3x3 max pooling with stride 2 ("imagenet"). The blocks are
            "stages.0.0" to "stages.3.1", the linear layer is "output".
        narrowed: the channels between the two convolutions of each block; None for those of the
            block's output. See `narrowed_widths`.

    Raises:
        InputError: a size below 1, an unknown stem, or not one narrowed width for each block.

    Example:
        >>> wider.count_weights(ResNet18(width=8))
        175192

    Source:
        He et al. 2016, Table 1; Golubeva et al. 2021, Appendix A and (narrowed) Section 2.3.
    """

    def __init__(
        self,
        width: int,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        stem: Stem = "cifar",
        narrowed: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        sizes = {"width": width, "num_classes": num_classes, "in_channels": in_channels}
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name} is {size}; a ResNet-18 needs at least 1")
        if stem not in STEMS:
            raise InputError(f"unknown stem {stem!r}; use " + " or ".join(map(repr, STEMS)))
        middle = checked_narrowed(narrowed, self.narrowed_widths(width), "ResNet-18")
        kernel_size, stride = STEMS[stem]
        self.stem = _convolution(in_channels, width, kernel_size, stride)
        self.norm = BatchNormReLU(width)
        self.pool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        self.stages = nn.Sequential(
            _stage(width, width, middle[0:2], stride=1),
            _stage(width, 2 * width, middle[2:4], stride=2),
            _stage(2 * width, 4 * width, middle[4:6], stride=2),
            _stage(4 * width, 8 * width, middle[6:8], stride=2),
        )
        self.output = nn.Linear(8 * width, num_classes)

    @staticmethod
    def narrowed_widths(width: int, **_keywords: Any) -> tuple[int, ...]:
        """The usual widths of the layers that a non-linear bottleneck narrows.

        Args:
            width: of the net, whose other keywords are accepted too.

        Returns:
            The channels between the two convolutions of each of the eight blocks.
        """
        return tuple(stage * width for stage in (1, 1, 2, 2, 4, 4, 8, 8))

    def forward(
        self, images: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch classes"]:
        """Class scores (logits) of a batch of images of any size."""
        features = self.pool(self.norm(self.stem(images)))
        features = self.stages(features)
        return self.output(functional.adaptive_avg_pool2d(features, 1).flatten(1))


@MODELS.register("resnet18")
@dataclass(frozen=True)
class ResNet18Spec(ModelSpec):
    """A `ResNet18` apart from its width and its task; arguments as there."""

    stem: Stem = "cifar"
    """The first layer, for small images or for those of ImageNet."""

    same_uses = True

    def family(self, task: Task, *, base_width: int, exclude: Sequence[str] = ()) -> Family:
        """See `ModelSpec`."""
        sizes = task.sizes_for(("in_channels", "num_outputs"), net="ResNet-18")
        return Family(
            ResNet18,
            base_width=base_width,
            exclude=exclude,
            in_channels=sizes["in_channels"],
            num_classes=sizes["num_outputs"],
            stem=self.stem,
        )

    @property
    def label(self) -> str:
        """See `ModelSpec`."""
        return self.name

    @property
    def title(self) -> str:
        """See `ModelSpec`."""
        return "ResNet-18"


def _stage(
    in_channels: int, out_channels: int, middle: Sequence[int], *, stride: int
) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride, middle[0]),
        BasicBlock(out_channels, out_channels, 1, middle[1]),
    )


def _convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> nn.Conv2d:
    # Padded so that stride 1 keeps the size; no bias, since BatchNorm would cancel it.
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
