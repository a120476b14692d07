/* A sparse linear layer, out = images W^T + bias, on tiles of images.

   The features of a tile lie [feature][lane], so that images are the lanes of vectors; images and
   gradients outside are plain rows. A tile has `vectors` vectors of lanes. */

#include "scratch.h"
#include "shares.h"
#include "vectors.h"

/* ---- Rows of images to features of lanes, and back ---- */

/* LANES rows at most and LANES columns at most; what is missing becomes zero. The sum of each
   column is added to `totals`, unless that is NULL. */
INLINE void block_to_lanes(float *out, int64_t out_stride, const float *rows, int64_t stride,
                           int64_t height, int64_t width, float *totals) {
    vector block[LANES];
    if (height == LANES && width == LANES) {
        UNROLLED for (int r = 0; r < LANES; r++) block[r] = load(rows + r * stride);
    } else {
        for (int r = 0; r < LANES; r++)
            block[r] = r < height ? load_first(rows + r * stride, width) : ZERO;
    }
    if (totals) {
        vector sums[LANES / 2];
        UNROLLED for (int r = 0; r < LANES / 2; r++) sums[r] = block[r] + block[r + LANES / 2];
        for (int half = LANES / 4; half; half /= 2)
            UNROLLED for (int r = 0; r < half; r++) sums[r] += sums[r + half];
        store_first(totals, load_first(totals, width) + sums[0], width);
    }
    transpose(block);
    UNROLLED for (int c = 0; c < LANES; c++) store(out + c * out_stride, block[c]);
}

INLINE void lanes_to_block(float *rows, int64_t stride, int64_t height, int64_t width,
                           const float *source, int64_t source_stride) {
    vector block[LANES];
    UNROLLED for (int c = 0; c < LANES; c++) block[c] = load(source + c * source_stride);
    transpose(block);
    if (height == LANES && width == LANES) {
        UNROLLED for (int r = 0; r < LANES; r++) store(rows + r * stride, block[r]);
    } else {
        for (int r = 0; r < height; r++) store_first(rows + r * stride, block[r], width);
    }
}

/* Some columns of a tile of rows, (num_rows, num_columns). */
static void to_tile(int64_t tile, float *out, const float *rows, int64_t num_rows,
                    int64_t num_columns, int64_t first_row, int64_t first_column,
                    int64_t stop_column, float *totals) {
    /* Along LANES rows at a time, which the processor fetches ahead of the loop. */
    for (int64_t lane = 0; lane < tile; lane += LANES) {
        int64_t row = first_row + lane, height = smaller(LANES, num_rows - row);
        for (int64_t column = first_column; column < stop_column; column += LANES) {
            int64_t width = smaller(LANES, stop_column - column);
            float *place = out + (column - first_column) * tile + lane;
            if (height > 0)
                block_to_lanes(place, tile, rows + row * num_columns + column, num_columns, height,
                               width, totals ? totals + column : NULL);
            else
                for (int64_t feature = 0; feature < width; feature++)
                    store(place + feature * tile, ZERO);
        }
    }
}

static void from_tile(int64_t tile, float *rows, int64_t num_rows, int64_t num_columns,
                      int64_t first_row, int64_t first_column, int64_t stop_column,
                      const float *source) {
    for (int64_t lane = 0; lane < smaller(tile, num_rows - first_row); lane += LANES) {
        int64_t row = first_row + lane, height = smaller(LANES, num_rows - row);
        for (int64_t column = first_column; column < stop_column; column += LANES)
            lanes_to_block(rows + row * num_columns + column, num_columns, height,
                           smaller(LANES, stop_column - column),
                           source + (column - first_column) * tile + lane, tile);
    }
}

static int64_t whole_blocks(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

/* ---- Forward ---- */

struct linear_forward {
    float *out;             /* (images, outputs) */
    const float *images;    /* (images, inputs) */
    const float *values;    /* the non-zeros, row by row */
    const int32_t *columns; /* input unit of each */
    const int64_t *starts;  /* (outputs, blocks + 1): where a row's non-zeros in a block start */
    const float *bias;      /* of each output, or NULL */
    int64_t num_images, num_inputs, num_outputs, num_blocks, vectors, group, num_shares;
};

/* One output unit: out = first + sum over k of values[k] * source feature columns[k]. */
INLINE void linear_row(const int V, float *out, int continued, float first, const float *values,
                       const int32_t *columns, int64_t start, int64_t stop, const float *source) {
    vector sums[8];
    UNROLLED for (int v = 0; v < V; v++) sums[v] = continued ? load(out + v * LANES) : splat(first);
    for (int64_t k = start; k < stop; k++) {
        vector weight = splat(values[k]);
        const float *feature = source + (int64_t)columns[k] * (V * LANES);
        UNROLLED for (int v = 0; v < V; v++) sums[v] += weight * load(feature + v * LANES);
    }
    UNROLLED for (int v = 0; v < V; v++) store(out + v * LANES, sums[v]);
}

INLINE void forward_tiles(const int V, const struct linear_forward *job, int64_t first_unit,
                          int64_t stop_unit, float *source, float *result) {
    const int64_t tile = V * LANES, row_length = job->num_blocks + 1;
    for (int64_t image = 0; image < job->num_images; image += tile) {
        to_tile(tile, source, job->images, job->num_images, job->num_inputs, image, 0,
                job->num_inputs, NULL);
        for (int64_t first = first_unit; first < stop_unit; first += job->group) {
            int64_t stop = smaller(first + job->group, stop_unit);
            for (int64_t block = 0; block < job->num_blocks; block++)
                for (int64_t row = first; row < stop; row++) {
                    const int64_t *edge = job->starts + row * row_length + block;
                    linear_row(V, result + (row - first) * tile, block > 0,
                               job->bias ? job->bias[row] : 0, job->values, job->columns, edge[0],
                               edge[1], source);
                }
            from_tile(tile, job->out, job->num_images, job->num_outputs, image, first, stop,
                      result);
        }
    }
}

PUBLIC int linear_forward(const struct linear_forward *job, int64_t number) {
    struct share own = share_of(job->num_outputs, LANES, number, job->num_shares);
    int64_t tile = job->vectors * LANES, inputs = whole_blocks(job->num_inputs) * tile;
    float *source = scratch(inputs + whole_blocks(job->group) * tile);
    if (!source) return NO_MEMORY;
    WITH_VECTORS(job->vectors, forward_tiles, job, own.start, own.stop, source, source + inputs)
    return DONE;
}

/* ---- Forward for images too few to be the lanes of a vector ---- */

/* The sum over k of values[k] * source[columns[k]]; four chains, since each step of one would
   wait for the step before. */
INLINE float gathered_dot(const float *values, const int32_t *columns, int64_t start, int64_t stop,
                          const float *source) {
    float sums[4] = {0, 0, 0, 0};
    int64_t k = start;
    for (; k + 4 <= stop; k += 4)
        UNROLLED for (int i = 0; i < 4; i++) sums[i] += values[k + i] * source[columns[k + i]];
    for (; k < stop; k++) sums[0] += values[k] * source[columns[k]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

PUBLIC int linear_forward_few(const struct linear_forward *job, int64_t number) {
    struct share own = share_of(job->num_outputs, LANES, number, job->num_shares);
    for (int64_t row = own.start; row < own.stop; row++)
        for (int64_t image = 0; image < job->num_images; image++)
            job->out[image * job->num_outputs + row] =
                (job->bias ? job->bias[row] : 0) +
                gathered_dot(job->values, job->columns, job->starts[row], job->starts[row + 1],
                             job->images + image * job->num_inputs);
    return DONE;
}

/* ---- Backward ---- */

struct linear_backward {
    float *image_gradient;  /* (images, inputs), or NULL where it is not wanted */
    float *value_gradient;  /* of each non-zero */
    float *bias_gradient;   /* of each output, zeros to begin with */
    const float *gradient;  /* (images, outputs), of the layer's outputs */
    const float *images;    /* (images, inputs) */
    const float *values;    /* the non-zeros, row by row */
    const int32_t *order;   /* by block of outputs and, within, by input: places in `values` */
    const int32_t *rows;    /* in that order: output unit, from its block's first on */
    const int64_t *starts;  /* (blocks, inputs + 1), in that order */
    int64_t num_images, num_inputs, num_outputs, num_blocks, block, vectors, group, num_shares;
};

/* One input unit: the gradient of its images, and of its weights. With g the tile of slopes of
   unit rows[k]: out = sum over k of values[order[k]] * g, and value_gradient[order[k]] =
   <pixels, g>. One load of g serves both. Each is added to where it is continued. */
INLINE void linear_column(const int V, const int wanted, float *out, int continued,
                          const float *pixels, int adds, const struct linear_backward *job,
                          int64_t start, int64_t stop, const float *slopes) {
    vector sums[8];
    if (wanted)
        UNROLLED for (int v = 0; v < V; v++) sums[v] = continued ? load(out + v * LANES) : ZERO;
    int64_t k = start;
    for (; k + 4 <= stop; k += 4) {
        vector products[4];
        float totals[4];
        UNROLLED for (int i = 0; i < 4; i++) {
            vector weight = splat(job->values[job->order[k + i]]);
            const float *slope = slopes + (int64_t)job->rows[k + i] * (V * LANES);
            products[i] = ZERO;
            UNROLLED for (int v = 0; v < V; v++) {
                vector lanes = load(slope + v * LANES);
                products[i] += load(pixels + v * LANES) * lanes;
                if (wanted) sums[v] += weight * lanes;
            }
        }
        sums_of_lanes(totals, products);
        UNROLLED for (int i = 0; i < 4; i++) {
            float *place = job->value_gradient + job->order[k + i];
            *place = (adds ? *place : 0) + totals[i];
        }
    }
    for (; k < stop; k++) {
        vector weight = splat(job->values[job->order[k]]), product = ZERO;
        const float *slope = slopes + (int64_t)job->rows[k] * (V * LANES);
        UNROLLED for (int v = 0; v < V; v++) {
            vector lanes = load(slope + v * LANES);
            product += load(pixels + v * LANES) * lanes;
            if (wanted) sums[v] += weight * lanes;
        }
        float *place = job->value_gradient + job->order[k];
        *place = (adds ? *place : 0) + sum_of_lanes(product);
    }
    if (wanted)
        UNROLLED for (int v = 0; v < V; v++) store(out + v * LANES, sums[v]);
}

/* Has the processor fetch part of a row while it computes something else: the parts are short
   and rows lie far apart, which it does not foresee. */
static void ask_for(const float *row, int64_t first, int64_t stop) {
    for (int64_t column = first; column < stop; column += 16) __builtin_prefetch(row + column, 0, 2);
}

INLINE void backward_tiles(const int V, const int wanted, const struct linear_backward *job,
                           int64_t first_unit, int64_t stop_unit, float *source, float *result,
                           float *slopes) {
    const int64_t tile = V * LANES, num_images = job->num_images;
    const int64_t num_inputs = job->num_inputs, num_outputs = job->num_outputs;
    for (int64_t image = 0; image < num_images; image += tile) {
        int64_t last = smaller(tile, num_images - image);
        for (int64_t first = first_unit; first < stop_unit; first += job->group) {
            int64_t stop = smaller(first + job->group, stop_unit);
            to_tile(tile, source, job->images, num_images, num_inputs, image, first, stop, NULL);
            for (int64_t block = 0; block < job->num_blocks; block++) {
                int64_t row = block * job->block, stop_row = smaller(row + job->block, num_outputs);
                to_tile(tile, slopes, job->gradient, num_images, num_outputs, image, row, stop_row,
                        first ? NULL : job->bias_gradient);
                int64_t asked = 0, next_stop = smaller(stop_row + job->block, num_outputs);
                for (int64_t unit = first; unit < stop; unit++) {
                    const int64_t *edge = job->starts + block * (num_inputs + 1) + unit;
                    linear_column(V, wanted, result + (unit - first) * tile, block > 0,
                                  source + (unit - first) * tile, image > 0, job, edge[0], edge[1],
                                  slopes);
                    /* The next block's gradient, a row now and then. */
                    for (; asked < last && asked * (stop - first) <= (unit - first) * tile; asked++)
                        ask_for(job->gradient + (image + asked) * num_outputs, stop_row, next_stop);
                }
            }
            if (wanted)
                from_tile(tile, job->image_gradient, num_images, num_inputs, image, first, stop,
                          result);
        }
    }
}

PUBLIC int linear_backward(const struct linear_backward *job, int64_t number) {
    struct share own = share_of(job->num_inputs, LANES, number, job->num_shares);
    int64_t tile = job->vectors * LANES, units = whole_blocks(job->group) * tile;
    float *source = scratch(2 * units + whole_blocks(job->block) * tile);
    if (!source) return NO_MEMORY;
    float *result = source + units, *slopes = result + units;
    if (job->image_gradient)
        WITH_VECTORS(job->vectors, backward_tiles, 1, job, own.start, own.stop, source, result,
                     slopes)
    else
        WITH_VECTORS(job->vectors, backward_tiles, 0, job, own.start, own.stop, source, result,
                     slopes)
    return DONE;
}
