"""Weights files mutated under the eyes of atheris; run by hand, see docs/reliability.md."""
