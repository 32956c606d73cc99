"""Fixed points, cycles and slow points of a network under a constant input."""
