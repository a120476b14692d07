"""Training a small sparse MLP, many steps per call."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray

from wider.native._runtime import Job, kernel_named, pointers, run_shares, whole_numbers
from wider.native.linear import vectors_for

MOST_LANES = 16  # of any processor

Sums = tuple[float, int]
"""Over some images: the loss in nats, and how many are recognised."""


class _Network(Job):
    _fields_ = (
        *pointers("sizes", "scales", "first_row", "starts", "columns", "values", "biases"),
        *pointers("first_column", "column_starts", "column_rows", "column_order"),
        *whole_numbers("num_layers", "num_values", "num_rows", "num_by_column", "widest"),
        *whole_numbers("num_features", "relu", "has_biases"),
    )


class _Epoch(Job):
    _fields_ = (
        *pointers("net", "value_velocity", "bias_velocity", "images", "labels", "order"),
        *whole_numbers("row_length", "num_images", "batch_size", "vectors", "trains"),
        *((name, ctypes.c_float) for name in ("learning_rate", "momentum", "weight_decay")),
        *pointers("loss", "hits"),
    )


@dataclass(frozen=True)
class LinearLayer:
    """One layer, y = scale * W x + bias, as the outside sees it.

    Attributes:
        weight: dense, of which only the kept entries are read.
        mask: True where the weight is kept; None for all.
        bias: None where the layer has none.
        scale: 1, or 1/sqrt(fan_in) in NTK parametrisation.
    """

    weight: Float32[np.ndarray, "out in"]
    mask: Bool[np.ndarray, "out in"] | None
    bias: Float32[np.ndarray, " out"] | None
    scale: float = 1.0


class Images:
    """Images as rows whose length is a multiple of 16, with their labels.

    Args:
        pixels: one row per image.
        labels: their classes.
    """

    def __init__(
        self, pixels: Float32[np.ndarray, "images features"], labels: Int64[np.ndarray, " images"]
    ) -> None:
        missing = -pixels.shape[1] % MOST_LANES
        padded = np.pad(pixels, ((0, 0), (0, missing))) if missing else pixels
        self.row_length = padded.shape[1]
        # Of these types and no others: the kernels get addresses.
        self.flat = np.ascontiguousarray(padded, np.float32).reshape(-1)
        self.labels = np.ascontiguousarray(labels, np.int64)


class SparseMLP:
    """Linear layers with ReLU or nothing between them, trained by SGD on the cross-entropy.

    Args:
        layers: two or more, the first one first.
        relu: whether hidden units are rectified.
        batch_size: images in a step.
    """

    def __init__(self, layers: Sequence[LinearLayer], *, relu: bool, batch_size: int) -> None:
        self._batch_size = batch_size
        self._has_biases = layers[0].bias is not None
        self._masks = [_mask(layer) for layer in layers]
        sizes = [layers[0].weight.shape[1], *(len(layer.weight) for layer in layers)]
        kept_in_row = np.concatenate([np.count_nonzero(mask, axis=1) for mask in self._masks])
        kept = [layer.weight[mask] for layer, mask in zip(layers, self._masks, strict=True)]
        self._first_value = np.cumsum([0, *map(len, kept)])
        self._first_row = np.cumsum([0, *sizes[1:]])
        self._num_hidden = sum(sizes[1:-1])
        self._arrays = {
            "sizes": np.array(sizes, np.int64),
            "scales": np.array([layer.scale for layer in layers], np.float32),
            "first_row": self._first_row,
            "starts": np.cumsum([0, *kept_in_row]),
            "columns": np.concatenate([np.nonzero(mask)[1] for mask in self._masks]).astype(
                np.int32
            ),
            "values": np.concatenate(kept).astype(np.float32),
            "biases": np.concatenate([_bias(layer) for layer in layers]).astype(np.float32),
            **_by_column(self._masks, self._first_value),
        }
        self._net = _Network(
            **{name: array.ctypes.data for name, array in self._arrays.items()},
            num_layers=len(layers),
            num_values=len(self._arrays["values"]),
            num_rows=len(self._arrays["biases"]),
            num_by_column=len(self._arrays["column_order"]),
            widest=max(sizes[1:]),
            relu=relu,
            has_biases=self._has_biases,
        )
        self._velocity = {name: np.zeros_like(self._arrays[name]) for name in ("values", "biases")}

    def train_epoch(
        self,
        images: Images,
        order: Int64[np.ndarray, " images"],
        *,
        learning_rate: float,
        momentum: float,
        weight_decay: float,
        before: Sums = (0.0, 0),
    ) -> Sums:
        """Visits images once: all, or whole batches of them.

        Args:
            images: the training images.
            order: of the images that are visited.
            learning_rate: step size.
            momentum: of SGD.
            weight_decay: L2 penalty, on weights and biases alike.
            before: what this epoch's earlier images added up to.

        Returns:
            The sums with these images, each of them judged before its batch's step.
        """
        return self._visit(
            images,
            order,
            before,
            trains=True,
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
        )

    def evaluate(self, images: Images) -> tuple[float, float]:
        """Mean loss in nats and accuracy; NaN where there are no images."""
        count = len(images.labels)
        if not count:
            return float("nan"), float("nan")
        loss, hits = self._visit(images, np.arange(count), (0.0, 0), trains=False)
        return loss / count, hits / count

    def _visit(
        self, images: Images, order: Int64[np.ndarray, " images"], before: Sums, **job: float
    ) -> Sums:
        order = np.ascontiguousarray(order, np.int64)
        loss, hits = ctypes.c_double(before[0]), ctypes.c_int64(before[1])
        self._net.num_features = images.row_length + self._num_hidden
        # Evaluation has no batches: whole tiles waste no lanes.
        batch_size = self._batch_size if job["trains"] else len(order)
        epoch = _Epoch(
            net=ctypes.addressof(self._net),
            value_velocity=self._velocity["values"].ctypes.data,
            bias_velocity=self._velocity["biases"].ctypes.data,
            images=images.flat.ctypes.data,
            labels=images.labels.ctypes.data,
            order=order.ctypes.data,
            row_length=images.row_length,
            num_images=len(order),
            batch_size=batch_size,
            vectors=vectors_for(self._batch_size),
            loss=ctypes.addressof(loss),
            hits=ctypes.addressof(hits),
            **job,
        )
        run_shares(kernel_named("mlp_steps"), epoch, 1)
        return loss.value, hits.value

    def weights(self) -> list[Float32[np.ndarray, "out in"]]:
        """The dense weight of each layer, removed entries at zero."""
        return self._dense(self._arrays["values"])

    def biases(self) -> list[Float32[np.ndarray, " out"]]:
        """The bias of each layer; nothing where the net has none."""
        return self._by_layer(self._arrays["biases"]) if self._has_biases else []

    def velocities(
        self,
    ) -> tuple[list[Float32[np.ndarray, "out in"]], list[Float32[np.ndarray, " out"]]]:
        """Momentum of weights and biases, in the shapes of `weights` and `biases`."""
        biases = self._by_layer(self._velocity["biases"]) if self._has_biases else []
        return self._dense(self._velocity["values"]), biases

    def set_velocities(
        self,
        weights: Sequence[Float32[np.ndarray, "out in"]],
        biases: Sequence[Float32[np.ndarray, " out"]],
    ) -> None:
        """Goes on with the momentum that `velocities` returned."""
        kept = [weight[mask] for weight, mask in zip(weights, self._masks, strict=True)]
        self._velocity["values"][:] = np.concatenate(kept)
        if self._has_biases:
            self._velocity["biases"][:] = np.concatenate(biases)

    def _dense(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        dense = []
        for mask, start, stop in zip(
            self._masks, self._first_value[:-1], self._first_value[1:], strict=True
        ):
            weight = np.zeros(mask.shape, np.float32)
            weight[mask] = values[start:stop]
            dense.append(weight)
        return dense

    def _by_layer(self, rows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [part.copy() for part in np.split(rows, self._first_row[1:-1])]


def _mask(layer: LinearLayer) -> NDArray[np.bool_]:
    return np.ones(layer.weight.shape, np.bool_) if layer.mask is None else layer.mask


def _bias(layer: LinearLayer) -> NDArray[np.float32]:
    return np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias


def _by_column(
    masks: Sequence[NDArray[np.bool_]], first_value: NDArray[np.int64]
) -> dict[str, NDArray]:
    """The non-zeros of all layers but the first in the order of their input units."""
    first_column, counts, rows, order = [0, 0], [0], [], []
    for mask, start in zip(masks[1:], first_value[1:-1], strict=True):
        place = np.zeros(mask.shape, np.int64)
        place[mask] = np.arange(start, start + mask.sum())
        columns, units = np.nonzero(mask.T)
        counts.extend(np.count_nonzero(mask, axis=0))
        rows.append(units)
        order.append(place[units, columns])
        first_column.append(first_column[-1] + mask.shape[1])
    return {
        "first_column": np.array(first_column, np.int64),
        "column_starts": np.cumsum(counts, dtype=np.int64),
        "column_rows": np.concatenate(rows).astype(np.int32),
        "column_order": np.concatenate(order),
    }
