"""``lyapy convert``: from any weights file to the canonical one."""

import argparse

from .arguments import add_overwrite, add_weights, load_network
from .messages import write

SUMMARY = "write the network of a weights file in lyapy's canonical form (HDF5)"
EXAMPLE = "lyapy convert model.keras --prefix lstm -o canonical.h5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_weights(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="file to write")
    add_overwrite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert a file, and read it back to compare the network."""
    from ..storage.atomic import check_apart, check_output, write_whole
    from ..weights.frameworks.canonical import canonical_bytes
    from ..weights.load import load

    check_apart(arguments.output, [arguments.weights])
    check_output(arguments.output, overwrite=arguments.overwrite)
    network = load_network(arguments)
    write_whole(arguments.output, canonical_bytes(network), overwrite=arguments.overwrite)
    if load(arguments.output).digest() != network.digest():
        finding = "differs from the network written; the disk may be failing"
        raise ValueError(f"{arguments.output}: {finding}")
    for line in network.assumptions:
        write(f"  assumed: {line}")
    write(f"  SHA-256 of the weights: {network.digest()}")
    write(f"written to {arguments.output}")
    return 0
