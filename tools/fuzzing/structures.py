"""Files changed in their structure: fields, records and trees, with checksums and lengths repaired.

A change of random bytes mostly breaks a checksum or a length, and ends in the first check. Each
mutator here takes a whole file apart, changes one part, and puts it together so that readers come
to that part. ``chosen`` is the only source of chance.
"""

import io
import json
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from lyapy.storage import sealed

__all__ = ["MUTATORS", "Mutator"]

Mutator = Callable[[bytes, Random], bytes]
SIGNATURES = re.compile(rb"\x89HDF|TREE|SNOD|HEAP|GCOL|\x01\x00[\x01-\x40]\x00\x01\x00\x00\x00")
OPCODES = [b"N", b"(", b"}", b"]", b")", b"0", b"2", b"s", b"u", b"e", b"t", b"\x85", b"\x86", b"R",
           b"b", b"\x88"]  # fmt: skip
# bytes after a signature in which fields are changed
REACH = 160
LENGTHS = [0, 1, 2, 3, 7, 8, 255, 256, 4096, 65535, 1 << 16, 1 << 20, 1 << 30, (1 << 31) - 1]
NUMBERS = [*LENGTHS, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, (1 << 61) - 1, 1 << 62,
           (1 << 63) - 1, 1 << 63, (1 << 64) - 1]  # fmt: skip
TEXTS = ["", "\0", "a" * 300, "a/b", "../..", "\x1b[2J", "λ", "=1", "nan", "-1", "1e999", "[]", "{",
         "\ud800", "9" * 5000, "lstm", "model_config"]  # fmt: skip


def number(chosen: Random, old: int, size: int) -> int:
    """Return another number that fits into some bytes, often near the old one."""
    found = chosen.choice([
        old + 1, old - 1, 2 * old, old // 2, ~old, old ^ 1 << chosen.randrange(8 * size),
        chosen.choice(NUMBERS), chosen.getrandbits(8 * size),
    ])  # fmt: skip
    return found % (1 << 8 * size)


def plain(content: bytes, chosen: Random) -> bytes:
    """Change, move, double or remove some bytes."""
    found = bytearray(content)
    at = chosen.randrange(len(found) + 1)
    count = chosen.choice([1, 2, 4, 8, 16, 64, 512])
    what = chosen.randrange(5)
    if what == 0:
        found[at : at + count] = chosen.randbytes(count)
    elif what == 1:
        other = chosen.randrange(len(found) + 1)
        found[at : at + count] = found[other : other + count]
    elif what == 2:
        other = chosen.randrange(len(found) + 1)
        found[at:at] = found[other : other + count]
    elif what == 3:
        del found[at : at + count]
    else:
        _put(found, at, chosen.choice([1, 2, 4, 8]), chosen)
    return bytes(found)


def _put(
    found: bytearray, at: int, size: int, chosen: Random, also: list[int] | None = None
) -> None:
    if at + size > len(found):
        return
    old = int.from_bytes(found[at : at + size], "little")
    new = chosen.choice(also) if also and chosen.random() < 0.4 else number(chosen, old, size)
    found[at : at + size] = (new % (1 << 8 * size)).to_bytes(size, "little")


def hdf5(content: bytes, chosen: Random) -> bytes:
    """Change fields of headers, trees and heaps, some to the places of other structures."""
    found = bytearray(content)
    base = max(content.find(b"\x89HDF"), 0)
    places = [match.start() for match in SIGNATURES.finditer(content)]
    if not places:
        return plain(content, chosen)
    addresses = [place - base for place in places] + [len(content) - base, (1 << 64) - 1]
    for _ in range(chosen.choice([1, 1, 1, 2, 3])):
        place = chosen.choice(places)
        if chosen.random() < 0.15:
            other, count = chosen.choice(places), chosen.choice([8, 24, 40, REACH])
            found[place : place + count] = content[other : other + count]
            continue
        size = chosen.choice([1, 2, 4, 8, 8])
        at = place + chosen.randrange(0, REACH // size) * size
        _put(found, at, size, chosen, addresses if size == 8 else None)
    if chosen.random() < 0.1:
        found.extend(chosen.randbytes(chosen.choice([1, 64, 70_000])))
    return bytes(found)


def resealed(content: bytes, chosen: Random) -> bytes:
    """Change the HDF5 file of a run and seal it again; rarely the seal itself."""
    if chosen.random() < 0.1:
        return plain(content, chosen)
    try:
        length = int(content[: sealed.USER_BLOCK].split()[4])
    except (ValueError, IndexError):  # a change before broke it
        return plain(content, chosen)
    inside = hdf5(content[: sealed.USER_BLOCK + length], chosen)
    file = io.BytesIO(inside)
    seal = sealed._sealed(file, len(inside) - sealed.USER_BLOCK)
    return seal.line() + inside[sealed.USER_BLOCK :] + b"".join(seal.blocks)


def archive(content: bytes, chosen: Random) -> bytes:
    """Change a member by what it holds, or what the directory says of it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            members = [(m.filename, m.compress_type, opened.read(m)) for m in opened.infolist()]
    except Exception:  # a change before broke it
        return plain(content, chosen)
    if not members or chosen.random() < 0.25:
        return _lying(content, chosen)
    at = chosen.randrange(len(members))
    name, packing, inside = members[at]
    what = chosen.random()
    if what < 0.8:
        members[at] = name, packing, _member(name, inside, chosen)
    elif what < 0.85:
        members[at] = chosen.choice(TEXTS[:8]) + name, packing, inside
    elif what < 0.9:
        del members[at]
    elif what < 0.95:
        members[at] = name, chosen.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), inside
    else:
        members.append((name + "2", packing, inside))
    packed = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(packed, "w") as made:
        for member, packing, inside in members:
            safe = member.encode("utf-8", "replace").decode().replace("\0", "_")
            made.writestr(safe or "a", inside, packing)
    return packed.getvalue()


def _member(name: str, content: bytes, chosen: Random) -> bytes:
    kinds = {"data.pkl": pickled, ".h5": hdf5, ".json": as_json, ".npy": npy}
    suited = next((change for end, change in kinds.items() if name.endswith(end)), plain)
    return (plain if chosen.random() < 0.1 else suited)(content, chosen)


def _lying(content: bytes, chosen: Random) -> bytes:
    """Change fields of the directory or of a member's own header."""
    found = bytearray(content)
    places = [m.start() for m in re.finditer(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06", content)]
    if not places:
        return plain(content, chosen)
    for _ in range(chosen.choice([1, 2])):
        size = chosen.choice([2, 4, 4])
        at = chosen.choice(places) + 4 + chosen.randrange(0, 42 // size) * size
        _put(found, at, size, chosen, [len(content), *places] if size == 4 else None)
    return bytes(found)


def pickled(content: bytes, chosen: Random) -> bytes:
    """Change, double, remove or exchange opcodes, or their arguments."""
    try:
        starts = [at for _, _, at in pickletools.genops(content)]
    except Exception:  # a change before broke it
        return plain(content, chosen)
    pieces = [content[a:b] for a, b in zip(starts, [*starts[1:], len(content)], strict=True)]
    for _ in range(chosen.choice([1, 1, 2, 4])):
        at, other = chosen.randrange(len(pieces)), chosen.randrange(len(pieces))
        what = chosen.randrange(7)
        if what == 0:
            pieces[at] = pieces[other]
        elif what == 1:
            pieces.insert(at, pieces[other])
        elif what == 2 and len(pieces) > 2:
            del pieces[at]
        elif what == 3:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif what == 4:
            pieces[at] = _integer(chosen)
        elif what == 5:
            pieces.insert(at, chosen.choice(OPCODES))
        else:
            text = chosen.choice(TEXTS).encode("utf-8", "surrogatepass")
            pieces[at] = b"X" + struct.pack("<I", len(text)) + text
    return b"".join(pieces)


def _integer(chosen: Random) -> bytes:
    value = chosen.choice([-1, 1, 10**300]) * chosen.choice(NUMBERS)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw if len(raw) < 256 else b"K\x00"


def legacy(content: bytes, chosen: Random) -> bytes:
    """Change the fourth pickle of an old file of PyTorch, its keys, or the storages."""
    stream, ends = io.BytesIO(content), [0]
    try:
        for _ in range(5):
            for _ in pickletools.genops(stream):
                pass
            ends.append(stream.tell())
    except Exception:  # a change before broke it
        return plain(content, chosen)
    at = chosen.choice([3, 3, 3, 4, 2])
    changed = pickled(content[ends[at] : ends[at + 1]], chosen)
    return content[: ends[at]] + changed + content[ends[at + 1] :]


def npy(content: bytes, chosen: Random) -> bytes:
    """Change the shape, type or order of one of the arrays, with the header's length repaired."""
    starts = [m.start() for m in re.finditer(rb"\x93NUMPY\x01\x00", content)]
    if not starts or chosen.random() < 0.2:
        return plain(content, chosen)
    at = chosen.choice(starts)
    length = int.from_bytes(content[at + 8 : at + 10], "little")
    header = content[at + 10 : at + 10 + length].decode("latin-1")
    numbers = list(re.finditer(r"\d+", header))
    kinds = ["<f2", "<f4", ">f8", "<i8", "|b1", "|O", "<U9", "<c16", "|V8", "<m8[s]", "|S0"]
    if numbers and chosen.random() < 0.6:
        old = chosen.choice(numbers)
        new = str(number(chosen, int(old[0]), 8)) if chosen.random() < 0.8 else "()"
        header = header[: old.start()] + new + header[old.end() :]
    elif chosen.random() < 0.7:
        header = re.sub(r"'descr': '[^']*'", f"'descr': '{chosen.choice(kinds)}'", header)
    else:
        header = header.replace("False", chosen.choice(["True", "None", "[" * 50, "-1"]))
    changed = header.encode("latin-1")
    return (
        content[: at + 8] + struct.pack("<H", len(changed)) + changed + content[at + 10 + length :]
    )


def safetensors(content: bytes, chosen: Random) -> bytes:
    """Change the header's JSON, with its length repaired."""
    length = int.from_bytes(content[:8], "little")
    changed = as_json(content[8 : 8 + length], chosen)
    return struct.pack("<Q", len(changed)) + changed + content[8 + length :]


def as_json(content: bytes, chosen: Random) -> bytes:
    """Change one value of a text of JSON."""
    try:
        changed = _other_value(json.loads(content), chosen)
        return json.dumps(changed).encode()
    except (ValueError, RecursionError):
        return plain(content, chosen)


def _other_value(value: Any, chosen: Random) -> Any:
    """Return a nested value with one of its entries changed."""
    if isinstance(value, dict) and value and chosen.random() < 0.9:
        key = chosen.choice(list(value))
        changed = dict(value)
        what = chosen.random()
        if what < 0.1:
            del changed[key]
        elif what < 0.2:
            changed[chosen.choice(TEXTS)] = changed.pop(key)
        else:
            changed[key] = _other_value(changed[key], chosen)
        return changed
    if isinstance(value, list) and value and chosen.random() < 0.9:
        at = chosen.randrange(len(value))
        again = value[at : at + 1] * chosen.choice([0, 2, 50]) if chosen.random() < 0.2 else None
        return [*value[:at], *(again or [_other_value(value[at], chosen)]), *value[at + 1 :]]
    other = [None, True, -1, 0.5, 1e400, chosen.choice(NUMBERS), chosen.choice(TEXTS), [], {}, [[]]]
    return chosen.choice([*other, [value], {"a": value}])


def msgpack(content: bytes, chosen: Random) -> bytes:
    """Change one entry of the tree, or the array in it."""
    import msgpack as package

    try:
        tree = package.unpackb(content, strict_map_key=False)
        return package.packb(_other_leaf(tree, chosen))
    except Exception:  # a change before broke it
        return plain(content, chosen)


def _other_leaf(value: Any, chosen: Random) -> Any:
    import msgpack as package

    if isinstance(value, package.ExtType) and chosen.random() < 0.7:
        shape, dtype, raw = package.unpackb(value.data)
        parts = [shape, dtype, raw]
        at = chosen.randrange(3)
        parts[at] = _other_value(parts[at], chosen) if at < 2 else plain(raw, chosen)
        return package.ExtType(value.code, package.packb(parts))
    if isinstance(value, dict) and value and chosen.random() < 0.9:
        key = chosen.choice(list(value))
        return {**value, key: _other_leaf(value[key], chosen)}
    return _other_value(value, chosen)


def protobuf(content: bytes, chosen: Random, depth: int = 0) -> bytes:
    """Change one field of a message or of those in it, with the lengths repaired."""
    fields = list(_fields(content))
    if not fields or depth > 12:
        return plain(content, chosen) if content else chosen.randbytes(3)
    at = chosen.randrange(len(fields))
    key, kind, value = fields[at]
    what = chosen.random()
    if what < 0.06:
        del fields[at]
    elif what < 0.12:
        fields.insert(at, chosen.choice(fields))
    elif what < 0.18:
        fields[at] = chosen.choice(fields)
    elif kind == 2:
        deep = chosen.random() < 0.8 and any(True for _ in _fields(value))
        fields[at] = key, kind, protobuf(value, chosen, depth + 1) if deep else plain(value, chosen)
    elif kind == 0:
        fields[at] = key, kind, _varint(number(chosen, _value_of(value), 8))
    else:
        fields[at] = key, kind, chosen.randbytes(len(value))
    written = [k + (_varint(len(v)) if kind == 2 else b"") + v for k, kind, v in fields]
    return b"".join(written)


def _fields(content: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield key, wire type and value of each field; nothing if it is no message."""
    found, at = [], 0
    while at < len(content):
        begin = at
        value, at = _read_varint(content, at)
        key, kind = content[begin:at], value & 7
        if at == begin or not value >> 3 or kind not in (0, 1, 2, 5):
            return
        begin = at
        if kind == 0:
            _, at = _read_varint(content, at)
        elif kind == 2:
            length, begin = _read_varint(content, at)
            at = begin + length
        else:
            at += 8 if kind == 1 else 4
        if at > len(content) or (at == begin and kind == 0):
            return
        found.append((key, kind, content[begin:at]))
    yield from found


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        byte = content[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
    return 0, at


def _value_of(raw: bytes) -> int:
    return _read_varint(raw, 0)[0]


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def matlab(content: bytes, chosen: Random) -> bytes:
    """Change tags and numbers of an element, packed or not."""
    head, tag = content[:128], content[128:136]
    kind, size = struct.unpack("<II", tag) if len(tag) == 8 else (0, 0)
    if kind != 15:
        found = bytearray(content)
        _put(found, 128 + 4 * chosen.randrange(max(len(content) // 4 - 32, 1)), 4, chosen)
        return bytes(found)
    try:
        inside = bytearray(zlib.decompress(content[136 : 136 + size]))
    except zlib.error:
        return plain(content, chosen)
    _put(inside, 4 * chosen.randrange(min(len(inside) // 4, 20)), 4, chosen)
    packed = zlib.compress(bytes(inside))
    return head + struct.pack("<II", 15, len(packed)) + packed + content[136 + size :]


def table(content: bytes, chosen: Random) -> bytes:
    """Change, double or remove a cell or a line of a CSV file."""
    lines = [line.split(",") for line in content.decode("utf-8", "replace").split("\n")]
    line = chosen.choice(lines)
    at = chosen.randrange(len(line))
    special = ['"', '""', "\r", "\0", "\ufeff", "a" * 200_000, "1" * 400, "-", "name", "weights"]
    what = chosen.randrange(6)
    if what == 0:
        line[at] = chosen.choice([*TEXTS, *special])
    elif what == 1:
        line.insert(at, chosen.choice([*special, line[at]]))
    elif what == 2:
        del line[at]
    elif what == 3:
        lines.insert(chosen.randrange(len(lines)), chosen.choice(lines))
    elif what == 4:
        line[at] += chosen.choice(special)
    else:
        lines.remove(line)
    text = "\n".join(map(",".join, lines)).encode("utf-8", "surrogatepass")
    return plain(text, chosen) if chosen.random() < 0.2 else text


MUTATORS: dict[str, Mutator] = {
    "archive": archive, "hdf5": hdf5, "legacy": legacy, "matlab": matlab, "msgpack": msgpack,
    "npy": npy, "plain": plain, "protobuf": protobuf, "resealed": resealed,
    "safetensors": safetensors, "table": table,
}  # fmt: skip
