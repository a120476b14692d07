/* How threads share the work of a call. */

#ifndef WIDER_SHARES_H
#define WIDER_SHARES_H

#include <stdint.h>

/* What a task returns. */
enum { DONE = 0, NO_MEMORY = 1 };

struct share {
    int64_t start, stop;
};

/* The share of one of `count` threads, in whole blocks; shares differ by one block at most. */
static inline struct share share_of(int64_t total, int64_t block, int64_t number, int64_t count) {
    int64_t blocks = (total + block - 1) / block;
    int64_t start = blocks * number / count * block, stop = blocks * (number + 1) / count * block;
    return (struct share){start, stop < total ? stop : total};
}

#endif
