/* A sparse 2-d convolution, on tiles of positions.

   A plane of numbers lies [row][column][lane], with zeros around the image wide enough for every
   tap of the kernel, so that no loop asks whether a position lies inside. A vector holds one number
   of each of LANES images, or LANES neighbours in a row of one image: then no transposes are needed
   and one image's channels fit into the second cache, but taps to the left and right read vectors
   that lie across two lines of the cache. */

#include "scratch.h"
#include "shares.h"
#include "vectors.h"

/* Where the numbers of a slab (LANES images, or one) lie: [channel][row][column][lane]. */
struct layout {
    const int64_t *places; /* of each position of a plane, or of each row's first column */
    const int64_t *holes;  /* of the vectors of a plane in which no image lies */
    int64_t num_holes, row, plane, size; /* to the next row, to the next channel; of all channels */
};

/* How a pass goes over the positions: rows and columns of a tile, the stride along columns in
   vectors, and along rows. */
struct tiling {
    int64_t rows, columns, step, stride;
};

/* Positions of one class: the place of the first, and how many rows and columns there are. */
struct grid {
    int64_t first, height, width;
};

struct convolution {
    float *result;                /* forward: the output; backward: the images' gradient, or NULL
                                     where it is not wanted */
    const float *images;          /* (images, in_channels, height, width) */
    const float *gradient;        /* backward: (images, out_channels, out_height, out_width) */
    const float *values;          /* the non-zeros in the order in which the pass meets them */
    const int64_t *offsets;       /* of each one's tap, from a position's place in what is read */
    const int64_t *starts;        /* of each group's non-zeros: forward (outputs, groups + 1);
                                     backward (groups, classes, inputs + 1) */
    const float *bias;            /* of each output channel, or NULL */
    float **weight_sums;          /* backward, of each share: a vector for each non-zero */
    struct layout source;         /* of the images */
    struct layout output;         /* forward: of the output */
    struct layout slopes;         /* backward: of the output's gradient */
    struct tiling tiling;
    const struct grid *grids;     /* backward: of each class */
    int64_t num_images, in_channels, height, width, out_channels, out_height, out_width;
    int64_t num_groups, num_classes, num_values, num_shares;
    int64_t columns_as_lanes, as_it_lies; /* the latter: images need not be brought into rows */
    int64_t column_stride;
    struct grid positions;        /* forward: rows of the output, and vectors in a row */
};

/* ---- Plain images to blocks of lanes, and back ---- */

static void clear_holes(float *blocks, const struct layout *layout) {
    for (int64_t plane = 0; plane + layout->plane <= layout->size; plane += layout->plane)
        for (int64_t i = 0; i < layout->num_holes; i++)
            store(blocks + plane + layout->holes[i], ZERO);
}

/* LANES images at most, of `num_images` from `images` on; missing ones become zero. */
static void to_blocks(float *blocks, const struct layout *layout, const float *images,
                      int64_t num_images, int64_t num_channels, int64_t num_positions) {
    const int64_t image_stride = num_channels * num_positions;
    const int whole = num_images >= LANES;
    for (int64_t channel = 0; channel < num_channels; channel++) {
        const float *start = images + channel * num_positions;
        float *base = blocks + channel * layout->plane;
        for (int64_t position = 0; position < num_positions; position += LANES) {
            int64_t width = smaller(LANES, num_positions - position);
            const int64_t *places = layout->places + position;
            vector block[LANES];
            if (whole && width == LANES)
                UNROLLED for (int r = 0; r < LANES; r++)
                    block[r] = load(start + position + r * image_stride);
            else
                for (int r = 0; r < LANES; r++)
                    block[r] = r < num_images
                                   ? load_first(start + position + r * image_stride, width)
                                   : ZERO;
            transpose(block);
            if (width == LANES)
                UNROLLED for (int q = 0; q < LANES; q++) store(base + places[q], block[q]);
            else
                for (int q = 0; q < width; q++) store(base + places[q], block[q]);
        }
    }
}

static void from_blocks(float *images, int64_t num_images, int64_t num_channels,
                        int64_t num_positions, const float *blocks, const struct layout *layout) {
    const int64_t image_stride = num_channels * num_positions;
    const int whole = num_images >= LANES;
    for (int64_t channel = 0; channel < num_channels; channel++) {
        float *start = images + channel * num_positions;
        const float *base = blocks + channel * layout->plane;
        for (int64_t position = 0; position < num_positions; position += LANES) {
            int64_t width = smaller(LANES, num_positions - position);
            const int64_t *places = layout->places + position;
            vector block[LANES];
            UNROLLED for (int q = 0; q < LANES; q++)
                block[q] = q < width ? load(base + places[q]) : ZERO;
            transpose(block);
            if (whole && width == LANES)
                UNROLLED for (int r = 0; r < LANES; r++)
                    store(start + position + r * image_stride, block[r]);
            else
                for (int r = 0; r < smaller(LANES, num_images); r++)
                    store_first(start + position + r * image_stride, block[r], width);
        }
    }
}

/* Even or odd ones of two vectors of neighbours; two such vectors merged, half by half. */
#define PAIR(lane, odd) 2 * (lane) + (odd)
#define HALF(lane, first) (first) + (lane) / 2 + ((lane) & 1 ? LANES : 0)

/* One image into rows; with a stride of 2, even columns before odd ones. */
static void to_rows(float *rows, const struct layout *layout, const float *image,
                    int64_t num_channels, int64_t height, int64_t width, int64_t stride) {
    for (int64_t channel = 0; channel < num_channels; channel++)
        for (int64_t row = 0; row < height; row++) {
            const float *from = image + (channel * height + row) * width;
            float *even = rows + channel * layout->plane + layout->places[row];
            float *odd = even + layout->row / 2;
            if (stride == 1)
                memcpy(even, from, (size_t)width * sizeof(float));
            else
                for (int64_t column = 0; column < width / 2; column += LANES) {
                    vector first = load(from + 2 * column), next = load(from + 2 * column + LANES);
                    store(even + column, SHUFFLED(first, next, BY_LANES(PAIR, 0)));
                    store(odd + column, SHUFFLED(first, next, BY_LANES(PAIR, 1)));
                }
        }
}

/* The inverse of `to_rows` for a stride of 2. */
static void from_rows(float *image, int64_t num_channels, int64_t height, int64_t width,
                      const float *rows, const struct layout *layout) {
    for (int64_t channel = 0; channel < num_channels; channel++)
        for (int64_t row = 0; row < height; row++) {
            float *to = image + (channel * height + row) * width;
            const float *from = rows + channel * layout->plane + layout->places[row];
            for (int64_t column = 0; column < width / 2; column += LANES) {
                vector even = load(from + column), odd = load(from + layout->row / 2 + column);
                store(to + 2 * column, SHUFFLED(even, odd, BY_LANES(HALF, 0)));
                store(to + 2 * column + LANES, SHUFFLED(even, odd, BY_LANES(HALF, LANES / 2)));
            }
        }
}

/* ---- Tiles ---- */

/* One output channel of a tile: out = first + sum over k of values[k] * source at offsets[k]; added
   to `out` in place of the first value where it is continued. */
INLINE void forward_tile(const int rows, const int columns, const int step, float *out,
                         int64_t out_row, int continued, float first, const float *values,
                         const int64_t *offsets, int64_t start, int64_t stop, const float *source,
                         int64_t source_row) {
    vector sums[MOST_SUMS];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int c = 0; c < columns; c++)
            sums[r * columns + c] = continued ? load(out + r * out_row + c * LANES) : splat(first);
    for (int64_t k = start; k < stop; k++) {
        vector weight = splat(values[k]);
        const float *place = source + offsets[k];
        UNROLLED for (int r = 0; r < rows; r++)
            UNROLLED for (int c = 0; c < columns; c++)
                sums[r * columns + c] += weight * load(place + r * source_row + c * step * LANES);
    }
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int c = 0; c < columns; c++)
            store(out + r * out_row + c * LANES, sums[r * columns + c]);
}

/* One input channel of a tile: its gradient, and its share of the gradients of its weights. With g
   the tile of slopes at offsets[k]: out = sum over k of values[k] * g, and weight_sums[k] += sum
   over positions of image * g, lane by lane. One load of g serves both. `out` has the layout of
   `image`, and is added to where it is continued; it is left alone where it is not wanted. */
INLINE void backward_tile(const int rows, const int columns, const int step, const int wanted,
                          float *out, int continued, const float *image, int64_t image_row,
                          float *weight_sums, const float *values, const int64_t *offsets,
                          int64_t start, int64_t stop, const float *slopes, int64_t slope_row) {
    vector sums[MOST_PAIRS], pixels[MOST_PAIRS];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int c = 0; c < columns; c++) {
            int64_t place = r * image_row + c * step * LANES;
            pixels[r * columns + c] = load(image + place);
            if (wanted) sums[r * columns + c] = continued ? load(out + place) : ZERO;
        }
    for (int64_t k = start; k < stop; k++) {
        vector weight = splat(values[k]);
        const float *place = slopes + offsets[k];
        /* Two chains, since each step of one would wait for the step before. */
        vector chains[2] = {load(weight_sums + k * LANES), ZERO};
        UNROLLED for (int r = 0; r < rows; r++)
            UNROLLED for (int c = 0; c < columns; c++) {
                const int p = r * columns + c;
                vector lanes = load(place + r * slope_row + c * LANES);
                if (wanted) sums[p] += weight * lanes;
                chains[p % 2] += pixels[p] * lanes;
            }
        store(weight_sums + k * LANES, chains[0] + chains[1]);
    }
    if (!wanted) return;
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int c = 0; c < columns; c++)
            store(out + r * image_row + c * step * LANES, sums[r * columns + c]);
}

/* All output channels at all positions of a slab. */
INLINE void forward_positions(const int rows, const int columns, const int step,
                              const struct convolution *job, float *out, const float *source) {
    const int64_t source_row = job->tiling.stride * job->source.row;
    for (int64_t top = 0; top < job->positions.height; top += rows)
        for (int64_t left = 0; left < job->positions.width; left += columns) {
            float *place = out + top * job->output.row + left * LANES;
            const float *origin = source + top * source_row + left * job->tiling.step * LANES;
            for (int64_t group = 0; group < job->num_groups; group++)
                for (int64_t channel = 0; channel < job->out_channels; channel++) {
                    const int64_t *edge = job->starts + channel * (job->num_groups + 1) + group;
                    if (edge[0] == edge[1] && group > 0) continue;
                    forward_tile(rows, columns, step, place + channel * job->output.plane,
                                 job->output.row, group > 0, job->bias ? job->bias[channel] : 0,
                                 job->values, job->offsets, edge[0], edge[1], origin, source_row);
                }
        }
}

/* The gradients of all input channels at the positions of one class of a slab. */
INLINE void backward_positions(const int rows, const int columns, const int step,
                               const int wanted, const struct convolution *job, float *out,
                               const float *image, const float *slopes, float *weight_sums,
                               int64_t own_class) {
    const struct grid grid = job->grids[own_class];
    const int64_t row = job->tiling.stride * job->source.row;
    for (int64_t top = 0; top < grid.height; top += rows)
        /* A row of tiles of all input channels fits into the second cache, and all along it the
           weights and their sums are of one group only. */
        for (int64_t group = 0; group < job->num_groups; group++) {
            const int64_t *starts =
                job->starts + (group * job->num_classes + own_class) * (job->in_channels + 1);
            for (int64_t left = 0; left < grid.width; left += columns) {
                int64_t place = grid.first + top * row + left * job->tiling.step * LANES;
                const float *origin = slopes + top * job->slopes.row + left * LANES;
                for (int64_t channel = 0; channel < job->in_channels; channel++) {
                    const int64_t start = starts[channel], stop = starts[channel + 1];
                    if (start == stop && group > 0) continue;
                    int64_t own = place + channel * job->source.plane;
                    backward_tile(rows, columns, step, wanted, wanted ? out + own : out, group > 0,
                                  image + own, row, weight_sums, job->values, job->offsets, start,
                                  stop, origin, job->slopes.row);
                }
            }
        }
}

/* ---- Passes ---- */

/* Tiles whose rows and columns are powers of two, up to as many vectors as fit. */
#define TILES_OF_4(T) T(1, 1) T(1, 2) T(2, 1) T(1, 4) T(2, 2) T(4, 1)
#define TILES_OF_8(T) TILES_OF_4(T) T(1, 8) T(2, 4) T(4, 2) T(8, 1)
#define TILES_OF_16(T) TILES_OF_8(T) T(1, 16) T(2, 8) T(4, 4) T(8, 2) T(16, 1)
#if REGISTERS == 32
#define FORWARD_TILES TILES_OF_16
#define BACKWARD_TILES TILES_OF_8
#else
#define FORWARD_TILES TILES_OF_8
#define BACKWARD_TILES TILES_OF_4
#endif

/* With the tile's sizes as constants. A step of 2 is that of images as lanes, whose tiles are full;
   with a larger one, tiles have one column. */
#define WITH_STEP(f, r, c, most, ...) \
    if (tiling.rows == r && tiling.columns == c) { \
        if (r * c == most && tiling.step == 2) \
            f(r, c, 2, __VA_ARGS__); \
        else \
            f(r, c, 1, __VA_ARGS__); \
        return; \
    }

static void forward_slab(const struct convolution *job, float *out, const float *source) {
    const struct tiling tiling = job->tiling;
#define FORWARD(r, c) WITH_STEP(forward_positions, r, c, MOST_SUMS, job, out, source)
    FORWARD_TILES(FORWARD)
#undef FORWARD
}

static void backward_slab(const struct convolution *job, float *out, const float *image,
                          const float *slopes, float *weight_sums, int64_t own_class) {
    const struct tiling tiling = job->tiling;
#define BACKWARD(r, c) \
    if (out) { \
        WITH_STEP(backward_positions, r, c, MOST_PAIRS, 1, job, out, image, slopes, weight_sums, \
                  own_class) \
    } else { \
        WITH_STEP(backward_positions, r, c, MOST_PAIRS, 0, job, out, image, slopes, weight_sums, \
                  own_class) \
    }
    BACKWARD_TILES(BACKWARD)
#undef BACKWARD
}

PUBLIC int convolution_forward(const struct convolution *job, int64_t number) {
    const int64_t slab = job->columns_as_lanes ? 1 : LANES;
    const struct share own = share_of(job->num_images, slab, number, job->num_shares);
    const int64_t in_positions = job->height * job->width;
    const int64_t out_positions = job->out_height * job->out_width;
    float *source = scratch(job->source.size + job->output.size), *out = source + job->source.size;
    if (!source) return NO_MEMORY;
    clear_holes(source, &job->source);
    for (int64_t image = own.start; image < own.stop; image += slab) {
        const float *images = job->images + image * job->in_channels * in_positions;
        float *result = job->result + image * job->out_channels * out_positions;
        if (job->columns_as_lanes) {
            to_rows(source, &job->source, images, job->in_channels, job->height, job->width,
                    job->column_stride);
            forward_slab(job, result, source);
        } else {
            to_blocks(source, &job->source, images, own.stop - image, job->in_channels,
                      in_positions);
            forward_slab(job, out, source);
            from_blocks(result, own.stop - image, job->out_channels, out_positions, out,
                        &job->output);
        }
    }
    return DONE;
}

PUBLIC int convolution_backward(const struct convolution *job, int64_t number) {
    const int64_t slab = job->columns_as_lanes ? 1 : LANES;
    const struct share own = share_of(job->num_images, slab, number, job->num_shares);
    const int64_t in_positions = job->height * job->width;
    const int64_t out_positions = job->out_height * job->out_width;
    const int64_t blocks = job->as_it_lies ? 0 : job->source.size;
    float *weight_sums = job->weight_sums[number];
    float *slopes = scratch(job->slopes.size + 2 * blocks);
    if (!slopes) return NO_MEMORY;
    float *source = slopes + job->slopes.size, *out = source + blocks;
    memset(weight_sums, 0, (size_t)(job->num_values * LANES) * sizeof(float));
    clear_holes(slopes, &job->slopes);
    if (blocks) clear_holes(source, &job->source);
    for (int64_t image = own.start; image < own.stop; image += slab) {
        const int64_t here = image * job->in_channels * in_positions;
        const float *images = job->images + here, *given = source;
        const float *gradient = job->gradient + image * job->out_channels * out_positions;
        float *result = job->result ? job->result + here : NULL, *found = result ? out : NULL;
        if (job->as_it_lies) given = images, found = result;
        if (job->columns_as_lanes) {
            to_rows(slopes, &job->slopes, gradient, job->out_channels, job->out_height,
                    job->out_width, 1);
            if (blocks)
                to_rows(source, &job->source, images, job->in_channels, job->height, job->width,
                        job->column_stride);
        } else {
            to_blocks(source, &job->source, images, own.stop - image, job->in_channels,
                      in_positions);
            to_blocks(slopes, &job->slopes, gradient, own.stop - image, job->out_channels,
                      out_positions);
        }
        for (int64_t own_class = 0; own_class < job->num_classes; own_class++)
            backward_slab(job, found, given, slopes, weight_sums, own_class);
        if (!result) continue;
        if (!job->columns_as_lanes)
            from_blocks(result, own.stop - image, job->in_channels, in_positions, out,
                        &job->source);
        else if (blocks)
            from_rows(result, job->in_channels, job->height, job->width, out, &job->source);
    }
    return DONE;
}

/* The gradient of each non-zero: the sum over lanes and shares, in the order of the layer. */
PUBLIC int convolution_weight_sums(const struct convolution *job, float *value_gradient,
                                   const int64_t *order) {
    for (int64_t k = 0; k < job->num_values; k++) {
        vector total = load(job->weight_sums[0] + k * LANES);
        for (int64_t number = 1; number < job->num_shares; number++)
            total += load(job->weight_sums[number] + k * LANES);
        value_gradient[order[k]] = sum_of_lanes(total);
    }
    return DONE;
}
