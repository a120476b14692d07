"""What is drawn from the library's own nets, without training: Figures 2, 8 and 10."""
