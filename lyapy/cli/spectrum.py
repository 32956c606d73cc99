"""``lyapy spectrum``: from a weights file to a run file, or from several to a folder of them."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Interrupted
from .arguments import add_run_arguments, given_hints, run_arguments
from .messages import report, report_shared, worst, write, write_lines
from .signals import BEFORE, interruptions

if TYPE_CHECKING:
    from ..spectra.spectrum import Spectrum

SUMMARY = "compute the Lyapunov spectrum of a network and write it to a run file"
EXAMPLE = "lyapy spectrum model.pt --inputs drive.npy --transient 500 -k 32 -o run.h5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    output = "run file to write (HDF5), or folder of them for several WEIGHTS"
    add("-o", "--output", required=True, metavar="FILE", help=output)
    target = "without inputs: instead of --steps, go on until no standard error is larger"
    add("--until", type=float, metavar="SE", help=target)
    most = "most steps that --until may take (1000000)"
    add("--max-steps", type=int, default=1_000_000, metavar="N", help=most)
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compute and write a spectrum, or one of each network; 1 if a check failed."""
    weights = arguments.weights
    is_pattern = has_magic(weights[0]) and not os.path.exists(weights[0])
    is_folder = arguments.output.endswith(os.sep)
    if len(weights) > 1 or is_pattern or is_folder or arguments.shard is not None:
        return _run_many(arguments)
    with interruptions():
        spectrum = _compute(arguments, arguments.weights[0], Path(arguments.output))
    from ..spectra.status import FAILED

    if not arguments.quiet:
        from ..spectra.text import spectrum_table

        write_lines(f"{spectrum_table(spectrum)}\n\nwritten to {arguments.output}")
    return int(spectrum.status.code == FAILED)


def _compute(arguments: argparse.Namespace, weights: str, output: Path) -> Spectrum:
    from ..spectra.file import check_run_output
    from ..storage.atomic import check_apart
    from ..sweeps.task import Task, spectrum_of

    check_apart(output, [weights, *_read(arguments)])
    check_run_output(output, overwrite=arguments.overwrite)
    own = {"until": arguments.until, "max_steps": arguments.max_steps}
    task = Task(
        name="", network=weights, folder=os.getcwd(), inputs=arguments.inputs,
        vocabulary=arguments.vocabulary, run=output, load_options=given_hints(arguments),
        options=run_arguments(arguments) | own | {"progress": not arguments.quiet},
        closed_loop=arguments.closed_loop, readout=arguments.readout,
    )  # fmt: skip
    return spectrum_of(task)


def _read(arguments: argparse.Namespace) -> list[str | None]:
    """Return the files that every network reads."""
    from ..runs.inputs import input_file

    return [input_file(arguments.inputs), arguments.vocabulary]


def _run_many(arguments: argparse.Namespace) -> int:
    """Compute the networks of a shard one after the other, and go on if one fails."""
    from ..storage.atomic import check_apart
    from ..sweeps.names import Shard, expand, named, run_file
    from ..sweeps.task import attempt

    weights = named(expand(arguments.weights))
    mine = (arguments.shard or Shard(1, 1)).select(list(weights))
    for name in weights:
        check_apart(run_file(arguments.output, name), [*weights.values(), *_read(arguments)])
    of_shard = " in this shard" if arguments.shard else ""
    codes: list[int] = []
    errors = Counter[str]()
    with interruptions():
        try:
            for number, name in enumerate(mine, 1):
                if not arguments.quiet:
                    write(f"{name}: {number} of {len(mine)}{of_shard}", flush=True)
                path = run_file(arguments.output, name)
                compute = partial(_compute, arguments, weights[name], path)
                outcome = attempt(name, path, compute, arguments.overwrite)
                codes.append(report(outcome, errors, quiet=arguments.quiet))
        except KeyboardInterrupt as stop:
            # a run that had begun says more
            if isinstance(stop, Interrupted) and str(stop) != BEFORE:
                raise
            done = f"interrupted with {len(codes)} of {len(mine)} networks computed"
            raise Interrupted(f"{done}: run the same command again to go on") from None
    report_shared(errors)
    if not arguments.quiet:
        write(f"{codes.count(0)} of {len(mine)} networks written to {arguments.output}")
    return worst(codes)
