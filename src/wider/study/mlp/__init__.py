"""MLPs: Figure 4 and what was checked of it, the three ways to widen, allocations."""
