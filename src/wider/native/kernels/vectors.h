/* Vectors of 32-bit floats, as wide as the processor's registers.

   All kernels are written in them, with the vector extensions that GCC and Clang share; the same
   source is compiled once for each instruction set. A vector holds one number of each of LANES
   images (its lanes). A loop over the non-zero weights keeps the sums of several vectors in
   registers: one load and one multiply-add each, and no gather instruction anywhere. */

#ifndef WIDER_VECTORS_H
#define WIDER_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef LANES /* given, for tests of widths that this processor has not: compilers split vectors */
#elif defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

#ifdef REGISTERS
#elif defined(__AVX512F__) || defined(__aarch64__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif

/* Vectors of sums that fit into the registers beside what else is there: for a loop that reads
   each number once, and for one that reads it for two sums. */
#define MOST_SUMS (REGISTERS / 2)
#define MOST_PAIRS (REGISTERS / 4)

#ifdef _WIN32
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif

/* Inlined where a size is known, so that loops over it unroll and arrays become registers. */
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef float unaligned_vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t whole_vector __attribute__((vector_size(4 * LANES)));

static const vector ZERO = {0};

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE vector load(const float *from) { return *(const unaligned_vector *)from; }

INLINE void store(float *to, vector numbers) { *(unaligned_vector *)to = numbers; }

/* The first `count` numbers, zeros after them; reads and writes nothing beyond. */
INLINE vector load_first(const float *from, int64_t count) {
    vector numbers = ZERO;
    if (count >= LANES) return load(from);
    memcpy(&numbers, from, (size_t)count * sizeof(float));
    return numbers;
}

INLINE void store_first(float *to, vector numbers, int64_t count) {
    if (count >= LANES)
        store(to, numbers);
    else
        memcpy(to, &numbers, (size_t)count * sizeof(float));
}

/* The same number in all lanes; a subtraction keeps the sign of zero. */
INLINE vector splat(float number) { return number - ZERO; }

/* a where the mask's bits are set, b elsewhere. */
INLINE vector chosen(whole_vector mask, vector a, vector b) {
    return (vector)(((whole_vector)a & mask) | ((whole_vector)b & ~mask));
}

INLINE float sum_of_lanes(vector numbers) {
    float lanes[LANES];
    store(lanes, numbers);
    for (int half = LANES / 2; half; half /= 2)
        UNROLLED for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, (whole_vector){__VA_ARGS__})
#endif

/* Lists of lanes: F of each quartet's first lane, or of each lane. */
#if LANES == 16
#define BY_QUARTETS(F) F(0), F(4), F(8), F(12)
#define BY_LANES(F, d) \
    F(0, d), F(1, d), F(2, d), F(3, d), F(4, d), F(5, d), F(6, d), F(7, d), F(8, d), F(9, d), \
        F(10, d), F(11, d), F(12, d), F(13, d), F(14, d), F(15, d)
#elif LANES == 8
#define BY_QUARTETS(F) F(0), F(4)
#define BY_LANES(F, d) F(0, d), F(1, d), F(2, d), F(3, d), F(4, d), F(5, d), F(6, d), F(7, d)
#else
#define BY_QUARTETS(F) F(0)
#define BY_LANES(F, d) F(0, d), F(1, d), F(2, d), F(3, d)
#endif

/* Within each quartet of lanes; processors have an instruction for each. */
#define LOW_INTERLEAVED(q) (q), (q) + LANES, (q) + 1, (q) + LANES + 1
#define HIGH_INTERLEAVED(q) (q) + 2, (q) + LANES + 2, (q) + 3, (q) + LANES + 3
#define LOW_HALVES(q) (q), (q) + 1, (q) + LANES, (q) + LANES + 1
#define HIGH_HALVES(q) (q) + 2, (q) + 3, (q) + LANES + 2, (q) + LANES + 3

/* Swaps sub-blocks of `d` lanes between two rows of a block. */
#define UPPER(lane, d) ((lane) & (d) ? (lane) - (d) + LANES : (lane))
#define LOWER(lane, d) ((lane) & (d) ? (lane) + LANES : (lane) + (d))

/* A block of LANES rows with rows and columns exchanged. */
INLINE void transpose(vector block[LANES]) {
    UNROLLED for (int r = 0; r < LANES; r += 4) {
        vector *row = block + r;
        vector low = SHUFFLED(row[0], row[1], BY_QUARTETS(LOW_INTERLEAVED));
        vector high = SHUFFLED(row[0], row[1], BY_QUARTETS(HIGH_INTERLEAVED));
        vector next_low = SHUFFLED(row[2], row[3], BY_QUARTETS(LOW_INTERLEAVED));
        vector next_high = SHUFFLED(row[2], row[3], BY_QUARTETS(HIGH_INTERLEAVED));
        row[0] = SHUFFLED(low, next_low, BY_QUARTETS(LOW_HALVES));
        row[1] = SHUFFLED(low, next_low, BY_QUARTETS(HIGH_HALVES));
        row[2] = SHUFFLED(high, next_high, BY_QUARTETS(LOW_HALVES));
        row[3] = SHUFFLED(high, next_high, BY_QUARTETS(HIGH_HALVES));
    }
#define SWAP(d) \
    UNROLLED for (int r = 0; r < LANES; r++) if (!(r & (d))) { \
        vector upper = SHUFFLED(block[r], block[r + (d)], BY_LANES(UPPER, d)); \
        block[r + (d)] = SHUFFLED(block[r], block[r + (d)], BY_LANES(LOWER, d)); \
        block[r] = upper; \
    }
#if LANES >= 8
    SWAP(4)
#endif
#if LANES >= 16
    SWAP(8)
#endif
#undef SWAP
}

/* The sums over the lanes of four vectors. */
INLINE void sums_of_lanes(float sums[4], const vector numbers[4]) {
    vector pairs = SHUFFLED(numbers[0], numbers[1], BY_QUARTETS(LOW_INTERLEAVED)) +
                   SHUFFLED(numbers[0], numbers[1], BY_QUARTETS(HIGH_INTERLEAVED));
    vector others = SHUFFLED(numbers[2], numbers[3], BY_QUARTETS(LOW_INTERLEAVED)) +
                    SHUFFLED(numbers[2], numbers[3], BY_QUARTETS(HIGH_INTERLEAVED));
    /* In each quartet: the sums of its four lanes, of each of the four vectors. */
    vector quartets = SHUFFLED(pairs, others, BY_QUARTETS(LOW_HALVES)) +
                      SHUFFLED(pairs, others, BY_QUARTETS(HIGH_HALVES));
    float lanes[LANES];
    store(lanes, quartets);
    UNROLLED for (int i = 0; i < 4; i++) {
        float total = lanes[i];
        UNROLLED for (int quartet = 4; quartet < LANES; quartet += 4) total += lanes[quartet + i];
        sums[i] = total;
    }
}

/* Calls f(V, ...) with the number of vectors in a tile of images as a constant, 8 at most. */
#define WITH_VECTORS(vectors, f, ...) \
    switch (vectors) { \
    case 1: f(1, __VA_ARGS__); break; \
    case 2: f(2, __VA_ARGS__); break; \
    case 3: f(3, __VA_ARGS__); break; \
    case 4: f(4, __VA_ARGS__); break; \
    case 5: f(5, __VA_ARGS__); break; \
    case 6: f(6, __VA_ARGS__); break; \
    case 7: f(7, __VA_ARGS__); break; \
    default: f(8, __VA_ARGS__); \
    }

#endif
