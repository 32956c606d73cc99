"""Makers of golden files, each run by hand where its framework is installed."""

from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
