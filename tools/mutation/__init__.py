"""Mutants of the numerics, made by cosmic-ray; run by hand, see docs/validation.md."""
