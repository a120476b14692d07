"""ResNet-18 on natural images: Figures 1, 3, 5, 6, 9, 11, 12, 13 and Table 1."""
