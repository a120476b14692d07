/* Steps of a small sparse MLP, trained by SGD on the cross-entropy.

   Activations are kept transposed, [feature][image], one tile of images at a time, so that images
   are the lanes of vectors and every non-zero weight is one multiply-add per vector. */

#include "scratch.h"
#include "shares.h"
#include "softmax.h"
#include "vectors.h"

/* A net of linear layers as flat arrays; layer l maps sizes[l] features to sizes[l + 1]. Rows are
   output units, numbered through all layers; non-zero weights are in the order of rows. */
struct network {
    const int64_t *sizes;
    const float *scales;           /* what each layer multiplies its products by */
    const int64_t *first_row;      /* of each layer */
    const int64_t *starts;         /* first non-zero of each row, and their number at the end */
    const int32_t *columns;        /* input unit of each non-zero */
    float *values;
    float *biases;                 /* one per row; all zero where the net has none */
    const int64_t *first_column;   /* of each layer in `column_starts`; the first layer has none,
                                      since nothing needs the gradient of the images */
    const int64_t *column_starts;  /* as `starts`, by input unit */
    const int32_t *column_rows;    /* output unit within its layer of each, by input unit */
    const int64_t *column_order;   /* place in `values` of each, by input unit */
    int64_t num_layers, num_values, num_rows, num_by_column, widest, num_features, relu, has_biases;
};

struct epoch {
    const struct network *net;
    float *value_velocity, *bias_velocity; /* momentum */
    const float *images;                   /* rows of row_length numbers, a multiple of LANES */
    const int64_t *labels;
    const int64_t *order;                  /* of the images */
    int64_t row_length, num_images, batch_size, vectors, trains;
    float learning_rate, momentum, weight_decay;
    double *loss;                          /* in and out: sum over the images so far */
    int64_t *hits;                         /* in and out */
};

struct buffers {
    float *activations;           /* [feature][lane] of the images and of every layer's output */
    float *gradient, *lower;      /* [unit][lane], of one layer's outputs and of its inputs */
    float *rows;                  /* of softmax */
    float *column_values;         /* the values by input unit */
    float *value_gradient, *bias_gradient;
};

/* The sums over k of values[k] * source feature columns[k], for all lanes of a tile. */
INLINE void gather(const int V, vector sums[], const float *values, const int32_t *columns,
                   int64_t start, int64_t stop, const float *source) {
    UNROLLED for (int v = 0; v < V; v++) sums[v] = ZERO;
    for (int64_t k = start; k < stop; k++) {
        vector weight = splat(values[k]);
        const float *feature = source + (int64_t)columns[k] * (V * LANES);
        UNROLLED for (int v = 0; v < V; v++) sums[v] += weight * load(feature + v * LANES);
    }
}

/* LANES images into the lanes of features; where there are fewer, the first stands for them. */
static void take_images(float *out, int64_t tile, const struct epoch *epoch, const int64_t *order,
                        int64_t count) {
    for (int64_t column = 0; column < epoch->row_length; column += LANES) {
        vector block[LANES];
        UNROLLED for (int r = 0; r < LANES; r++)
            block[r] = load(epoch->images + order[r < count ? r : 0] * epoch->row_length + column);
        transpose(block);
        UNROLLED for (int c = 0; c < LANES; c++) store(out + (column + c) * tile, block[c]);
    }
}

INLINE void forward(const int V, const struct epoch *epoch, const struct buffers *buffers,
                    const int64_t *order, int64_t count) {
    const struct network *net = epoch->net;
    const int64_t tile = V * LANES;
    for (int64_t lane = 0; lane < tile; lane += LANES)
        take_images(buffers->activations + lane, tile, epoch,
                    lane < count ? order + lane : order, lane < count ? count - lane : 1);
    const float *source = buffers->activations;
    float *out = buffers->activations + epoch->row_length * tile;
    for (int64_t layer = 0; layer < net->num_layers; layer++) {
        const int rectify = net->relu && layer < net->num_layers - 1;
        for (int64_t unit = 0; unit < net->sizes[layer + 1]; unit++) {
            const int64_t row = net->first_row[layer] + unit;
            vector sums[8];
            gather(V, sums, net->values, net->columns, net->starts[row], net->starts[row + 1],
                   source);
            UNROLLED for (int v = 0; v < V; v++) {
                vector result = sums[v] * net->scales[layer] + net->biases[row];
                if (rectify) result = chosen(result <= ZERO, ZERO, result);
                store(out + unit * tile + v * LANES, result);
            }
        }
        source = out;
        out += net->sizes[layer + 1] * tile;
    }
}

/* Adds the gradients of a layer's weights and biases. */
INLINE void add_weight_gradients(const int V, const struct network *net, int64_t layer,
                                 const struct buffers *buffers, const float *gradient,
                                 const float *source) {
    for (int64_t unit = 0; unit < net->sizes[layer + 1]; unit++) {
        const int64_t row = net->first_row[layer] + unit;
        vector slopes[8], total = ZERO;
        UNROLLED for (int v = 0; v < V; v++) {
            slopes[v] = load(gradient + (unit * V + v) * LANES);
            total += slopes[v];
            slopes[v] *= net->scales[layer];
        }
        buffers->bias_gradient[row] += sum_of_lanes(total);
        int64_t k = net->starts[row];
        const int64_t stop = net->starts[row + 1];
        for (; k + 4 <= stop; k += 4) {
            vector products[4];
            float totals[4];
            UNROLLED for (int i = 0; i < 4; i++) {
                const float *feature = source + (int64_t)net->columns[k + i] * (V * LANES);
                products[i] = ZERO;
                UNROLLED for (int v = 0; v < V; v++)
                    products[i] += slopes[v] * load(feature + v * LANES);
            }
            sums_of_lanes(totals, products);
            UNROLLED for (int i = 0; i < 4; i++) buffers->value_gradient[k + i] += totals[i];
        }
        for (; k < stop; k++) {
            const float *feature = source + (int64_t)net->columns[k] * (V * LANES);
            vector product = ZERO;
            UNROLLED for (int v = 0; v < V; v++) product += slopes[v] * load(feature + v * LANES);
            buffers->value_gradient[k] += sum_of_lanes(product);
        }
    }
}

/* The gradient of a layer's inputs; zero where the unit was rectified. */
INLINE void lower_gradient(const int V, const struct network *net, int64_t layer,
                           const struct buffers *buffers, float *lower, const float *gradient,
                           const float *source) {
    for (int64_t unit = 0; unit < net->sizes[layer]; unit++) {
        const int64_t column = net->first_column[layer] + unit;
        vector sums[8];
        gather(V, sums, buffers->column_values, net->column_rows, net->column_starts[column],
               net->column_starts[column + 1], gradient);
        UNROLLED for (int v = 0; v < V; v++) {
            const int64_t place = (unit * V + v) * LANES;
            vector result = sums[v] * net->scales[layer];
            if (net->relu) result = chosen(load(source + place) <= ZERO, ZERO, result);
            store(lower + place, result);
        }
    }
}

INLINE void backward(const int V, const struct epoch *epoch, const struct buffers *buffers) {
    const struct network *net = epoch->net;
    float *gradient = buffers->gradient, *lower = buffers->lower;
    const float *source = buffers->activations + net->num_features * (V * LANES);
    for (int64_t layer = net->num_layers - 1; layer >= 0; layer--) {
        /* The scores' activations come last, so a layer's inputs end where its outputs start. */
        source -= (layer ? net->sizes[layer] : epoch->row_length) * (V * LANES);
        add_weight_gradients(V, net, layer, buffers, gradient, source);
        if (!layer) return;
        lower_gradient(V, net, layer, buffers, lower, gradient, source);
        float *other = gradient;
        gradient = lower, lower = other;
    }
}

/* One step of SGD as torch.optim.SGD does it; a velocity of zero starts the momentum. */
static void descend(float *parameters, float *gradient, float *velocity, int64_t count,
                    const struct epoch *epoch) {
    const float rate = epoch->learning_rate, momentum = epoch->momentum;
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        vector numbers = load(parameters + k);
        vector slope = load(gradient + k) + epoch->weight_decay * numbers;
        if (momentum != 0) store(velocity + k, slope += momentum * load(velocity + k));
        store(parameters + k, numbers - rate * slope);
        store(gradient + k, ZERO);
    }
    for (; k < count; k++) {
        float slope = gradient[k] + epoch->weight_decay * parameters[k];
        if (momentum != 0) slope = velocity[k] = momentum * velocity[k] + slope;
        parameters[k] -= rate * slope;
        gradient[k] = 0;
    }
}

INLINE void run_epoch(const int V, const struct epoch *epoch, const struct buffers *buffers) {
    const struct network *net = epoch->net;
    const int64_t tile = V * LANES, num_classes = net->sizes[net->num_layers];
    float *scores = buffers->activations + net->num_features * tile;
    for (int64_t start = 0; start < epoch->num_images; start += epoch->batch_size) {
        const int64_t stop = smaller(start + epoch->batch_size, epoch->num_images);
        if (epoch->trains)
            for (int64_t k = 0; k < net->num_by_column; k++)
                buffers->column_values[k] = net->values[net->column_order[k]];
        for (int64_t first = start; first < stop; first += tile) {
            const int64_t count = smaller(tile, stop - first), *order = epoch->order + first;
            forward(V, epoch, buffers, order, count);
            measure(V, scores, num_classes, epoch->labels, order, count, buffers->rows, epoch->loss,
                    epoch->hits);
            if (!epoch->trains) continue;
            output_gradient(V, buffers->gradient, scores, num_classes, epoch->labels, order, count,
                            stop - start);
            backward(V, epoch, buffers);
        }
        if (!epoch->trains) continue;
        descend(net->values, buffers->value_gradient, epoch->value_velocity, net->num_values,
                epoch);
        if (net->has_biases)
            descend(net->biases, buffers->bias_gradient, epoch->bias_velocity, net->num_rows,
                    epoch);
        else
            memset(buffers->bias_gradient, 0, (size_t)net->num_rows * sizeof(float));
    }
}

/* One pass over the images of `order`, of SGD if it trains; losses and hits are each image's before
   its batch's step. */
PUBLIC int mlp_steps(const struct epoch *epoch, int64_t number) {
    (void)number; /* one thread */
    const struct network *net = epoch->net;
    const int64_t tile = epoch->vectors * LANES;
    const int64_t sizes[] = {
        (net->num_features + net->sizes[net->num_layers]) * tile, net->widest * tile,
        net->widest * tile, SOFTMAX_ROWS * tile, net->num_by_column, net->num_values, net->num_rows,
    };
    float *parts[7];
    int64_t total = 0;
    for (int i = 0; i < 7; i++) total += (sizes[i] + 15) / 16 * 16;
    float *memory = scratch(total);
    if (!memory) return NO_MEMORY;
    for (int i = 0; i < 7; i++) {
        parts[i] = memory;
        memory += (sizes[i] + 15) / 16 * 16;
    }
    const struct buffers buffers = {parts[0], parts[1], parts[2], parts[3],
                                    parts[4], parts[5], parts[6]};
    memset(buffers.value_gradient, 0, (size_t)net->num_values * sizeof(float));
    memset(buffers.bias_gradient, 0, (size_t)net->num_rows * sizeof(float));
    WITH_VECTORS(epoch->vectors, run_epoch, epoch, &buffers)
    return DONE;
}
