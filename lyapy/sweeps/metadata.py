"""What the user tells of many networks: taken from their paths, or from a table."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import PurePath
from typing import Any

import h5py
import numpy as np

from ..storage.trees import legible
from .columns import COLUMNS

__all__ = ["join_table", "match_paths", "read_metadata", "read_table", "write_metadata"]

GROUP = "metadata"
# columns of a table that say which network a line is of
IDENTITIES = ("name", "weights")


def match_paths(pattern: str, paths: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return for each member the values that its path has in the places of a pattern.

    Parameters
    ----------
    pattern : str
        The end of the paths, with or without their suffix, with fields in braces that stand for
        text without a slash: ``"lr{lr}_g{gain}/epoch{epoch}"``. A field may stand twice.
    paths : mapping
        Name of a member to its path.

    Returns
    -------
    dict
        Name of a member to field and value, a number where the text is one.

    Raises
    ------
    ValueError
        If the pattern has no field or a wrong one, or a path does not match.
    """
    expression = _expression(pattern)
    found = {}
    for name, path in paths.items():
        stem = PurePath(os.path.normpath(path)).with_suffix("").as_posix()
        match = expression.fullmatch(stem) or expression.fullmatch(os.path.normpath(path))
        if match is None:
            raise ValueError(
                f"{path}: does not match the pattern {pattern!r}; change the pattern, or leave the "
                "file out"
            )
        found[name] = {field: as_value(text) for field, text in match.groupdict().items()}
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{([^{}]*)\}", os.path.normpath(pattern))
    fields = parts[1::2]
    if not fields:
        raise ValueError(f"pattern is {pattern!r}; it must have a field, as in 'lr{{lr}}'")
    text = re.escape(parts[0])
    for place, (field, after) in enumerate(zip(fields, parts[2::2], strict=True)):
        check_name(field, f"pattern {pattern!r}")
        again = field in fields[:place]
        text += (f"(?P={field})" if again else f"(?P<{field}>[^/]+?)") + re.escape(after)
    return re.compile(f"(?:.*/)?{text}", re.DOTALL)


def check_name(field: str, where: str) -> None:
    """Raise ValueError if a column may not have the name."""
    if not field.isidentifier():
        raise ValueError(f"{where}: {field!r} cannot name a column; use letters, digits and _")
    if field in COLUMNS:
        raise ValueError(f"{where}: {field!r} is a column of every result; choose another name")


def as_value(text: str) -> Any:
    """Return the number that a text is, or the text; NaN where it is empty."""
    text = text.strip()
    if not text:
        return math.nan
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_table(path: str | PathLike[str]) -> list[dict[str, Any]]:
    """Read a CSV file with a line of names; numbers become numbers.

    Raises
    ------
    ValueError
        If it has no names, or lines of different length.
    OSError
        If it cannot be opened.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    if not lines or not lines[0]:
        raise ValueError(f"{path}: is empty; give a table whose first line has the names")
    names = [name.strip() for name in lines[0]]
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        if len(line) != len(names):
            raise ValueError(
                f"{path}: line {number} has {len(line)} values, the first line {len(names)} names; "
                "mend it"
            )
        # what tells the networks apart stays as it is
        named = zip(names, line, strict=True)
        rows.append({name: t if name in IDENTITIES else as_value(t) for name, t in named})
    return rows


def join_table(
    members: Mapping[str, Mapping[str, Any]],
    weights: Mapping[str, str],
    table: Iterable[Mapping[str, Any]],
    where: str,
) -> dict[str, dict[str, Any]]:
    """Return the metadata of members with those of a table's lines that agree with them.

    A line is of the members that agree in all columns which it shares with them: ``name``,
    ``weights``, and those known already. Lines of other networks are passed over.

    Parameters
    ----------
    members : mapping
        Name to what is known already, such as the fields of a pattern.
    weights : mapping
        Name to weights file.
    table : iterable of mapping
        All with the same columns.
    where : str
        What to call the table in messages.

    Raises
    ------
    ValueError
        If nothing tells which line is of which member, no line is of any, or several are of one.
    """
    lines = list(table)
    columns = list(lines[0]) if lines else []
    known = set().union(*members.values()) if members else set()
    keys = [c for c in columns if c in known or c in IDENTITIES]
    if not keys:
        shared = ", ".join([*IDENTITIES, *sorted(known)])
        raise ValueError(f"{where}: has none of the columns {shared}; add one")
    added = [column for column in columns if column not in keys]
    for column in added:
        check_name(column, where)
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for line in lines:
        key = tuple(_comparable(column, line[column]) for column in keys)
        if key in found:
            told = ", ".join(f"{column} {line[column]}" for column in keys)
            raise ValueError(f"{where}: has two lines for {told}; leave one")
        found[key] = line
    joined: dict[str, dict[str, Any]] = {}
    matched = 0
    for name, own in members.items():
        self_told = {**own, "name": name, "weights": weights.get(name, "")}
        key = tuple(_comparable(column, self_told.get(column)) for column in keys)
        matched += key in found
        joined[name] = {**own, **{c: found[key][c] if key in found else math.nan for c in added}}
    if members and not matched:
        raise ValueError(
            f"{where}: no line agrees with a network in {', '.join(keys)}; see lyapy show for the "
            "names, and mend the table"
        )
    return joined


def _comparable(column: str, value: Any) -> Any:
    if column == "weights":
        return os.path.abspath(str(value))
    return str(value) if column == "name" else value


def write_metadata(file: h5py.File, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the group of the users' columns, numbers where all are; nothing if there are none."""
    names = sorted(set().union(*rows)) if rows else []
    if not names:
        return
    group = file.create_group(GROUP)
    for name in names:
        values = [row.get(name, math.nan) for row in rows]
        if all(isinstance(value, (int, np.integer)) for value in values):
            data = np.array(values, dtype=np.int64)
        elif all(isinstance(value, (int, float, np.number)) for value in values):
            data = np.array(values, dtype=np.float64)
        else:
            texts = ["" if value != value else legible(str(value)) for value in values]
            data = np.array(texts, dtype=h5py.string_dtype())
        dataset = group.create_dataset(name, data=data)
        dataset.attrs.update(units="", axes="members", description="given by the user")


def read_metadata(file: h5py.File, members: int) -> list[dict[str, Any]]:
    """Return what `write_metadata` wrote, for each of the members."""
    rows: list[dict[str, Any]] = [{} for _ in range(members)]
    for name, dataset in file.get(GROUP, {}).items():
        is_text = h5py.check_string_dtype(dataset.dtype)
        values = (dataset.asstr() if is_text else dataset)[()].tolist()
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows
