"""Covariant vectors and splitting angles: directions in the tangent space, forward and back."""
