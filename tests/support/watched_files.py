"""Every change that lyapy makes to files: seen, counted, refused, or the last that happens."""

import io
import os
from contextlib import contextmanager

from lyapy.storage import atomic as output

CHANGES = ("open", "write", "fsync", "replace", "link", "unlink", "mkdir", "rmdir", "ftruncate")


class _Raw(io.FileIO):
    """The file under Python's buffer, where its writes can be seen."""

    def __init__(self, descriptor, before, after):
        super().__init__(descriptor, "r+")
        self.before, self.after = before, after

    def write(self, data):
        start, content = self.tell(), bytes(data)
        self.before("pwrite", self.fileno(), start, content)
        size = super().write(data)
        self.after("pwrite", None, self.fileno(), start, content[:size])
        return size

    def truncate(self, size=None):
        size = self.tell() if size is None else size
        self.before("ftruncate", self.fileno(), size)
        found = super().truncate(size)
        self.after("ftruncate", None, self.fileno(), size)
        return found


def _nothing(*_):
    pass


@contextmanager
def watched(before=_nothing, after=_nothing):
    """Call ``before(name, *arguments)`` and ``after(name, result, *arguments)`` of each change.

    The names are those of the system calls; an error in ``before`` prevents the change.
    """
    originals = {name: getattr(os, name) for name in CHANGES}

    def wrapped(name):
        def call(*arguments, **more):
            before(name, *arguments)
            result = originals[name](*arguments, **more)
            after(name, result, *arguments)
            return result

        return call

    for name in CHANGES:
        setattr(os, name, wrapped(name))
    # the only files that lyapy opens for writing
    output.open = lambda descriptor, mode: io.BufferedRandom(_Raw(descriptor, before, after))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)
        del output.open
