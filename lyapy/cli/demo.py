"""``lyapy demo``: the main job on the network that ships with lyapy."""

import argparse
from pathlib import Path

from ..runs.options import Compute
from .arguments import add_options, add_overwrite, given_options
from .messages import write_lines

SUMMARY = "compute the spectrum of a character-level LSTM that ships with lyapy"
EXAMPLE = "lyapy demo -o results"

STEPS, TRANSIENT, LEADING = 2048, 1024, 16
TEXT = (
    "A character-level LSTM reads {b} passages of War and Peace, {t} characters each; its\n"
    "Lyapunov spectrum says how fast perturbations of its state grow or die out. These are the\n"
    "{k} leading of {D} exponents; lyapy demo -k {D} computes all, in some minutes. On the\n"
    "first run the engine is compiled, which takes some seconds more.\n"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", default=".", metavar="FOLDER",
        help="for spectrum.h5 and spectrum.png, made if missing (this folder)",
    )  # fmt: skip
    parser.add_argument(
        "-k",
        type=int,
        default=LEADING,
        metavar="K",
        help="leading exponents to compute (%(default)s)",
    )
    add_options(parser, Compute, "engine")
    add_overwrite(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Compute, print, write and draw."""
    from ..runs.example import load_example
    from ..storage.atomic import check_output

    folder = Path(arguments.output)
    if not folder.exists():
        folder.mkdir(parents=True)
    run_file, picture = folder / "spectrum.h5", folder / "spectrum.png"
    network, inputs, _ = load_example()
    overwrite = arguments.overwrite or _is_own(run_file, network.digest())
    for output in (run_file, picture):
        check_output(output, overwrite=overwrite)
    passages = inputs[:, : TRANSIENT + STEPS]
    B, length, _ = passages.shape
    k, D = arguments.k, network.state_size
    write_lines(TEXT.format(b=B, t=length, k=k, D=D), flush=True)

    from ..runs.lyapunov import lyapunov_spectrum
    from ..spectra.plots import plot_summary
    from ..spectra.text import spectrum_table

    options = {"k": k, "progress": not arguments.quiet, **given_options(arguments, Compute)}
    spectrum = lyapunov_spectrum(network, passages, transient=TRANSIENT, **options)
    spectrum.save(run_file, overwrite=overwrite)
    write_lines(spectrum_table(spectrum))
    plot_summary(spectrum, picture, overwrite=overwrite)
    write_lines(f"\nwritten to {run_file} and {picture}")
    return 0


def _is_own(run_file: Path, digest: str) -> bool:
    """Return whether an earlier demo wrote the file, so that this one may replace it."""
    from ..spectra.spectrum import Spectrum

    try:
        found = Spectrum.load(run_file).settings
    except (OSError, ValueError):
        return False
    return found.get("network_sha256") == digest and found.get("transient") == TRANSIENT
