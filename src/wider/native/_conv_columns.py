"""Sparse convolution of images one by one, 16 neighbours of a row at a time.

No transposes, and one image's channels fit into the second cache. But taps to the left and right
read vectors that lie across two lines of the cache.
"""

# pyright: reportCallIssue=false
# (Numba gives intrinsics their first argument, which pyright takes for one of the call's.)

from wider.native._compiled import compiled
from wider.native._conv_kernels import backward_channels, forward_channels
from wider.native._tiles import merge_columns, split_columns
from wider.native._vectors import LANES


@compiled
def _to_rows(stride, out, layout, images, number):
    """Brings one image into rows; with a stride of 2, even columns before odd ones."""
    _, num_channels, height, width = images.shape
    plain = images.reshape(-1)
    for channel in range(num_channels):
        for row in range(height):
            start = ((number * num_channels + channel) * height + row) * width
            place = channel * layout.plane + layout.places[row]
            if stride == 1:
                source, target = plain[start : start + width], out[place : place + width]
                for column in range(width):
                    target[column] = source[column]
            else:
                odd = place + layout.row // 2
                for column in range(0, width // 2, LANES):
                    split_columns(out, place + column, odd + column, plain, start + 2 * column)


@compiled
def _from_rows(images, number, source, layout):
    """The inverse of `_to_rows` for a stride of 2."""
    _, num_channels, height, width = images.shape
    plain = images.reshape(-1)
    for channel in range(num_channels):
        for row in range(height):
            start = ((number * num_channels + channel) * height + row) * width
            place = channel * layout.plane + layout.places[row]
            odd = place + layout.row // 2
            for column in range(0, width // 2, LANES):
                merge_columns(plain, start + 2 * column, source, place + column, odd + column)


@compiled
def forward_pass(stride, result, tiling, images, source, layout, weights, bias, out_layout, size):
    """The convolution of images.

    Args:
        stride: along columns, 1 or 2.
        result: (images, output channels, rows, columns).
        tiling: of the output.
        images: (images, input channels, rows, columns).
        source: memory for one image in rows, zero wherever none lies.
        layout: of it.
        weights: by output channel.
        bias: of each output channel.
        out_layout: of one image of the result.
        size: rows of the output, and vectors in a row.
    """
    plain = result.reshape(-1)
    for image in range(len(images)):
        _to_rows(stride, source, layout, images, image)
        start = image * result.shape[1] * out_layout.plane
        forward_channels(tiling, plain, start, out_layout, size, bias, weights, source, layout)


@compiled
def backward_pass(
    stride, result, tiling, grids, images, image, layout, slopes, gradient, gradient_layout,
    weights, weight_sums, out,
):  # fmt: skip
    """The gradients of images, and of the weights lane by lane.

    Args:
        stride: along columns, 1 or 2.
        result: the gradients of the images.
        tiling: of each class.
        grids: of each class: place of the first position, number of rows, of vectors in a row.
        images: (images, input channels, rows, columns).
        image: memory for one image in rows; none where it is used as it lies.
        layout: of it.
        slopes: the gradient of the output, (images, output channels, rows, columns).
        gradient: memory for one image of it in rows, zero wherever none lies.
        gradient_layout: of it.
        weights: by group of output channels, class and input channel.
        weight_sums: 16 for each non-zero, to which the gradients are added.
        out: memory for the gradient of one image, in the layout of the image; none where it is
            written to its place at once.
    """
    plain_images, plain_result = images.reshape(-1), result.reshape(-1)
    as_it_lies = len(image) == 0
    for number in range(len(images)):
        _to_rows(1, gradient, gradient_layout, slopes, number)
        if not as_it_lies:
            _to_rows(stride, image, layout, images, number)
        start = number * images.shape[1] * layout.plane if as_it_lies else 0
        for own_class in range(len(grids)):
            backward_channels(
                tiling,
                plain_result if as_it_lies else out,
                plain_images if as_it_lies else image,
                start,
                layout,
                grids[own_class],
                own_class,
                weight_sums,
                weights,
                gradient,
                gradient_layout,
            )
        if not as_it_lies:
            _from_rows(result, number, out, layout)
