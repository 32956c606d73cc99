"""The arguments of a run: what is computed of a network, how exactly, and what is kept."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from ..runs.options import KINDS, Compute, Keep, Method, described

__all__ = ["add_options", "add_run_options", "given_options", "run_options"]

# of lyapunov_spectrum, for one run or many
EVERYDAY = ("steps", "k", "trajectories", "transient", "seed", "dt")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a run, except its weights and output."""
    add = parser.add_argument
    shapes = ".npy, .npz or .h5 (FILE:NAME names an array) of shape (T, m) or (B, T, m), or .txt"
    add("--inputs", metavar="FILE", help=shapes)
    characters = "for .txt: all characters in the order of their indices (those in WEIGHTS)"
    add("--vocabulary", metavar="FILE", help=characters)
    add("--steps", type=int, metavar="N", help="steps to count (all inputs)")
    add("-k", type=int, metavar="K", help="leading exponents to compute (all)")
    add("--trajectories", type=int, metavar="B", help="trajectories from random initial states")
    add("--transient", type=int, default=0, metavar="N", help="steps not counted at first (0)")
    add("--seed", type=int, default=0, metavar="N", help="of frames and states (0)")
    per_time = "time of a step: exponents per unit of time instead of per step"
    add("--dt", type=float, metavar="X", help=per_time)
    add_options(parser, Method, "method")
    add_options(parser, Compute, "engine")
    add_options(parser, Keep, "checkpoints", "the same command run again continues")


def add_options(
    parser: argparse.ArgumentParser, kind: type[Any], title: str, description: str = ""
) -> None:
    """Add a flag for each field of a dataclass of options that does not name the output."""
    add = parser.add_argument_group(title, description or None).add_argument
    defaults = {each.name: each.default for each in fields(kind)}
    for name, option in described(kind).items():
        flag, default = f"--{name.replace('_', '-')}", defaults[name]
        if option.by_output:
            continue
        if default is True:
            add(f"--no-{flag[2:]}", dest=name, action="store_false", help=f"do not {option.text}")
        elif default is False:
            add(flag, action="store_true", help=option.text)
        else:
            add(
                flag,
                default=default,
                choices=option.choices or None,
                type=option.parse,
                metavar=option.metavar,
                help=f"{option.text} ({option.unset or default})",
            )


def given_options(arguments: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """Return the options of a dataclass that the arguments hold, by name."""
    return {n: getattr(arguments, n) for n, o in described(kind).items() if not o.by_output}


def run_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments as `lyapy.lyapunov_spectrum` takes them."""
    options = {name: getattr(arguments, name) for name in EVERYDAY}
    for kind in KINDS.values():
        options |= given_options(arguments, kind)
    return options
