#include "shares.h"

#include "vectors.h"

/* A task for a team of OpenMP threads, of whichever library PyTorch computes with. */
struct team {
    int (*task)(const void *job, int64_t number);
    const void *job;
    int64_t count;
    int (*own_number)(void);
    int (*team_size)(void);
    int *results; /* of each number */
};

/* The body of a parallel region. Inside somebody else's, the team may be smaller than asked for. */
PUBLIC void run_on_team(const struct team *team) {
    for (int64_t number = team->own_number(); number < team->count; number += team->team_size())
        team->results[number] = team->task(team->job, number);
}

#ifdef __clang__
PUBLIC const char *compiler(void) { return "Clang " __clang_version__; }
#else
PUBLIC const char *compiler(void) { return "GCC " __VERSION__; }
#endif

/* Numbers in a vector, and vectors of sums in a tile of a pass forward and of one backward. */
PUBLIC int lanes(void) { return LANES; }
PUBLIC int most_sums(void) { return MOST_SUMS; }
PUBLIC int most_pairs(void) { return MOST_PAIRS; }
