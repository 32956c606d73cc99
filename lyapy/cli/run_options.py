"""The arguments of a run: what is computed of a network, how exactly, and how it is kept."""

from __future__ import annotations

import argparse
from typing import Any

from .load_options import add_engine

__all__ = ["add_run_options", "run_options"]

NAMES = (
    "steps", "k", "trajectories", "transient", "interval", "tolerance", "frame", "seed", "dt",
    "backend", "threads", "blas_threads", "checkpoint_every", "record", "record_every",
    "require_identical", "precision", "any_backend",
)  # fmt: skip


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a run, but for its weights and output."""
    add = parser.add_argument
    shapes = ".npy, .npz or .h5 (FILE:NAME names an array) of shape (T, m) or (B, T, m), or .txt"
    add("--inputs", metavar="FILE", help=shapes)
    characters = "for .txt: all characters in the order of their indices (those in WEIGHTS)"
    add("--vocabulary", metavar="FILE", help=characters)
    add("--steps", type=int, metavar="N", help="steps to count (all inputs)")
    add("-k", type=int, metavar="K", help="leading exponents to compute (all)")
    add("--trajectories", type=int, metavar="B", help="trajectories from random initial states")
    add("--transient", type=int, default=0, metavar="N", help="steps not counted at first (0)")
    between = "steps between two reorthonormalizations (auto)"
    add("--interval", type=_interval, default="auto", metavar="N|auto", help=between)
    admitted = "rounding error admitted in one interval, in nats (1e-8; 2.5e-4 in float32)"
    add("--tolerance", type=float, metavar="X", help=admitted)
    frames = "initial deviation vectors (random)"
    add("--frame", choices=("random", "identity"), default="random", help=frames)
    add("--seed", type=int, default=0, metavar="N", help="of frames and states (0)")
    per_time = "time of a step: exponents per unit of time instead of per step"
    add("--dt", type=float, metavar="X", help=per_time)
    add_engine(parser)
    kinds = "in which a GPU computes (float64)"
    add("--precision", choices=("float64", "float32"), default="float64", help=kinds)
    _add_run_file(parser)


def _add_run_file(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "checkpoints", "the same command run again continues"
    ).add_argument
    often = "seconds between two checkpoints (300)"
    add("--checkpoint-every", type=float, default=300.0, metavar="S", help=often)
    kinds = (
        "growth, states, frames or factors, to be kept on the way; several are separated by commas"
    )
    add("--record", type=_record, default=("growth",), metavar="KINDS", help=kinds)
    add("--record-every", type=int, metavar="N", help="steps between two recorded rows (64)")
    identical = "refuse to continue on another machine or with other versions or threads"
    add("--require-identical", action="store_true", help=identical)
    moved = "continue a run that another backend began, on the CPU or on a GPU"
    add("--any-backend", action="store_true", help=moved)


def run_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments as `lyapy.lyapunov_spectrum` takes them."""
    return {name: getattr(arguments, name) for name in NAMES}


def _record(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _interval(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number") from None
