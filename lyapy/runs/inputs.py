"""The inputs of a driven network, from arrays in files or from text."""

import os
import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np

from ..arrays import Array
from ..networks.inputs import check_array
from ..networks.network import Network
from ..storage.hdf5 import Dataset, Group, open_hdf5
from ..weights.formats.npy import read_array
from ..weights.formats.zip_archive import open_archive

ARRAYS = (".npy", ".npz", ".h5", ".hdf5")
NAMES_SHOWN = 8
# bytes that a file of arrays may unpack to, at least and for each of its bytes: one-hot rows
# compress by as much
SMALL, RATIO = 128 << 20, 256


def read_inputs(
    path: str | PathLike[str],
    network: Network,
    vocabulary: str | None = None,
    embedding: Array | None = None,
) -> Array:
    """Read inputs for a network; text and token ids are encoded as its weights file says.

    Whole numbers (T,) or (B, T) are token ids if the weights hold an embedding; see `lyapy.load`.

    Parameters
    ----------
    path : str or path
        ``.npy``; ``.npz`` or ``.h5`` with one array, or ``FILE.npz:NAME``, ``FILE.h5:NAME``;
        or ``.txt``, UTF-8, whose characters are the steps.
    network : Network
        Its input size is m.
    vocabulary : str, optional
        For text: the characters in the order of their indices, V of them; by default those in
        the weights file.
    embedding : array (V, m), optional
        For text: the input of each character; by default the embedding in the weights file.
        Without one, each is one-hot and V = m.

    Returns
    -------
    array (T, m) or (B, T, m)
        In float64.

    Raises
    ------
    ValueError, TypeError
        If the content does not fit the network or the vocabulary.
    OSError
        If the file cannot be opened.
    """
    m = network.input_size
    if m == 0:
        raise ValueError(f"{path}: the network reads no inputs; leave them out and give steps")
    file, name = _split_name(os.fspath(path))
    suffix = Path(file).suffix.lower()
    if suffix == ".txt":
        front = network.front
        rows = front.embedding if embedding is None else embedding
        return _read_text(file, m, vocabulary or front.vocabulary, rows)
    if suffix in ARRAYS:
        return check_array(f"{path}:", _read_array(file, suffix, name), network)
    kinds = ", ".join((*ARRAYS, ".txt"))
    raise ValueError(f"{path}: unsupported type of input file; give one of {kinds}")


def read_vocabulary(path: str | PathLike[str]) -> str:
    """Read a UTF-8 file of all characters in the order of their indices, each once.

    Every character counts, also a newline, and also one at the end of the file.
    """
    vocabulary = _decode(path, keep_returns=True)
    twice = next((c for i, c in enumerate(vocabulary) if c in vocabulary[:i]), None)
    if twice is not None:
        raise ValueError(
            f"{path}: has the character {twice!r} twice; give each once, in the order of its "
            "index, and no newline at the end unless it is one of them"
        )
    if not vocabulary:
        raise ValueError(f"{path}: is empty; give the characters in the order of their indices")
    return vocabulary


def input_file(path: str | None) -> str | None:
    """Return the file of inputs that a path names, without the name of an array."""
    return None if path is None else _split_name(path)[0]


def _split_name(path: str) -> tuple[str, str | None]:
    parted = re.fullmatch(r"(.+\.(?:npz|h5|hdf5)):(.+)", path, re.IGNORECASE | re.DOTALL)
    if parted is None or os.path.exists(path):
        return path, None
    return parted[1], parted[2]


def _read_array(file: str, suffix: str, name: str | None) -> Array:
    with open(file, "rb") as raw:
        size = os.fstat(raw.fileno()).st_size
        limit = max(SMALL, RATIO * size)
        try:
            if suffix == ".npy":
                return read_array(raw, "the array", size)
            if suffix == ".npz":
                with open_archive(raw, limit) as archive:
                    names = [member.removesuffix(".npy") for member in archive.namelist()]
                    member = archive.getinfo(f"{_choose(file, names, name)}.npy")
                    with archive.open(member) as stream:
                        return read_array(stream, repr(member.filename), member.file_size)
            return _read_hdf5(file, open_hdf5(raw, size, limit), name)
        except _ChoiceError as error:
            raise ValueError(str(error)) from None
        except Exception as error:  # a broken file can break its reader anywhere
            what = f"cannot be read as {suffix} ({_line(error)})"
            raise ValueError(
                f"{file}: {what}; write it again as a plain array of numbers"
            ) from error


def _read_hdf5(file: str, root: Group, name: str | None) -> Array:
    found = root.get(name) if name else None
    if not isinstance(found, Dataset):
        names = list(_datasets(root))
        found = root[_choose(file, names, name and name.strip("/"))]
    return found.read()


def _datasets(group: Group) -> Iterator[str]:
    for found in group.values():
        if isinstance(found, Group):
            yield from _datasets(found)
        else:
            yield found.path


class _ChoiceError(Exception):
    """The name of an array is missing or wrong."""


def _choose(file: str, names: list[str], name: str | None) -> str:
    shown = ", ".join(names[:NAMES_SHOWN]) + (" ..." if len(names) > NAMES_SHOWN else "")
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        remedy = f"name one as {file}:NAME" if names else "write one array of inputs into it"
        raise _ChoiceError(
            f"{file}: holds {len(names)} arrays{': ' * bool(names)}{shown}; {remedy}"
        )
    if name not in names:
        raise _ChoiceError(f"{file}: holds no array {name!r}; give one of: {shown}")
    return name


def _read_text(file: str, m: int, vocabulary: str | None, embedding: Array | None) -> Array:
    if vocabulary is None:
        raise ValueError(
            f"{file}: is text, and no vocabulary is known; give --vocabulary FILE (vocabulary=), "
            "the characters in the order of their indices"
        )
    rows = _character_inputs(file, m, vocabulary, embedding)
    text = _decode(file, keep_returns="\r" in vocabulary)
    if not text:
        raise ValueError(f"{file}: is empty; give at least one character")
    unknown = sorted(set(text) - set(vocabulary), key=text.index)
    if unknown:
        named = ", ".join(map(repr, unknown[:NAMES_SHOWN]))
        raise ValueError(
            f"{file}: has {len(unknown)} characters that are missing in the vocabulary of "
            f"{len(vocabulary)}: {named}, first at position {text.index(unknown[0])}; replace or "
            "remove them"
        )
    index = {character: i for i, character in enumerate(vocabulary)}
    return rows[[index[character] for character in text]]


def _character_inputs(file: str, m: int, vocabulary: str, embedding: Array | None) -> Array:
    """Return the input of each character of the vocabulary (V, m)."""
    V = len(vocabulary)
    if embedding is not None and np.shape(embedding) == (V, m):
        return np.asarray(embedding, dtype=np.float64)
    if m == V:
        return np.eye(V)
    found = "no embedding" if embedding is None else f"an embedding {np.shape(embedding)}"
    raise ValueError(
        f"{file}: the vocabulary has {V} characters, but the network reads {m} inputs, and the "
        f"weights hold {found}; give a vocabulary of {m} for one-hot inputs, an embedding "
        f"({V}, {m}) in the weights, as embedding.weight, or the inputs as an array"
    )


def _decode(path: str | PathLike[str], *, keep_returns: bool) -> str:
    try:
        with open(path, encoding="utf-8", newline="" if keep_returns else None) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); convert it"
        ) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
