"""Where the numbers of a sparse convolution lie, and how tiles go over them."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from wider.native._runtime import LANES, MOST_PAIRS, MOST_SUMS


class Layout(NamedTuple):
    """Where the numbers of one slab of images lie: [channel][row][column][lane], zeros around.

    Attributes:
        places: of each position of a plane, row by row, from the start of its channel; of the first
            of each row where columns are lanes. None where numbers are used as they lie.
        holes: of the vectors of a plane in which no image lies.
        row: from one row to the next.
        plane: from one channel to the next.
    """

    places: Int64[Tensor, " positions"] | None
    holes: Int64[Tensor, " holes"] | None
    row: int
    plane: int


class Tiling(NamedTuple):
    """How a pass goes over the positions.

    Attributes:
        rows, columns: of a tile, powers of two.
        step: the stride along columns, in vectors; 1 or 2 if there are several columns.
        stride: along rows.
    """

    rows: int
    columns: int
    step: int
    stride: int


class Geometry(NamedTuple):
    """A convolution apart from its weights; pairs are (rows, columns)."""

    in_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    image: tuple[int, int]

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        rows, columns = (
            (size + 2 * pad - kernel) // step + 1
            for size, pad, kernel, step in zip(
                self.image, self.padding, self.kernel, self.stride, strict=True
            )
        )
        return rows, columns


class Layouts(NamedTuple):
    """What follows from the geometry alone.

    Attributes:
        columns_as_lanes: whether the numbers of a vector are neighbours in a row of one image,
            rather than one number of each of as many images.
        source: layout of the input in the forward pass.
        output: layout of the output.
        gradient: layout of the output's gradient, with zeros around it.
        own: layout of the input and of its gradient in the backward pass.
        forward, backward: how the passes go over the positions.
        size: rows of the output, and vectors in a row.
        grids: of each class of input positions, those that meet the same taps: place of the first,
            number of rows and of columns.
        down, right: what each tap adds to a place, along rows and along columns.
        forward_reach, backward_reach: numbers of one channel that one tile reads, by all its taps.
    """

    columns_as_lanes: bool
    source: Layout
    output: Layout
    gradient: Layout
    own: Layout
    forward: Tiling
    backward: Tiling
    size: tuple[int, int]
    grids: Int64[Tensor, "classes 3"]
    down: "Taps"
    right: "Taps"
    forward_reach: int
    backward_reach: int


class Taps(NamedTuple):
    """Along rows or along columns, for each tap of the kernel.

    Attributes:
        classes: the class of input positions that it meets: their remainder after division by the
            stride, the padding aside.
        num_classes: that exist.
        forward: from the place of an output position to that of the input position, in `source`.
        backward: from a position's place in its class to that of the output position, in
            `gradient`.
    """

    classes: NDArray[np.int64]
    num_classes: int
    forward: NDArray[np.int64]
    backward: NDArray[np.int64]


class _Axis(NamedTuple):
    """Along rows or along columns: how input positions meet taps.

    Attributes:
        remainders: the class of input positions that each tap meets.
        shifts: from a position's number in its class to the output position, for each tap.
        margin: zeros before the output's gradient.
        image_size, output_size, gradient_size: with all that tiles touch.
        class_sizes: input positions in each class.
        forward_reach, backward_reach: positions that one tile reads, by all its taps.
    """

    remainders: NDArray[np.int64]
    shifts: NDArray[np.int64]
    margin: int
    image_size: int
    output_size: int
    gradient_size: int
    class_sizes: list[int]
    forward_reach: int
    backward_reach: int


def images_as_lanes(geometry: Geometry) -> Layouts:
    """Layouts in which a vector holds one number of each of several images: any geometry."""
    _, kernel, stride, padding, image = geometry
    forward_tile = _full_tile(MOST_SUMS, geometry.output[1], stride[1])
    backward_tile = _full_tile(MOST_PAIRS, -(-image[1] // stride[1]), stride[1])
    down, right = (
        _axis(image[i], geometry.output[i], kernel[i], stride[i], padding[i],
              forward_tile[i], backward_tile[i])
        for i in range(2)
    )  # fmt: skip
    source = _blocks(image, padding, down.image_size, right.image_size)
    gradient_size = down.gradient_size, right.gradient_size
    gradient = _blocks(geometry.output, (down.margin, right.margin), *gradient_size)
    taps = np.arange(kernel[0]) * source.row, np.arange(kernel[1]) * LANES
    return Layouts(
        columns_as_lanes=False,
        source=source,
        output=_blocks(geometry.output, (0, 0), down.output_size, right.output_size),
        gradient=gradient,
        own=source,
        forward=Tiling(*forward_tile, stride[1], stride[0]),
        backward=Tiling(*backward_tile, stride[1], stride[0]),
        size=geometry.output,
        grids=_grids(
            [(padding[0] + i) * source.row for i in range(stride[0])],
            [(padding[1] + i) * LANES for i in range(stride[1])],
            down.class_sizes,
            right.class_sizes,
        ),
        down=Taps(down.remainders, len(down.class_sizes), taps[0], down.shifts * gradient.row),
        right=Taps(right.remainders, len(right.class_sizes), taps[1], right.shifts * LANES),
        forward_reach=down.forward_reach * right.forward_reach * LANES,
        backward_reach=down.backward_reach * right.backward_reach * LANES,
    )


def fits_columns(geometry: Geometry) -> bool:
    """Whether columns can be lanes: rows of whole vectors, and no tap reaches beyond the zeros."""
    _, kernel, (_, stride), (_, padding), (_, width) = geometry
    out_width = geometry.output[1]
    if stride > 2 or width % (LANES * stride) or out_width % LANES:
        return False
    right = _axis(width, out_width, kernel[1], stride, padding, 1, 1)
    shifts, num_columns = right.shifts - right.margin, width // stride
    beyond = max(num_columns + shifts.max() - out_width, out_width - shifts.min() - num_columns)
    return max(-shifts.min(), shifts.max(), beyond) <= LANES


def columns_as_lanes(geometry: Geometry) -> Layouts:
    """Layouts in which a vector holds neighbours of a row, where `fits_columns`.

    The columns of a class lie side by side, with a vector of zeros before, between and after them.
    """
    _, kernel, stride, padding, image = geometry
    height, width = geometry.output
    num_columns = image[1] // stride[1]  # of a class
    class_heights = [-(-(image[0] - i) // stride[0]) for i in range(min(stride[0], image[0]))]
    forward_tile = _whole_tile(MOST_SUMS, [height], width // LANES)
    backward_tile = _whole_tile(MOST_PAIRS, class_heights, num_columns // LANES)
    down = _axis(
        image[0], height, kernel[0], stride[0], padding[0], forward_tile[0], backward_tile[0]
    )
    right = _axis(image[1], width, kernel[1], stride[1], padding[1], 1, 1)
    shifts = right.shifts - right.margin
    pitch = num_columns + LANES  # from one class to the next
    source = _rows(image[0], down.image_size, padding[0], pitch, stride[1])
    gradient = _rows(height, down.gradient_size, down.margin, width + LANES, 1)
    plain = stride[1] == 1
    own = _as_it_lies(image) if plain else source
    first_row = 0 if plain else padding[0]
    return Layouts(
        columns_as_lanes=True,
        source=source,
        output=_as_it_lies(geometry.output),
        gradient=gradient,
        own=own,
        forward=Tiling(*forward_tile, 1, stride[0]),
        backward=Tiling(*backward_tile, 1, stride[0]),
        size=(height, width // LANES),
        grids=_grids(
            [(first_row + i) * own.row for i in range(stride[0])],
            [0 if plain else LANES + i * pitch for i in range(stride[1])],
            class_heights,
            [num_columns // LANES] * stride[1],
        ),
        down=Taps(
            down.remainders,
            len(class_heights),
            np.arange(kernel[0]) * source.row,
            down.shifts * gradient.row,
        ),
        right=Taps(
            right.remainders, stride[1], LANES + right.remainders * pitch - shifts, LANES + shifts
        ),
        forward_reach=down.forward_reach * _touched(forward_tile) * stride[1],
        backward_reach=down.backward_reach * _touched(backward_tile),
    )


def _touched(tile: tuple[int, int]) -> int:
    """Numbers in the vectors of a row that a tile and its neighbours to either side touch."""
    return (tile[1] + 2) * LANES


def _as_it_lies(image: tuple[int, int]) -> Layout:
    return Layout(None, None, image[1], image[0] * image[1])


def _rows(height: int, rows: int, first: int, pitch: int, num_classes: int) -> Layout:
    """Places are those of the first column of each row, in its first class."""
    row = pitch * num_classes
    plane = (rows * row // LANES + 1 | 1) * LANES  # an odd number of vectors, as in `_blocks`
    places = (np.arange(height) + first) * row + LANES
    own_classes = np.arange(num_classes)[:, None] * pitch
    filled = (own_classes + np.arange(0, pitch - LANES, LANES)).reshape(-1)
    return _layout(places, places[:, None] + filled, row, plane)


def _layout(places: NDArray[np.int64], filled: NDArray[np.int64], row: int, plane: int) -> Layout:
    holes = np.setdiff1d(np.arange(0, plane, LANES), filled)
    return Layout(torch.from_numpy(places), torch.from_numpy(holes), row, plane)


def _axis(
    size: int, output: int, kernel: int, stride: int, padding: int, forward: int, backward: int
) -> _Axis:
    taps = np.arange(kernel)
    remainders = (taps - padding) % stride
    shifts = (remainders + padding - taps) // stride
    margin = max(0, -int(shifts.min()))
    class_sizes = [-(-(size - remainder) // stride) for remainder in range(min(stride, size))]
    tiles_end = [-(-count // backward) * backward for count in class_sizes]
    output_size = -(-output // forward) * forward
    last_read = (output_size - 1) * stride + kernel
    last_written = max(
        padding + remainder + (end - 1) * stride + 1 for remainder, end in enumerate(tiles_end)
    )
    return _Axis(
        remainders,
        shifts + margin,
        margin,
        max(last_read, last_written, size + padding),
        output_size,
        max(max(tiles_end) + int(shifts.max()) + margin, output + margin),
        class_sizes,
        (forward - 1) * stride + kernel,
        backward + int(shifts.max() - shifts.min()),
    )


def _full_tile(positions: int, width: int, stride: int) -> tuple[int, int]:
    """A tile of so many positions; of one column where the stride is one of those not compiled."""
    columns = min(positions, 1 << math.ceil(math.log2(width))) if stride <= 2 else 1
    return positions // columns, columns


def _whole_tile(vectors: int, heights: list[int], width: int) -> tuple[int, int]:
    """A tile, at most so many vectors, with which heights and width are covered exactly."""
    columns = math.gcd(width, vectors)  # which is a power of two
    return math.gcd(*heights, vectors // columns), columns


def _blocks(image: tuple[int, int], origin: tuple[int, int], rows: int, columns: int) -> Layout:
    row = columns * LANES
    # An odd number of positions, so that the same place of many channels falls into many sets of
    # the cache rather than one.
    plane = (rows * columns | 1) * LANES
    height, width = image
    places = (np.arange(height)[:, None] + origin[0]) * row
    places = (places + (np.arange(width)[None, :] + origin[1]) * LANES).reshape(-1)
    return _layout(places, places, row, plane)


def _grids(
    rows: list[int], columns: list[int], heights: list[int], widths: list[int]
) -> Int64[Tensor, "classes 3"]:
    grids = [
        (row + column, height, width)
        for row, height in zip(rows, heights, strict=False)
        for column, width in zip(columns, widths, strict=False)
    ]
    return torch.from_numpy(np.array(grids, np.int64))
