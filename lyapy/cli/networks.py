"""``lyapy spectrum`` over many weights files: one run file for each, and shards of them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from glob import has_magic
from typing import TYPE_CHECKING

from ..errors import Interrupted
from .signals import interruptions

if TYPE_CHECKING:
    from ..spectra.spectrum import Spectrum
    from ..sweeps.names import Shard
    from ..sweeps.task import Outcome

__all__ = ["FAILED", "LOCKED", "add_shard", "are_many", "report", "run_members"]

FAILED = 1
LOCKED = 73


def add_shard(parser: argparse.ArgumentParser) -> None:
    """Add the argument that picks some of many weights files."""
    parser.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N|auto",
        help="with several WEIGHTS: the I-th of N parts of them, I from 1; auto asks Slurm's array",
    )


def _shard(text: str) -> Shard | str:
    from ..sweeps.names import parse_shard

    if text == "auto":
        return text
    try:
        return parse_shard(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def are_many(arguments: argparse.Namespace) -> bool:
    """Return whether there is a folder of run files to write rather than one of them."""
    weights = arguments.weights
    pattern = has_magic(weights[0]) and not os.path.exists(weights[0])
    named_folder = arguments.output.endswith(os.sep)
    return len(weights) > 1 or pattern or named_folder or arguments.shard is not None


def run_members(
    arguments: argparse.Namespace, compute: Callable[[argparse.Namespace], Spectrum]
) -> int:
    """Compute the members of a shard one after the other, and go on where one fails.

    Parameters
    ----------
    arguments : Namespace
        With ``weights``, files and patterns; ``output``, a folder, made if missing; ``shard``.
    compute
        Computes one, with its own ``weights`` and ``output``.

    Returns
    -------
    int
        0, or 1 if one failed, or 73 if others are being computed by other processes.

    Raises
    ------
    Interrupted
        If told to end; the same command continues.
    CheckpointError
        If nothing can be written.
    """
    from ..sweeps.names import Shard, expand, named, shard_of_array

    weights = named(expand(arguments.weights))
    shard = shard_of_array(os.environ) if arguments.shard == "auto" else arguments.shard
    mine = (shard or Shard(1, 1)).select(list(weights))
    of_shard = " in this shard" if shard else ""
    codes: list[int] = []
    with interruptions():
        try:
            for number, name in enumerate(mine, 1):
                if not arguments.quiet:
                    print(f"{name}: {number} of {len(mine)}{of_shard}", flush=True)
                codes.append(_run_member(name, weights[name], arguments, compute))
        except Interrupted:
            raise
        except KeyboardInterrupt:
            done = f"interrupted with {len(codes)} of {len(mine)} members computed"
            raise Interrupted(f"{done}: run the same command again to go on") from None
    if not arguments.quiet:
        print(f"{codes.count(0)} of {len(mine)} members written to {arguments.output}")
    return next((code for code in (FAILED, LOCKED) if code in codes), 0)


def _run_member(
    name: str,
    weights: str,
    arguments: argparse.Namespace,
    compute: Callable[[argparse.Namespace], Spectrum],
) -> int:
    from ..sweeps.names import run_file
    from ..sweeps.task import attempt

    run = run_file(arguments.output, name)
    own = vars(arguments) | {"weights": weights, "output": str(run)}
    outcome = attempt(name, run, lambda: compute(argparse.Namespace(**own)))
    return report(outcome, quiet=arguments.quiet)


def report(outcome: Outcome, *, quiet: bool) -> int:
    """Print what has become of a member, and return its exit code."""
    if outcome.code == "computed":
        if not quiet:
            print(f"{outcome.name}: {outcome.message}", flush=True)
        return 0
    error = "error: " if outcome.code == "failed" else ""
    print(f"lyapy: {error}{outcome.name}: {outcome.message}", file=sys.stderr, flush=True)
    return LOCKED if outcome.code == "locked" else FAILED
