"""What a sweep is asked for: networks under names, what is told of them, their inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

import numpy as np

from ..arrays import array_digest
from ..networks.network import Network
from .metadata import check_name, join_table, match_paths, read_table
from .names import Shard, expand, named, parse_shard

__all__ = ["as_file", "members_of", "metadata_of", "shard_of"]


def members_of(networks: Any) -> dict[str, str | Network]:
    """Return networks or their weights files under the names of members, sorted by name."""
    if isinstance(networks, (str, PathLike)):
        networks = [networks]
    if not isinstance(networks, Mapping):
        return dict(named(expand(fspath(path) for path in networks)))
    members: dict[str, str | Network] = {}
    for name in sorted(networks):
        network, place = networks[name], PurePosixPath(name)
        if place.is_absolute() or not place.parts or ".." in place.parts:
            raise ValueError(f"networks: {name!r} cannot name a run file; choose another name")
        if not isinstance(network, (Network, str, PathLike)):
            kind = type(network).__name__
            raise TypeError(f"networks[{name!r}] is a {kind}; give a lyapy.Network or a path")
        members[str(place)] = network if isinstance(network, Network) else fspath(network)
    return members


def metadata_of(
    members: Mapping[str, str | Network],
    pattern: str | None,
    metadata: str | PathLike[str] | Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, dict[str, Any]]:
    """Return the columns that a pattern and a table tell, for each member."""
    paths = {name: n if isinstance(n, str) else name for name, n in members.items()}
    told: dict[str, dict[str, Any]] = {name: {} for name in members}
    if pattern is not None:
        told = match_paths(pattern, paths)
    if isinstance(metadata, Mapping):
        for name in metadata.keys() - told.keys():
            raise ValueError(f"metadata: {name!r} is not the name of a network here")
        for name, columns in metadata.items():
            for column in columns:
                check_name(column, f"metadata of {name!r}")
            told[name] = {**told[name], **columns}
    elif metadata is not None:
        told = join_table(told, paths, read_table(metadata), fspath(metadata))
    return told


def shard_of(shard: str | tuple[int, int]) -> Shard:
    """Return the shard that ``"i/n"`` or (i, n) names."""
    return parse_shard(shard) if isinstance(shard, str) else parse_shard(f"{shard[0]}/{shard[1]}")


def as_file(inputs: Any, folder: Path) -> str | None:
    """Return the file of the inputs, so that they do not travel with every task."""
    if inputs is None or isinstance(inputs, (str, PathLike)):
        return None if inputs is None else os.path.abspath(inputs)
    array = np.asarray(inputs)
    path = folder / f"inputs-{array_digest(array)[:16]}.npy"
    if not path.exists():
        # shards of a sweep may come here at once, on hosts whose processes have the same numbers
        temporary = path.with_name(f".{uuid4().hex}-{path.name}")
        np.save(temporary, array, allow_pickle=False)
        os.replace(temporary, path)
    return str(path)
