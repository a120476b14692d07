"""How all native code is compiled."""

from numba import njit

# Sums may be regrouped (they are anyway, lane by lane), but NaN and infinity must survive, since
# they tell that a run diverged: not "nnan", not "ninf".
compiled = njit(cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
"""Decorates a function that Numba compiles once for each kind of arguments and keeps on disk."""
