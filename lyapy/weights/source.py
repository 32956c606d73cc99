"""Everything that a network is loaded from: a file, an open file, or a model in memory."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array
from ..errors import WeightsError
from .formats import Contents, read_contents
from .formats.refusal import RefusedError, weights_errors
from .parameters import parameters

DEPTH_LIMIT = 100
BUFFER = 1 << 20


def read_source(source: Any) -> tuple[str, Contents]:
    """Return the name of a source of `lyapy.load`, for messages, and its parameters."""
    if isinstance(source, (str, PathLike)):
        name, contents = str(fspath(source)), read_contents(source)
    elif hasattr(source, "read"):
        name, contents = _read_file(source)
    elif isinstance(source, Mapping) or _is_keras(source) or _is_module(source):
        name = f"a {type(source).__name__} in memory"
        with weights_errors(name, "cannot be read"):
            contents = _read_model(source)
            if not contents.arrays:
                raise RefusedError("holds no arrays", "give a mapping of names to arrays")
    else:
        raise TypeError(
            f"source is a {type(source).__name__}; give a path, an open file, a mapping of names "
            "to arrays (such as flax.nnx.state(model)), or a PyTorch or Keras model"
        )
    with weights_errors(name, "cannot be read"):
        return name, parameters(contents)


def _is_keras(model: Any) -> bool:
    return hasattr(model, "weights") and hasattr(model, "get_config")


def _is_module(model: Any) -> bool:
    return callable(getattr(model, "state_dict", None))


def _read_file(file: Any) -> tuple[str, Contents]:
    """Read an open file, or one in memory, by way of a temporary copy."""
    name = str(getattr(file, "name", f"a {type(file).__name__} in memory"))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "weights")
        with copy.open("wb") as target:
            while part := file.read(BUFFER):
                if isinstance(part, str):
                    raise TypeError(f"{name} is open as text; open it with mode 'rb'")
                target.write(part)
        try:
            return name, read_contents(copy)
        except WeightsError as error:
            raise WeightsError(name, error.what, error.remedy) from None


def _read_model(model: Any) -> Contents:
    """Return the arrays of a model or mapping, and the choices that it states."""
    if _is_keras(model):
        # Keras 3 has the whole path, Keras 2 in the name
        named = {getattr(v, "path", v.name): _as_array(v) for v in model.weights}
        arrays = {name: array for name, array in named.items() if array is not None}
        return Contents(arrays, _keras_metadata(model))
    metadata: dict[str, str] = {}
    if _is_module(model):
        modules = getattr(model, "named_modules", None)
        for name, module in modules() if modules else ():
            if (stated := _nonlinearity(module)) is not None:
                metadata[f"{name}.nonlinearity" if name else "nonlinearity"] = stated
        model = model.state_dict()
    return Contents(dict(_leaves(model, "", 0)), metadata)


def _nonlinearity(module: Any) -> str | None:
    stated = getattr(module, "nonlinearity", None)
    return stated if hasattr(module, "weight_hh_l0") or hasattr(module, "weight_hh") else None


def _keras_metadata(model: Any) -> dict[str, str]:
    """Return a model's or layer's configuration, as Keras's files have it."""
    version = "3" if any(hasattr(v, "path") for v in model.weights) else "2"
    try:
        config = {"class_name": type(model).__name__, "config": model.get_config()}
    except NotImplementedError:  # of a class that the user derived
        return {"keras_version": version}
    return {"model_config": json.dumps(config, default=str), "keras_version": version}


def _leaves(found: Any, path: str, depth: int) -> Iterator[tuple[str, Array]]:
    """Yield the arrays in nested mappings and sequences; their keys are joined by dots."""
    if depth > DEPTH_LIMIT:
        raise RefusedError("nests its mappings too deeply", "give a mapping of names to arrays")
    items: Iterable[tuple[Any, Any]]
    if isinstance(found, Mapping):
        items = found.items()
    elif isinstance(found, (list, tuple)) and any(map(_holds_arrays, found)):
        items = enumerate(found)
    elif hasattr(found, "tocsr"):
        rows = found.tocsr()
        items = ((part, getattr(rows, part)) for part in ("data", "indices", "indptr", "shape"))
    else:
        array = _as_array(found)
        if array is not None and array.dtype.kind in "biufcSU":
            yield path, array
        return
    for key, value in items:
        yield from _leaves(value, f"{path}.{key}" if path else str(key), depth + 1)


def _holds_arrays(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple)) or hasattr(value, "shape")


def _as_array(value: Any) -> Array | None:
    """Return an array of another library as NumPy's, on the CPU; None for other objects."""
    for step in ("detach", "cpu"):
        value = getattr(value, step)() if callable(getattr(value, step, None)) else value
    if type(value).__module__.partition(".")[0] == "cupy":
        value = value.get()
    if "bfloat16" in str(getattr(value, "dtype", "")):
        value = value.float() if hasattr(value, "float") else np.asarray(value).astype(np.float32)
    try:
        return np.asarray(value)
    except (TypeError, RuntimeError):
        return np.from_dlpack(value) if hasattr(value, "__dlpack__") else None
