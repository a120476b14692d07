/* Memory for the time of one call, kept by each thread for its next: fresh memory costs a page
   fault every 4 kB. */

#ifndef WIDER_SCRATCH_H
#define WIDER_SCRATCH_H

#include <stdint.h>

/* So many floats, from a line of the cache on, until the thread's next call; NULL if there is not
   so much memory. */
float *scratch(int64_t count);

#endif
