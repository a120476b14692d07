"""The distance of a net's kernel from its infinitely wide limit: Figure 7, and advice from it."""
