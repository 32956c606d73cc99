"""Bytes on disk: atomic writes, seals, trees of values, locks."""
