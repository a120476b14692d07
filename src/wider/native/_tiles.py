"""The loops of a sparse convolution over one tile of positions, written as LLVM vectors.

As in `_vectors`, a vector holds one number of each of 16 images. Here a plane of numbers is
[row][column][lane], with zeros around the image wide enough for every tap of the kernel, so that no
loop asks whether a position lies inside. A tile is a block of positions whose sums lie in registers
while a loop runs over the non-zero weights.

The tile's rows and columns, and the step from one of its positions to the next, are constants of
the compiled code, and so are handed over as lengths of tuples.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from wider.native._vectors import (
    INDEX,
    LANES,
    SHUFFLE,
    VECTOR,
    ZERO,
    Argument,
    arguments_of,
    element,
    load,
    multiply_add,
    plus,
    splat,
    store,
    transposed,
)


def _positions(builder, rows: int, columns: int, start, row_stride, step: int):
    """The index of each position's first lane, row by row."""
    for _ in range(rows):
        for column in range(columns):
            yield plus(builder, start, column * step * LANES)
        start = builder.add(start, row_stride)


def _sums(builder, continued: Argument, out: Argument, places: list, first) -> list:
    """A sum for each place: what `out` holds there if it is continued, or else a first value."""
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in places]  # LLVM finds them registers
    condition = builder.icmp_unsigned("!=", continued.value, ir.Constant(INDEX, 0))
    with builder.if_else(condition) as (so_far, afresh):
        with so_far:
            for place, total in zip(places, sums, strict=True):
                builder.store(load(builder, out, place), total)
        with afresh:
            for total in sums:
                builder.store(first, total)
    return sums


@intrinsic
def forward_tile(
    typing, rows, columns, step, out, out_start, out_row, continued, bias,
    values, offsets, start, stop, source, source_start, source_row,
):  # fmt: skip
    """One output channel of a tile: out = bias + sum over k of values[k] * source at offsets[k].

    For k in start..stop; added to `out` in place of the bias where it is continued. `out_row` and
    `source_row` lead from one row of the tile to the next; `step` from one column of it to the next
    in the source.
    """
    height, width, stride = len(rows), len(columns), len(step)
    signature = types.void(
        rows, columns, step, out, out_start, out_row, continued, bias,
        values, offsets, start, stop, source, source_start, source_row,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        _, _, _, out, out_start, out_row, continued, bias, *rest = prepared
        values, offsets, start, stop, source, source_start, source_row = rest
        own = list(_positions(builder, height, width, out_start.value, out_row.value, 1))
        sums = _sums(builder, continued, out, own, splat(builder, bias.value))
        one = ir.Constant(INDEX, 1)
        with cgutils.for_range_slice(builder, start.value, stop.value, one, INDEX) as (k, _):
            weight = splat(builder, builder.load(builder.gep(values.value, [k])))
            base = builder.add(source_start.value, element(context, builder, offsets, k))
            places = _positions(builder, height, width, base, source_row.value, stride)
            for place, total in zip(places, sums, strict=True):
                lanes = load(builder, source, place)
                builder.store(multiply_add(builder, weight, lanes, builder.load(total)), total)
        for place, total in zip(own, sums, strict=True):
            store(builder, builder.load(total), out, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def backward_tile(
    typing, rows, columns, step, out, continued, image, image_start, image_row, weight_sums,
    values, offsets, start, stop, gradient, gradient_start, gradient_row,
):  # fmt: skip
    """One input channel of a tile: its gradient, and its share of the gradients of its weights.

    For k in start..stop, with g the tile of `gradient` at offsets[k]:
    out = sum over k of values[k] * g, and weight_sums[k] += sum over positions of image * g, lane
    by lane. One load of g serves both. `out` has the layout of `image`, and is added to where it is
    continued.
    """
    height, width, stride = len(rows), len(columns), len(step)
    signature = types.void(
        rows, columns, step, out, continued, image, image_start, image_row, weight_sums,
        values, offsets, start, stop, gradient, gradient_start, gradient_row,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        _, _, _, out, continued, image, image_start, image_row, weight_sums, *rest = prepared
        values, offsets, start, stop, gradient, gradient_start, gradient_row = rest
        own = list(_positions(builder, height, width, image_start.value, image_row.value, stride))
        pixels = [load(builder, image, place) for place in own]
        sums = _sums(builder, continued, out, own, ZERO)
        one = ir.Constant(INDEX, 1)
        with cgutils.for_range_slice(builder, start.value, stop.value, one, INDEX) as (k, _):
            weight = splat(builder, builder.load(builder.gep(values.value, [k])))
            base = builder.add(gradient_start.value, element(context, builder, offsets, k))
            sources = _positions(builder, height, width, base, gradient_row.value, 1)
            # Two chains, since each step of one would wait for the step before.
            share = builder.mul(k, ir.Constant(INDEX, LANES))
            chains = [load(builder, weight_sums, share), ZERO]
            for v, (place, total, pixel) in enumerate(zip(sources, sums, pixels, strict=True)):
                lanes = load(builder, gradient, place)
                builder.store(multiply_add(builder, weight, lanes, builder.load(total)), total)
                chains[v % 2] = multiply_add(builder, pixel, lanes, chains[v % 2])
            store(builder, builder.fadd(*chains), weight_sums, share)
        for place, total in zip(own, sums, strict=True):
            store(builder, builder.load(total), out, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def blocked_from_plain(typing, out, out_start, places, first, source, source_start, image_stride):
    """out[out_start + places[first + q] + r] = source[source_start + r image_stride + q].

    16 neighbouring numbers q of 16 images r become 16 vectors, put where `places` says.
    """
    signature = types.void(out, out_start, places, first, source, source_start, image_stride)

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        out, out_start, places, first, source, source_start, image_stride = prepared
        block, start = [], source_start.value
        for _ in range(LANES):
            block.append(load(builder, source, start))
            start = builder.add(start, image_stride.value)
        for q, vector in enumerate(transposed(builder, block)):
            place = element(context, builder, places, plus(builder, first.value, q))
            store(builder, vector, out, builder.add(out_start.value, place))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def plain_from_blocked(typing, out, out_start, image_stride, source, source_start, places, first):
    """out[out_start + r image_stride + q] = source[source_start + places[first + q] + r].

    The inverse of `blocked_from_plain`.
    """
    signature = types.void(out, out_start, image_stride, source, source_start, places, first)

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        out, out_start, image_stride, source, source_start, places, first = prepared
        block = []
        for q in range(LANES):
            place = element(context, builder, places, plus(builder, first.value, q))
            block.append(load(builder, source, builder.add(source_start.value, place)))
        start = out_start.value
        for vector in transposed(builder, block):
            store(builder, vector, out, start)
            start = builder.add(start, image_stride.value)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def split_columns(typing, out, even, odd, source, start):
    """32 neighbours from `start` on: the even ones to out[even...], the others to out[odd...]."""
    signature = types.void(out, even, odd, source, start)

    def generate(context, builder, signature, arguments):
        out, even, odd, source, start = arguments_of(context, builder, signature, arguments)
        pair = [load(builder, source, plus(builder, start.value, i * LANES)) for i in range(2)]
        for i, place in enumerate((even, odd)):
            lanes = ir.Constant(SHUFFLE, [2 * lane + i for lane in range(LANES)])
            store(builder, builder.shuffle_vector(*pair, lanes), out, place.value)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def merge_columns(typing, out, start, source, even, odd):
    """The inverse of `split_columns`."""
    signature = types.void(out, start, source, even, odd)

    def generate(context, builder, signature, arguments):
        out, start, source, even, odd = arguments_of(context, builder, signature, arguments)
        pair = [load(builder, source, place.value) for place in (even, odd)]
        for i in range(2):
            half = range(i * LANES // 2, (i + 1) * LANES // 2)
            lanes = ir.Constant(
                SHUFFLE, [place + LANES * odd for place in half for odd in range(2)]
            )
            place = plus(builder, start.value, i * LANES)
            store(builder, builder.shuffle_vector(*pair, lanes), out, place)
        return context.get_dummy_value()

    return signature, generate
