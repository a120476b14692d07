"""When a run writes its next checkpoint."""

import time

from wider.training import Processes


class CheckpointClock:
    """Says when a checkpoint is due, to all processes of a run after the same step.

    Args:
        seconds: from one checkpoint to the next.
        processes: that train together; each of them has such a clock and asks it after each step.
    """

    def __init__(self, seconds: float, processes: Processes) -> None:
        self._seconds = seconds
        self._processes = processes
        self.restart()

    def restart(self) -> None:
        """Counts from now on."""
        self._start = time.monotonic()
        self._steps, self._next_look = 0, 1

    def is_due(self, ahead: float = 0.0) -> bool:
        """Whether to write one now.

        Args:
            ahead: for so many seconds nobody will be able to; 0 where there is another step.
        """
        self._steps += 1
        if self._processes.count > 1 and not ahead and self._steps < self._next_look:
            return False
        elapsed = time.monotonic() - self._start
        left = self._seconds - elapsed - ahead
        # The first process decides. To hear it, a GPU has to wait: not after each step, but after
        # twice as many each time, and after as many as fit into what is left.
        fitting = self._steps * left / max(elapsed, 1e-9)
        wait = max(1, int(min(self._steps, fitting))) if left > 0 else 0
        wait = self._processes.told_by_first(wait)
        self._next_look = self._steps + wait
        return wait == 0
