"""The inputs of each network of a sweep: shared, by fields of its path, computed, or by task."""

import os
from collections.abc import Callable, Mapping
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Any, TypeAlias
from uuid import uuid4

import numpy as np

from ..arrays import Array, array_digest, as_numpy
from ..networks.closed_loop import ClosedLoop
from ..networks.network import Network
from .metadata import fields_of

Inputs: TypeAlias = "str | PathLike[str] | Array | Callable[[str, Network], Any] | None"

# the column with the task's name
TASK = "inputs"


def inputs_by_name(
    networks: Mapping[str, str | Network], inputs: Any
) -> tuple[dict[str, str | Network], dict[str, Inputs], dict[str, dict[str, Any]]]:
    """Return networks, inputs and a column by name; a mapping by task gives networks × tasks.

    A mapping by the names of networks has inputs for each of them; any other has tasks, and the
    names are then ``network/task``. Raises ValueError if it has only some of the networks, or a
    name is taken.
    """
    if not isinstance(inputs, Mapping):
        return dict(networks), dict.fromkeys(networks, inputs), {}
    lacking = [name for name in networks if name not in inputs]
    if not lacking:
        return dict(networks), {name: inputs[name] for name in networks}, {}
    if len(lacking) < len(networks) or not inputs:
        raise ValueError(
            f"inputs: has none for the network {lacking[0]!r}; give a mapping by all names, or by "
            "tasks that each network reads"
        )
    found: dict[str, str | Network] = {}
    each: dict[str, Inputs] = {}
    columns: dict[str, dict[str, Any]] = {}
    for name, network in networks.items():
        for task, value in inputs.items():
            place = PurePosixPath(str(task))
            if place.is_absolute() or not place.parts or ".." in place.parts:
                raise ValueError(f"inputs: {task!r} cannot name a run file; choose another name")
            pair = f"{name}/{place}"
            if pair in found or pair in networks:
                raise ValueError(f"inputs: {pair!r} would name two results; rename the task")
            found[pair], each[pair], columns[pair] = network, value, {TASK: str(task)}
    return dict(sorted(found.items())), each, columns


def filled(
    inputs: Inputs, name: str, network: str | Network, pattern: str | None,
    columns: Mapping[str, Any],
) -> Inputs:  # fmt: skip
    """Return inputs with a path's fields, ``{task}``, replaced by those of the network.

    Fields of ``pattern`` stand for their text in the network's path, other columns for their
    value. Raises ValueError for another field.
    """
    if not isinstance(inputs, (str, PathLike)):
        return inputs
    text = fspath(inputs)
    fields = [] if os.path.exists(text) else [f for _, f, _, _ in Formatter().parse(text) if f]
    if not fields:
        return os.path.abspath(text)
    path = network if isinstance(network, str) else name
    known = {k: str(v) for k, v in columns.items()} | {"name": name}
    known |= fields_of(pattern, {name: path})[name] if pattern else {}
    for field in fields:
        if field not in known:
            remedy = "name it in pattern= (--pattern)"
            raise ValueError(
                f"inputs is {text!r}, but {field!r} is none of {', '.join(known)}; {remedy}"
            )
    return os.path.abspath(text.format(**known))


def computed(inputs: Inputs, network: Network, weights: str) -> Any:
    """Return the inputs that a function of path and network computes, others as they are."""
    return inputs(weights, open_loop(network)) if callable(inputs) else inputs


def open_loop(network: Network) -> Network:
    """Return the network that reads inputs, if only to warm up."""
    return network.open_loop if isinstance(network, ClosedLoop) else network


def as_file(inputs: Any, folder: Path) -> str | None:
    """Return a file of the inputs, so that they are not sent with every task."""
    if inputs is None or isinstance(inputs, (str, PathLike)):
        return None if inputs is None else os.path.abspath(inputs)
    array = as_numpy(inputs)
    path = folder / f"inputs-{array_digest(array)[:16]}.npy"
    if not path.exists():
        # shards may write it at once, on hosts whose processes have the same numbers
        temporary = path.with_name(f".{uuid4().hex}-{path.name}")
        np.save(temporary, array, allow_pickle=False)
        os.replace(temporary, path)
    return str(path)
