/* BatchNorm with what follows it, on features of (images, channels, positions).

   All passes run through memory in its order, image by image; sums over images are in double
   precision. Where outputs are rectified, `lowest` is 0, and minus infinity elsewhere. */

#include "shares.h"
#include "vectors.h"

#include <math.h>
#include <stdlib.h>

struct norm {
    float *out;            /* forward: the output; backward: the features' gradient */
    float *gated;          /* backward: the residual's gradient, or NULL */
    const float *features;
    const float *residual; /* forward: added at the end, or NULL */
    const float *slopes;   /* backward: the output's gradient */
    const float *outputs;  /* backward: of the forward pass, or NULL where not rectified */
    const float *weight, *bias;
    float *mean, *variance; /* found in training, given otherwise */
    float *weight_gradient, *bias_gradient;
    double epsilon;
    int64_t num_images, num_channels, num_positions, training, rectify, num_shares;
};

struct sums {
    double first, second;
};

/* x where it is above zero or NaN, else zero. */
INLINE vector rectified(vector x) { return chosen(~(x <= ZERO), x, ZERO); }

INLINE float rectified_number(float x) { return x <= 0 ? 0 : x; }

/* Calls V(i) for each whole vector of numbers and S(i) for each that is left. */
#define FOR_NUMBERS(count, V, S) \
    { \
        int64_t i = 0; \
        for (; i + LANES <= (count); i += LANES) { V; } \
        for (; i < (count); i++) { S; } \
    }

static float sum_of(const float *numbers, int64_t count) {
    vector sums = ZERO;
    float total = 0;
    FOR_NUMBERS(count, sums += load(numbers + i), total += numbers[i])
    return total + sum_of_lanes(sums);
}

/* Mean and variance (divided by the number, not by one less) of some channels. */
static void find_moments(const struct norm *job, struct share own, struct sums *sums) {
    const int64_t count = job->num_positions;
    /* Deviations from a number near the mean: squares of the numbers themselves would lose digits
       where the mean is large. */
    for (int64_t channel = own.start; channel < own.stop; channel++)
        job->mean[channel] = sum_of(job->features + channel * count, count) / (float)count;
    for (int64_t image = 0; image < job->num_images; image++)
        for (int64_t channel = own.start; channel < own.stop; channel++) {
            const float *numbers = job->features + (image * job->num_channels + channel) * count;
            const float centre = job->mean[channel];
            vector totals = ZERO, squares = ZERO;
            float total = 0, square = 0;
            FOR_NUMBERS(count,
                vector deviation = load(numbers + i) - centre;
                totals += deviation;
                squares += deviation * deviation,
                float deviation = numbers[i] - centre;
                total += deviation;
                square += deviation * deviation)
            sums[channel].first += total + sum_of_lanes(totals);
            sums[channel].second += square + sum_of_lanes(squares);
        }
    const double all = (double)(job->num_images * count);
    for (int64_t channel = own.start; channel < own.stop; channel++) {
        const double deviation = sums[channel].first / all;
        job->variance[channel] = (float)(sums[channel].second / all - deviation * deviation);
        job->mean[channel] += (float)deviation;
    }
}

INLINE void affine(float *out, const float *numbers, const float *residual, float factor,
                   float addend, const int rectify, int64_t count) {
    FOR_NUMBERS(count,
        vector result = load(numbers + i) * factor + addend;
        if (residual) result += load(residual + i);
        store(out + i, rectify ? rectified(result) : result),
        float result = numbers[i] * factor + addend;
        if (residual) result += residual[i];
        out[i] = rectify ? rectified_number(result) : result)
}

PUBLIC int norm_forward(const struct norm *job, int64_t number) {
    const struct share own = share_of(job->num_channels, 1, number, job->num_shares);
    const int64_t count = job->num_positions;
    if (job->training) {
        struct sums *sums = calloc((size_t)job->num_channels, sizeof *sums);
        if (!sums) return NO_MEMORY;
        find_moments(job, own, sums);
        free(sums);
    }
    /* The last images first: they are what the caches still hold. */
    for (int64_t image = job->num_images - 1; image >= 0; image--)
        for (int64_t channel = own.start; channel < own.stop; channel++) {
            const int64_t place = (image * job->num_channels + channel) * count;
            const float scale = sqrtf(job->variance[channel] + (float)job->epsilon);
            const float factor = job->weight[channel] / scale;
            const float addend = job->bias[channel] - job->mean[channel] * factor;
            const float *numbers = job->features + place;
            const float *residual = job->residual ? job->residual + place : NULL;
            if (job->rectify)
                affine(job->out + place, numbers, residual, factor, addend, 1, count);
            else
                affine(job->out + place, numbers, residual, factor, addend, 0, count);
        }
    return DONE;
}

/* The slopes of a channel where the output is above zero, or all of them. */
INLINE vector gated_slopes(const float *slopes, const float *outputs, int64_t i) {
    vector slope = load(slopes + i);
    return outputs ? chosen(load(outputs + i) <= ZERO, ZERO, slope) : slope;
}

INLINE float gated_slope(const float *slopes, const float *outputs, int64_t i) {
    return outputs && outputs[i] <= 0 ? 0 : slopes[i];
}

static void add_slopes(const struct norm *job, struct share own, struct sums *sums) {
    const int64_t count = job->num_positions;
    for (int64_t image = 0; image < job->num_images; image++)
        for (int64_t channel = own.start; channel < own.stop; channel++) {
            const int64_t place = (image * job->num_channels + channel) * count;
            const float *slopes = job->slopes + place, *numbers = job->features + place;
            const float *outputs = job->outputs ? job->outputs + place : NULL;
            const float mean = job->mean[channel];
            vector totals = ZERO, products = ZERO;
            float total = 0, product = 0;
            FOR_NUMBERS(count,
                vector slope = gated_slopes(slopes, outputs, i);
                totals += slope;
                products += slope * (load(numbers + i) - mean),
                float slope = gated_slope(slopes, outputs, i);
                total += slope;
                product += slope * (numbers[i] - mean))
            sums[channel].first += total + sum_of_lanes(totals);
            sums[channel].second += product + sum_of_lanes(products);
        }
}

PUBLIC int norm_backward(const struct norm *job, int64_t number) {
    const struct share own = share_of(job->num_channels, 1, number, job->num_shares);
    const int64_t count = job->num_positions;
    struct sums *sums = calloc((size_t)job->num_channels, sizeof *sums);
    if (!sums) return NO_MEMORY;
    add_slopes(job, own, sums);
    for (int64_t image = job->num_images - 1; image >= 0; image--)
        for (int64_t channel = own.start; channel < own.stop; channel++) {
            const int64_t place = (image * job->num_channels + channel) * count;
            const double scale = 1 / sqrt(job->variance[channel] + job->epsilon);
            const double weight = job->weight[channel], all = (double)(job->num_images * count);
            float other = 0, addend = 0;
            if (job->training) { /* mean and variance depend on the features too */
                const double exact = -weight * scale * scale * scale * sums[channel].second / all;
                other = (float)exact;
                addend = (float)(-weight * scale * sums[channel].first / all -
                                 exact * job->mean[channel]);
            }
            const float factor = (float)(weight * scale);
            const float *slopes = job->slopes + place, *numbers = job->features + place;
            const float *outputs = job->outputs ? job->outputs + place : NULL;
            float *out = job->out + place, *gated = job->gated ? job->gated + place : NULL;
            FOR_NUMBERS(count,
                vector slope = gated_slopes(slopes, outputs, i);
                if (gated) store(gated + i, slope);
                store(out + i, factor * slope + other * load(numbers + i) + addend),
                float slope = gated_slope(slopes, outputs, i);
                if (gated) gated[i] = slope;
                out[i] = factor * slope + other * numbers[i] + addend)
        }
    for (int64_t channel = own.start; channel < own.stop; channel++) {
        const double scale = 1 / sqrt(job->variance[channel] + job->epsilon);
        job->bias_gradient[channel] = (float)sums[channel].first;
        job->weight_gradient[channel] = (float)(sums[channel].second * scale);
    }
    free(sums);
    return DONE;
}
