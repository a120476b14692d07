"""How all native code is compiled."""

from numba import njit

# Without the interpreter's lock, so that several threads can be in it. Sums may be regrouped (they
# are anyway, lane by lane), but NaN and infinity must survive, since they tell that a run diverged:
# not "nnan", not "ninf". Numba's files on disk do not know these options: `make clean` when you
# change one.
compiled = njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
"""Decorates a function that Numba compiles once for each kind of arguments and keeps on disk."""
