"""The user's columns for the networks of a sweep, from their paths or from a table."""

import csv
import math
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from os import PathLike, fspath
from pathlib import PurePath
from typing import Any

import numpy as np

from ..networks.network import Network
from .names import without_suffix
from .rows import COLUMNS

# columns of a table that identify a network
IDENTITIES = ("name", "weights")
# not "2024_01", "nan" or "infinity", which Python reads as numbers
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
MISSING = {"": math.nan, "nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def metadata_of(
    networks: Mapping[str, str | Network], pattern: str | None,
    metadata: str | PathLike[str] | Mapping[str, Mapping[str, Any]] | None,
    known: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Return the columns from a pattern and a table, and those known, for each network by name."""
    paths = {name: n if isinstance(n, str) else name for name, n in networks.items()}
    columns = {name: {} for name in networks} if pattern is None else match_paths(pattern, paths)
    for name, own in known.items():
        if taken := columns[name].keys() & own.keys():
            raise ValueError(f"pattern: {min(taken)!r} is the column of tasks; rename the field")
        columns[name] |= own
    if isinstance(metadata, Mapping):
        for name, added in metadata.items():
            if name not in columns:
                raise ValueError(f"metadata: {name!r} is not the name of a network here")
            for column, value in added.items():
                _check_name(column, f"metadata of {name!r}")
                _check_value(value, f"metadata of {name!r}, {column}")
            columns[name] = {**columns[name], **added}
    elif metadata is not None:
        columns = join_table(columns, paths, read_table(metadata), fspath(metadata))
    return columns


def match_paths(pattern: str, paths: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the values of a pattern's fields in the path of each network; see `fields_of`."""
    found = fields_of(pattern, paths)
    return {name: {f: _as_value(text) for f, text in of.items()} for name, of in found.items()}


def fields_of(pattern: str, paths: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the text of a pattern's fields in the path of each network.

    The pattern is the end of the paths, with or without their suffix; fields in braces stand for
    text without a slash. Raises ValueError if it has no field or an invalid one, or a path differs.
    """
    expression = _expression(pattern)
    found = {}
    for name, path in paths.items():
        whole = os.path.normpath(path)
        # the name of a network in memory has no suffix
        stem = whole if path == name else without_suffix(PurePath(whole))
        match = expression.fullmatch(stem) or expression.fullmatch(whole)
        if match is None:
            remedy = "change the pattern, or leave the file out"
            raise ValueError(f"{path}: does not match the pattern {pattern!r}; {remedy}")
        found[name] = match.groupdict()
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"\{([^{}]*)\}", os.path.normpath(pattern))
    fields = pieces[1::2]
    if not fields:
        raise ValueError(f"pattern is {pattern!r}; it must have a field, as in 'lr{{lr}}'")
    text = re.escape(pieces[0])
    for place, (field, after) in enumerate(zip(fields, pieces[2::2], strict=True)):
        _check_name(field, f"pattern {pattern!r}")
        again = field in fields[:place]
        text += (f"(?P={field})" if again else f"(?P<{field}>[^/]+?)") + re.escape(after)
    return re.compile(f"(?:.*/)?{text}", re.DOTALL)


def _check_name(field: str, where: str) -> None:
    if not field.isidentifier():
        raise ValueError(f"{where}: {field!r} cannot name a column; use letters, digits and _")
    if field in COLUMNS:
        raise ValueError(f"{where}: {field!r} is a column of every result; choose another name")


def _as_value(text: str) -> int | float | str:
    """Return the number that a text plainly is and that 64 bits hold, or the text."""
    text = text.strip()
    if not NUMBER.fullmatch(text):
        return text
    with suppress(ValueError):
        whole = int(text)
        return whole if abs(whole) < 1 << 63 else text
    # of digits without end, or beyond float64
    return float(text) if math.isfinite(float(text)) else text


def _as_cell(text: str) -> int | float | str:
    """Return a cell of a table, in which nothing and NaN stand for a missing number."""
    found = _as_value(text)
    missing = isinstance(found, str) and found.lower() in MISSING
    return MISSING[str(found).lower()] if missing else found


def _check_value(value: Any, where: str) -> None:
    """Refuse a value that the merged file could not hold, before anything is computed."""
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, bool | int | float | str):
        kind = type(value).__name__
        raise TypeError(f"{where}: holds a {kind}; give numbers and text, and NaN for nothing")
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise ValueError(f"{where}: {value} does not fit into 64 bits; give it as text")


def read_table(path: str | PathLike[str]) -> list[dict[str, Any]]:
    """Read a CSV file whose first line has the names of its columns."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is no CSV file in UTF-8 ({error}); correct it") from None
    if not lines or not lines[0]:
        raise ValueError(f"{path}: is empty; give a table whose first line has the names")
    names = [name.strip() for name in lines[0]]
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if len(line) != len(names):
            finding = f"line {number} has {len(line)} values, the first line {len(names)} names"
            raise ValueError(f"{path}: {finding}; correct it")
        cells = zip(names, line, strict=True)
        rows.append({n: text if n in IDENTITIES else _as_cell(text) for n, text in cells})
    return rows


def join_table(
    networks: Mapping[str, Mapping[str, Any]], weights: Mapping[str, str],
    table: Iterable[Mapping[str, Any]], where: str,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Add the columns of a table, named ``where`` in errors, to those of the networks.

    A line belongs to the networks that agree with it in all columns they share: ``name``,
    ``weights``, and the columns known already. Lines of other networks are ignored. Raises
    ValueError if there is no shared column, no line belongs to a network, or several belong to one.
    """
    lines = list(table)
    columns = list(lines[0]) if lines else []
    known = set().union(*networks.values()) if networks else set()
    keys = [c for c in columns if c in known or c in IDENTITIES]
    if not keys:
        shared = ", ".join([*IDENTITIES, *sorted(known)])
        raise ValueError(f"{where}: has none of the columns {shared}; add one")
    added = [column for column in columns if column not in keys]
    for column in added:
        _check_name(column, where)
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for line in lines:
        key = tuple(_comparable(column, line[column]) for column in keys)
        if key in found:
            text = ", ".join(f"{column} {line[column]}" for column in keys)
            raise ValueError(f"{where}: has two lines for {text}; leave one")
        found[key] = line
    lines_of = {}
    for name, own in networks.items():
        identity = {**own, "name": name, "weights": weights.get(name, "")}
        key = tuple(_comparable(column, identity.get(column)) for column in keys)
        lines_of[name] = found.get(key, {})
    if networks and not any(lines_of.values()):
        remedy = "see lyapy show for the names, and correct the table"
        raise ValueError(f"{where}: no line agrees with a network in {', '.join(keys)}; {remedy}")
    return {
        name: {**own, **{column: lines_of[name].get(column, math.nan) for column in added}}
        for name, own in networks.items()
    }


def _comparable(column: str, value: Any) -> Any:
    if column == "weights":
        return os.path.abspath(str(value))
    return str(value) if column == "name" else value
