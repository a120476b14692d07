"""The loops of a sparse linear layer over one tile of images, written as LLVM vectors.

As in `_vectors`, a vector holds one number of each of 16 images, and a tile is as many vectors as
the tuple `vectors` is long. The tile's features lie [feature][lane] in scratch memory; images and
gradients are plain rows outside.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from wider.native._vectors import (
    FLOAT,
    INDEX,
    LANES,
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

TOGETHER = 4  # non-zeros whose sums over the lanes are formed together, for few shuffles
BIT = ir.IntType(1)
WHOLE = ir.VectorType(ir.IntType(32), LANES)
FLAGS = ir.VectorType(BIT, LANES)


def _number(constant: int):
    return ir.Constant(INDEX, constant)


def _same_in_all_lanes(builder, value, kind):
    undefined = ir.Constant(kind, ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(WHOLE, [0] * LANES))


def _first_lanes(builder, count):
    """A flag for each lane, set in the first `count` of them."""
    limit = _same_in_all_lanes(builder, builder.trunc(count, ir.IntType(32)), WHOLE)
    return builder.icmp_signed("<", ir.Constant(WHOLE, list(range(LANES))), limit)


def _smaller(builder, a, b):
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _address(builder, array: Argument, index, kind):
    return builder.bitcast(builder.gep(array.value, [index]), kind.as_pointer())


def _call(builder, name: str, result, arguments: list):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _load_first(builder, array: Argument, index, flags, kind=VECTOR):
    """16 numbers, of which only the flagged are read; the others are zero."""
    name = "llvm.masked.load.v16f32.p0" if kind is VECTOR else "llvm.masked.load.v16i32.p0"
    nothing = ir.Constant(kind, [0] * LANES)
    alignment = ir.Constant(ir.IntType(32), 4)
    place = _address(builder, array, index, kind)
    return _call(builder, name, kind, [place, alignment, flags, nothing])


def _store_first(builder, vector, array: Argument, index, flags) -> None:
    """Stores the flagged lanes only."""
    place = _address(builder, array, index, VECTOR)
    alignment = ir.Constant(ir.IntType(32), 4)
    name = "llvm.masked.store.v16f32.p0"
    _call(builder, name, ir.VoidType(), [vector, place, alignment, flags])


@intrinsic
def lanes_from_rows(
    typing, out, out_start, out_stride, source, source_start, row_stride, num_rows, num_columns,
    totals, totals_start,
):  # fmt: skip
    """out[out_start + c out_stride + r] = source[source_start + r row_stride + c].

    For up to 16 rows r and up to 16 columns c; whatever is missing of 16 by 16 becomes zero. The
    sum of each column is added to totals[totals_start + c], unless `totals` is None.
    """
    signature = types.void(
        out, out_start, out_stride, source, source_start, row_stride, num_rows, num_columns,
        totals, totals_start,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        out, out_start, out_stride, source, source_start, row_stride, *rest = prepared
        num_rows, num_columns, totals, totals_start = rest
        flags, block = _first_lanes(builder, num_columns.value), []
        last = builder.sub(num_rows.value, _number(1))
        for r in range(LANES):
            row = _smaller(builder, _number(r), last)
            start = builder.add(source_start.value, builder.mul(row, row_stride.value))
            exists = builder.icmp_signed("<", _number(r), num_rows.value)
            numbers = _load_first(builder, source, start, flags)
            block.append(builder.select(exists, numbers, ZERO))
        if isinstance(totals.kind, types.Array):
            sums = block
            while len(sums) > 1:
                sums = [builder.fadd(a, b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
            so_far = _load_first(builder, totals, totals_start.value, flags)
            result = builder.fadd(so_far, sums[0])
            _store_first(builder, result, totals, totals_start.value, flags)
        place = out_start.value
        for vector in transposed(builder, block):
            store(builder, vector, out, place)
            place = builder.add(place, out_stride.value)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def prefetch(typing, array, index):
    """Asks for the line of an array's number at an index, into the second cache."""
    signature = types.void(array, index)

    def generate(context, builder, signature, arguments):
        array, index = arguments_of(context, builder, signature, arguments)
        place = _address(builder, array, index.value, ir.IntType(8))
        to_read, nearness, data = (ir.Constant(ir.IntType(32), number) for number in (0, 2, 1))
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), [place, to_read, nearness, data])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def rows_from_lanes(
    typing, out, out_start, row_stride, num_rows, num_columns, source, source_start, source_stride
):
    """out[out_start + r row_stride + c] = source[source_start + c source_stride + r].

    The inverse of `lanes_from_rows`; nothing else of `out` is written.
    """
    signature = types.void(
        out, out_start, row_stride, num_rows, num_columns, source, source_start, source_stride
    )

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        out, out_start, row_stride, num_rows, num_columns, source, source_start, stride = prepared
        block, place = [], source_start.value
        for _ in range(LANES):
            block.append(load(builder, source, place))
            place = builder.add(place, stride.value)
        flags = _first_lanes(builder, num_columns.value)
        last = builder.sub(num_rows.value, _number(1))
        # Rows that are missing are written to the last one's place, which comes after them.
        for r, vector in reversed(list(enumerate(transposed(builder, block)))):
            row = _smaller(builder, _number(r), last)
            start = builder.add(out_start.value, builder.mul(row, row_stride.value))
            _store_first(builder, vector, out, start, flags)
        return context.get_dummy_value()

    return signature, generate


def _sums(builder, count: int, continued: Argument, out: Argument, start, first) -> list:
    """A sum for each vector: what `out` holds there if it is continued, or else a first value."""
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]  # LLVM: registers
    condition = builder.icmp_unsigned("!=", continued.value, _number(0))
    with builder.if_else(condition) as (so_far, afresh):
        with so_far:
            for v, total in enumerate(sums):
                builder.store(load(builder, out, plus(builder, start, v * LANES)), total)
        with afresh:
            for total in sums:
                builder.store(first, total)
    return sums


@intrinsic
def linear_row(
    typing, vectors, out, out_start, continued, bias,
    values, columns, start, stop, source,
):  # fmt: skip
    """One output unit: out = bias + sum over k of values[k] * source feature columns[k].

    For k in start..stop and all lanes of a tile; added to `out` in place of the bias where it is
    continued.
    """
    count = len(vectors)
    signature = types.void(
        vectors, out, out_start, continued, bias, values, columns, start, stop, source
    )

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        _, out, out_start, continued, bias, values, columns, start, stop, source = prepared
        first = splat(builder, bias.value)
        sums = _sums(builder, count, continued, out, out_start.value, first)
        one = _number(1)
        with cgutils.for_range_slice(builder, start.value, stop.value, one, INDEX) as (k, _):
            weight = splat(builder, builder.load(builder.gep(values.value, [k])))
            column = element(context, builder, columns, k)
            base = builder.mul(column, _number(count * LANES))
            for v, total in enumerate(sums):
                lanes = load(builder, source, plus(builder, base, v * LANES))
                builder.store(multiply_add(builder, weight, lanes, builder.load(total)), total)
        for v, total in enumerate(sums):
            store(builder, builder.load(total), out, plus(builder, out_start.value, v * LANES))
        return context.get_dummy_value()

    return signature, generate


def _shuffled(builder, a, b, lanes: list[int]):
    kind = ir.VectorType(ir.IntType(32), len(lanes))
    return builder.shuffle_vector(a, b, ir.Constant(kind, lanes))


def _sums_over_lanes(builder, vectors: list) -> list:
    """The sum of each of four vectors over its lanes."""
    # Each stage adds the halves of pairs, within quarters of 4 lanes: (a, b) to a b a b, then
    # (a b a b, c d c d) to a b c d. Of these patterns a processor has shuffles of its own.
    for first_half in ((0, LANES, 1, LANES + 1), (0, 1, LANES, LANES + 1)):
        lower = [quarter + lane for quarter in range(0, LANES, 4) for lane in first_half]
        upper = [lane + 2 for lane in lower]
        vectors = [
            builder.fadd(_shuffled(builder, a, b, lower), _shuffled(builder, a, b, upper))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    (total,) = vectors
    for width in (8, 4):
        low, high = list(range(width)), list(range(width, 2 * width))
        total = builder.fadd(
            _shuffled(builder, total, total, low), _shuffled(builder, total, total, high)
        )
    lanes = [ir.Constant(ir.IntType(32), lane) for lane in range(TOGETHER)]
    return [builder.extract_element(total, lane) for lane in lanes]


def _sum_over_lanes(builder, vector):
    kind = ir.FunctionType(FLOAT, [FLOAT, VECTOR])
    name = "llvm.vector.reduce.fadd.v16f32"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [ir.Constant(FLOAT, 0.0), vector], fastmath=("reassoc",))


def _by_fours(builder, start, stop, product, add) -> None:
    """For k in start..stop: place, vector = product(k), then add(place, sum over the lanes)."""
    whole = builder.and_(builder.sub(stop, start), _number(-TOGETHER))
    middle, step = builder.add(start, whole), _number(TOGETHER)
    with cgutils.for_range_slice(builder, start, middle, step, INDEX) as (k, _):
        products = [product(plus(builder, k, q)) for q in range(TOGETHER)]
        totals = _sums_over_lanes(builder, [share for _, share in products])
        for (place, _), total in zip(products, totals, strict=True):
            add(place, total)
    with cgutils.for_range_slice(builder, middle, stop, _number(1), INDEX) as (k, _):
        place, share = product(k)
        add(place, _sum_over_lanes(builder, share))


@intrinsic
def linear_column(
    typing, vectors, wanted, out, continued, image, unit_start,
    weight_gradient, weights_continued, values, order, rows, start, stop, slopes,
):  # fmt: skip
    """One input unit: the gradient of its images, and of its weights.

    For k in start..stop, with g the tile of `slopes` of unit rows[k]:
    out = sum over k of values[order[k]] * g, and weight_gradient[order[k]] = <image, g>. One load
    of g serves both. Each is added to where it is continued; `out` is left alone where the tuple
    `wanted` is empty.
    """
    count, has_out = len(vectors), bool(len(wanted))
    signature = types.void(
        vectors, wanted, out, continued, image, unit_start,
        weight_gradient, weights_continued, values, order, rows, start, stop, slopes,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        _, _, out, continued, image, unit_start, weight_gradient, *rest = prepared
        weights_continued, values, order, rows, start, stop, slopes = rest
        adds = builder.icmp_unsigned("!=", weights_continued.value, _number(0))
        places = [plus(builder, unit_start.value, v * LANES) for v in range(count)]
        pixels = [load(builder, image, place) for place in places]
        sums = []
        if has_out:
            sums = _sums(builder, count, continued, out, unit_start.value, ZERO)

        def product(k):
            """Adds to the sums; returns the place of the weight and the vector of its gradient."""
            place = element(context, builder, order, k)
            base = builder.mul(element(context, builder, rows, k), _number(count * LANES))
            weight = splat(builder, builder.load(builder.gep(values.value, [place])))
            share = ZERO
            for v, pixel in enumerate(pixels):
                lanes = load(builder, slopes, plus(builder, base, v * LANES))
                share = multiply_add(builder, pixel, lanes, share)
                if has_out:
                    total = builder.load(sums[v])
                    builder.store(multiply_add(builder, weight, lanes, total), sums[v])
            return place, share

        def add(place, number) -> None:
            address = builder.gep(weight_gradient.value, [place])
            so_far = builder.select(adds, builder.load(address), ir.Constant(FLOAT, 0.0))
            builder.store(builder.fadd(so_far, number), address)

        _by_fours(builder, start.value, stop.value, product, add)
        if has_out:
            for place, total in zip(places, sums, strict=True):
                store(builder, builder.load(total), out, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def gathered_dot(typing, values, columns, start, stop, source, source_start):
    """The sum over k in start..stop of values[k] * source[source_start + columns[k]]."""
    signature = types.float32(values, columns, start, stop, source, source_start)

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        values, columns, start, stop, source, source_start = prepared
        base = builder.gep(source.value, [source_start.value])
        pointers = ir.VectorType(base.type, LANES)
        bases = _same_in_all_lanes(builder, base, pointers)
        total = cgutils.alloca_once(builder, VECTOR)
        builder.store(ZERO, total)
        step = _number(LANES)
        with cgutils.for_range_slice(builder, start.value, stop.value, step, INDEX) as (k, _):
            left = _smaller(builder, builder.sub(stop.value, k), step)
            flags = _first_lanes(builder, left)
            weights = _load_first(builder, values, k, flags)
            places = _load_first(builder, columns, k, flags, WHOLE)
            addresses = builder.gep(bases, [places], source_etype=FLOAT)
            alignment = ir.Constant(ir.IntType(32), 4)
            numbers = _call(
                builder, "llvm.masked.gather.v16f32.v16p0", VECTOR,
                [addresses, alignment, flags, ZERO],
            )  # fmt: skip
            builder.store(multiply_add(builder, weights, numbers, builder.load(total)), total)
        return _sum_over_lanes(builder, builder.load(total))

    return signature, generate
