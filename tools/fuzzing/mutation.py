"""Mutation inside containers, whose checksums and lengths would stop most of a plain one's work."""

import io
import random
import struct
import warnings
import zipfile
from collections.abc import Callable

__all__ = ["mutator"]

Mutate = Callable[[bytes, int], bytes]
PLAIN_SHARE = 0.2


def mutator(container: str, mutate: Mutate) -> Callable[[bytes, int, int], bytes]:
    """Return a mutator for plain, zip or safetensors files, by the fuzzer's own of bytes."""
    inside = {"zip": _in_zip, "safetensors": _in_safetensors}.get(container)

    def change(data: bytes, longest: int, seed: int) -> bytes:
        chosen = random.Random(seed)
        if inside is not None and chosen.random() > PLAIN_SHARE:
            found = inside(data, longest, chosen, mutate)
            if found is not None and len(found) <= longest:
                return found
        return mutate(data, longest)

    return change


def _in_zip(data: bytes, longest: int, chosen: random.Random, mutate: Mutate) -> bytes | None:
    """Change the content or the name of one member, or drop or double one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(m.file_size for m in archive.infolist()) > 4 * longest:
                return None
            members = [(m.filename, m.compress_type, archive.read(m)) for m in archive.infolist()]
    except Exception:  # the fuzzer's own changes broke it
        return None
    if not members:
        return None
    at = chosen.randrange(len(members))
    name, packing, content = members[at]
    what = chosen.random()
    if what < 0.85:
        members[at] = name, packing, mutate(content, longest)
    elif what < 0.9:
        members[at] = mutate(name.encode(), 200).decode("latin-1"), packing, content
    elif what < 0.95:
        del members[at]
    else:
        packing = chosen.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
        members.append((chosen.choice(members)[0], packing, content))
    packed = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        try:
            with zipfile.ZipFile(packed, "w") as archive:
                for member, packing, content in members:
                    archive.writestr(member, content, packing)
        except Exception:  # a name or packing that cannot be written
            return None
    return packed.getvalue()


def _in_safetensors(
    data: bytes, longest: int, chosen: random.Random, mutate: Mutate
) -> bytes | None:
    """Change the header and keep the length before it right."""
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= len(data) - 8:
        return None
    header = mutate(data[8 : 8 + length], longest)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]
