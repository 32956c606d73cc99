"""Targets of fuzzing: for each reader its first files, and the layouts to try on the result.

The files are those that frameworks wrote (tests/golden); lyapy's own canonical form is added.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import lyapy
from lyapy.weights.frameworks.canonical import canonical_bytes
from lyapy.weights.frameworks.layer import Hints

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
SEED_LIMIT = 32 << 10


class Target(NamedTuple):
    """A reader: patterns of golden files to take and to leave out, layouts, and mutations."""

    patterns: tuple[str, ...]
    without: str = ""
    layouts: tuple[str | None, ...] = (None,)
    container: str = "plain"


TARGETS = {
    "torch": Target(("torch_files/*.pt",), without="_old", container="zip"),
    "torch-legacy": Target(("torch_files/*_old.pt",)),
    "safetensors": Target(("jax_files/*.safetensors",), container="safetensors"),
    "npz": Target(
        ("jax_files/*.npz", "tensorflow1_files/*.npz"),
        layouts=(None, "haiku", "tensorflow1"),
        container="zip",
    ),
    "hdf5": Target(("keras_files/*.h5",)),
    "keras": Target(("keras_files/*.keras",), container="zip"),
    "onnx": Target(("onnx_files/*.onnx",)),
    "msgpack": Target(("jax_files/*.msgpack",)),
    "equinox": Target(("jax_files/*.eqx",), layouts=("equinox",)),
}


def hints_for(layout: str | None) -> Hints:
    """Return parameters for a file, so that layers are built whatever it leaves open."""
    return Hints(nonlinearity="tanh", gate_nonlinearity="sigmoid", layout=layout)


def seeds(name: str) -> Iterator[tuple[str, bytes]]:
    target = TARGETS[name]
    for pattern in target.patterns:
        for path in sorted(GOLDEN.glob(pattern)):
            if target.without and target.without in path.name:
                continue
            if path.stat().st_size <= SEED_LIMIT:
                yield path.name, path.read_bytes()
    if name == "hdf5":
        for kind in ("vanilla", "gru", "lstm", "lstm-projected"):
            yield f"canonical_{kind}", canonical_bytes(lyapy.random_network(kind, 3, 2))
