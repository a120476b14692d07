"""The loops that carry all the work of a sparse net, written as LLVM vectors.

One vector holds one 32-bit number of each of 16 images (its lanes). A tile is a few vectors; its
sums lie in registers while a loop runs over the non-zero weights: one load and one multiply-add
each, and no gather instruction anywhere. The auto-vectoriser would keep the sums in memory.

How many vectors a tile has is a constant of the compiled code, and so is handed over as the length
of a tuple, `vectors`, which is part of its type. An array of features is [feature][lane]: feature j
of a tile of T = 16 len(vectors) lanes starts at j T.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

LANES = 16
FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
SHUFFLE = ir.VectorType(ir.IntType(32), LANES)
INDEX = ir.IntType(64)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)


class Argument(NamedTuple):
    """An argument of an intrinsic: an array's data, or a number, and its Numba type."""

    value: Any
    kind: Any


def arguments_of(context, builder, signature, values) -> list[Argument]:
    """Arrays become pointers to their data, whole numbers 64-bit integers, others 32-bit floats."""
    prepared = []
    for kind, value in zip(signature.args, values, strict=True):
        if isinstance(kind, types.Array):
            value = context.make_array(kind)(context, builder, value).data  # noqa: PLW2901
        elif isinstance(kind, types.Integer | types.Boolean):
            value = context.cast(builder, value, kind, types.int64)  # noqa: PLW2901
        elif isinstance(kind, types.Float):
            value = context.cast(builder, value, kind, types.float32)  # noqa: PLW2901
        prepared.append(Argument(value, kind))
    return prepared


def _number_of(vectors) -> int:
    if not isinstance(vectors, types.BaseTuple):
        raise TypingError("vectors must be a tuple, whose length says how many vectors a tile has")
    return len(vectors)


def _place(builder, array: Argument, index):
    """The address of 16 numbers from an index on."""
    return builder.bitcast(builder.gep(array.value, [index]), VECTOR.as_pointer())


def load(builder, array: Argument, index):
    return builder.load(_place(builder, array, index), align=4)  # rows need not be aligned


def store(builder, vector, array: Argument, index) -> None:
    builder.store(vector, _place(builder, array, index), align=4)


def element(context, builder, array: Argument, index):
    """One whole number of an array, as a 64-bit integer."""
    number = builder.load(builder.gep(array.value, [index]))
    return context.cast(builder, number, array.kind.dtype, types.int64)


def plus(builder, index, constant: int):
    return builder.add(index, ir.Constant(INDEX, constant))


def splat(builder, number):
    undefined = ir.Constant(VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(SHUFFLE, [0] * LANES))


def multiply_add(builder, a, b, c):
    # "fmuladd" fuses where the processor can; "fma" would call a slow function where it cannot.
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v16f32")
    return builder.call(function, [a, b, c])


def _sum(builder, vector):
    kind = ir.FunctionType(FLOAT, [FLOAT, VECTOR])
    name = "llvm.vector.reduce.fadd.v16f32"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [ir.Constant(FLOAT, 0.0), vector], fastmath=("reassoc",))


def _for_each_nonzero(context, builder, count, columns, start, stop, source_start, body) -> None:
    """Calls body(k, index of the source feature's first lane) for k from start to stop."""
    one = ir.Constant(INDEX, 1)
    with cgutils.for_range_slice(builder, start.value, stop.value, one, INDEX) as (k, _):
        column = element(context, builder, columns, k)
        offset = builder.mul(column, ir.Constant(INDEX, count * LANES))
        body(k, builder.add(source_start.value, offset))


def _gathered_sums(context, builder, count, rest: list[Argument]) -> list:
    """The vectors of sum over k of values[k] * source feature columns[k]."""
    values, columns, start, stop, source, source_start = rest
    sums = [cgutils.alloca_once(builder, VECTOR) for _ in range(count)]  # LLVM finds them registers
    for total in sums:
        builder.store(ZERO, total)

    def body(k, base) -> None:
        weight = splat(builder, builder.load(builder.gep(values.value, [k])))
        for v, total in enumerate(sums):
            lanes = load(builder, source, plus(builder, base, v * LANES))
            builder.store(multiply_add(builder, weight, lanes, builder.load(total)), total)

    _for_each_nonzero(context, builder, count, columns, start, stop, source_start, body)
    return [builder.load(total) for total in sums]


def _zero_where_not_positive(builder, condition, gate, vector):
    """Zero in the lanes where the condition holds and gate <= 0; NaN compares false and stays."""
    gated = builder.fcmp_ordered("<=", gate, ZERO)
    both = builder.select(condition, gated, ir.Constant(gated.type, [0] * LANES))
    return builder.select(both, ZERO, vector)


def _is_true(builder, flag: Argument):
    return builder.icmp_unsigned("!=", flag.value, ir.Constant(INDEX, 0))


@intrinsic
def forward_row(
    typing, vectors, out, out_start, scale, bias, rectify,
    values, columns, start, stop, source, source_start,
):  # fmt: skip
    """One output unit: out = scale * (sum over k of values[k] * source[columns[k]]) + bias.

    For k in start..stop and all lanes of a tile; rectified where the flag says so.
    """
    count = _number_of(vectors)
    signature = types.void(
        vectors, out, out_start, scale, bias, rectify,
        values, columns, start, stop, source, source_start,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        _, out, out_start, scale, bias, rectify, *rest = prepared
        sums = _gathered_sums(context, builder, count, rest)
        factor, addend = splat(builder, scale.value), splat(builder, bias.value)
        condition = _is_true(builder, rectify)
        for v, total in enumerate(sums):
            result = multiply_add(builder, factor, total, addend)
            result = _zero_where_not_positive(builder, condition, result, result)
            store(builder, result, out, plus(builder, out_start.value, v * LANES))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def backward_column(
    typing, vectors, out, out_start, scale, gate, gate_start, rectified,
    values, rows, start, stop, source, source_start,
):  # fmt: skip
    """The gradient of one input unit: out = scale * (sum over k of values[k] * source[rows[k]]).

    For k in start..stop and all lanes of a tile; zero where the unit was rectified (gate <= 0).
    """
    count = _number_of(vectors)
    signature = types.void(
        vectors, out, out_start, scale, gate, gate_start, rectified,
        values, rows, start, stop, source, source_start,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        _, out, out_start, scale, gate, gate_start, rectified, *rest = prepared
        sums = _gathered_sums(context, builder, count, rest)
        factor, condition = splat(builder, scale.value), _is_true(builder, rectified)
        for v, total in enumerate(sums):
            unit = load(builder, gate, plus(builder, gate_start.value, v * LANES))
            result = builder.fmul(factor, total)
            result = _zero_where_not_positive(builder, condition, unit, result)
            store(builder, result, out, plus(builder, out_start.value, v * LANES))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def weight_gradients(
    typing, vectors, out, total_out, row, scale, gradient, gradient_start,
    columns, start, stop, source, source_start,
):  # fmt: skip
    """The gradients of one output unit's weights: out[k] += scale * <gradient, source[columns[k]]>.

    For k in start..stop, over all lanes of a tile. The sum of the gradient over the lanes, which is
    that of the unit's bias, is added to total_out[row].
    """
    count = _number_of(vectors)
    signature = types.void(
        vectors, out, total_out, row, scale, gradient, gradient_start,
        columns, start, stop, source, source_start,
    )  # fmt: skip

    def add(builder, array: Argument, index, number) -> None:
        place = builder.gep(array.value, [index])
        builder.store(builder.fadd(builder.load(place), number), place)

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        _, out, total_out, row, scale, gradient, gradient_start, *rest = prepared
        columns, start, stop, source, source_start = rest
        factor, over_lanes, kept = splat(builder, scale.value), ZERO, []
        for v in range(count):
            lanes = load(builder, gradient, plus(builder, gradient_start.value, v * LANES))
            over_lanes = builder.fadd(over_lanes, lanes)
            kept.append(builder.fmul(factor, lanes))
        add(builder, total_out, row.value, _sum(builder, over_lanes))

        def body(k, base) -> None:
            # Two chains of sums, since each step of one would wait for the step before.
            chains = [ZERO, ZERO]
            for v, factor in enumerate(kept):
                lanes = load(builder, source, plus(builder, base, v * LANES))
                chains[v % 2] = multiply_add(builder, factor, lanes, chains[v % 2])
            add(builder, out, k, _sum(builder, builder.fadd(*chains)))

        _for_each_nonzero(context, builder, count, columns, start, stop, source_start, body)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def transpose_block(
    typing, out, out_start, out_stride, source, rows, rows_start, row_length, column
):
    """out[out_start + c out_stride + r] = source[rows[rows_start + r] row_length + column + c].

    For a block of 16 rows r and 16 columns c, in registers.
    """
    signature = types.void(out, out_start, out_stride, source, rows, rows_start, row_length, column)

    def generate(context, builder, signature, arguments):
        prepared = arguments_of(context, builder, signature, arguments)
        out, out_start, out_stride, source, rows, rows_start, row_length, column = prepared
        block = []
        for r in range(LANES):
            row = element(context, builder, rows, plus(builder, rows_start.value, r))
            start = builder.add(builder.mul(row, row_length.value), column.value)
            block.append(load(builder, source, start))
        for c, vector in enumerate(transposed(builder, block)):
            offset = builder.mul(out_stride.value, ir.Constant(INDEX, c))
            store(builder, vector, out, builder.add(out_start.value, offset))
        return context.get_dummy_value()

    return signature, generate


def transposed(builder, block: list) -> list:
    """A 16 x 16 block with rows and columns exchanged, by swaps of ever larger sub-blocks."""
    block = list(block)
    distance = 1
    while distance < LANES:
        upper = [lane - distance + LANES if lane & distance else lane for lane in range(LANES)]
        lower = [lane + LANES if lane & distance else lane + distance for lane in range(LANES)]
        for r in range(LANES):
            if not r & distance:
                pair = block[r], block[r + distance]
                for place, lanes in ((r, upper), (r + distance, lower)):
                    block[place] = builder.shuffle_vector(*pair, ir.Constant(SHUFFLE, lanes))
        distance *= 2
    return block
