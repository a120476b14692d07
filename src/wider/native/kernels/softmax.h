/* Cross-entropy of a tile of images, without leaving their lanes. */

#ifndef WIDER_SOFTMAX_H
#define WIDER_SOFTMAX_H

#include <math.h>

#include "vectors.h"

enum { HIGHEST, SUM, CHOSEN, SOFTMAX_ROWS }; /* each image's maximum, sum, own score */

/* exp of numbers up to 0, to float32 precision: 2^n times a polynomial on |r| <= log(2)/2, as in
   the Cephes library (Moshier 1992). NaN stays NaN. */
INLINE vector exponential(vector x) {
    const vector lowest = splat(-87.0f);
    const float to_whole = 12582912.0f; /* 1.5 * 2^23: what is added to it is rounded */
    x = chosen(x < lowest, lowest, x);
    vector whole = (x * 1.4426950408889634f + to_whole) - to_whole;
    vector rest = x - whole * 0.693359375f;
    rest = rest - whole * -2.12194440e-4f;
    vector power = splat(1.9875691500e-4f);
    power = power * rest + 1.3981999507e-3f;
    power = power * rest + 8.3334519073e-3f;
    power = power * rest + 4.1665795894e-2f;
    power = power * rest + 1.6666665459e-1f;
    power = power * rest + 5.0000001201e-1f;
    power = power * rest * rest + rest + 1.0f;
    whole = chosen(whole == whole, whole, ZERO);
    whole_vector exponent = (__builtin_convertvector(whole, whole_vector) + 127) << 23;
    return power * (vector)exponent;
}

/* Turns scores, [class][lane], into probabilities; leaves each image's maximum and sum in rows. */
INLINE void softmax(const int V, float *scores, int64_t num_classes, float *rows) {
    const int64_t tile = V * LANES;
    for (int64_t lane = 0; lane < tile; lane += LANES) {
        vector highest = load(scores + lane), sum = ZERO;
        for (int64_t place = lane; place < num_classes * tile; place += tile) {
            vector score = load(scores + place);
            highest = chosen(score <= highest, highest, score); /* keeps NaN */
        }
        for (int64_t place = lane; place < num_classes * tile; place += tile) {
            vector power = exponential(load(scores + place) - highest);
            store(scores + place, power);
            sum += power;
        }
        for (int64_t place = lane; place < num_classes * tile; place += tile)
            store(scores + place, load(scores + place) / sum);
        store(rows + HIGHEST * tile + lane, highest);
        store(rows + SUM * tile + lane, sum);
    }
}

/* Adds the loss and the hits of the first `count` images; turns scores into probabilities. */
INLINE void measure(const int V, float *scores, int64_t num_classes, const int64_t *labels,
                    const int64_t *order, int64_t count, float *rows, double *loss, int64_t *hits) {
    const int64_t tile = V * LANES;
    for (int64_t lane = 0; lane < count; lane++) {
        const int64_t label = labels[order[lane]];
        int64_t best = 0;
        rows[CHOSEN * tile + lane] = scores[label * tile + lane];
        for (int64_t other = 1; other < num_classes; other++)
            if (scores[other * tile + lane] > scores[best * tile + lane]) best = other;
        *hits += best == label;
    }
    softmax(V, scores, num_classes, rows);
    double total = 0;
    for (int64_t lane = 0; lane < count; lane++) {
        const double above = rows[CHOSEN * tile + lane] - rows[HIGHEST * tile + lane];
        total += log((double)rows[SUM * tile + lane]) - above;
    }
    *loss += total;
}

/* Gradient of a batch's mean cross-entropy by the scores: probabilities minus the truth; zero in
   lanes that hold no image of the batch. */
INLINE void output_gradient(const int V, float *gradient, const float *probabilities,
                            int64_t num_classes, const int64_t *labels, const int64_t *order,
                            int64_t count, int64_t batch_count) {
    const int64_t tile = V * LANES;
    const float share = 1.0f / (float)batch_count;
    for (int64_t place = 0; place < num_classes * tile; place += tile) {
        for (int64_t lane = 0; lane < tile; lane += LANES)
            store(gradient + place + lane, load(probabilities + place + lane) * share);
        memset(gradient + place + count, 0, (size_t)(tile - count) * sizeof(float));
    }
    for (int64_t lane = 0; lane < count; lane++)
        gradient[labels[order[lane]] * tile + lane] -= share;
}

#endif
