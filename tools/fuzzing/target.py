"""One process that fuzzes one reader and counts; started by ``tools.fuzzing.readers``.

Usage: python -m tools.fuzzing.target NAME FOLDER [arguments of libFuzzer]
"""

import hashlib
import json
import resource
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import atheris

# modules that readers import late are imported here, so that they are not counted
import msgpack  # noqa: F401
import onnx.helper
import onnx.numpy_helper  # noqa: F401

INSTRUMENTED = [f"lyapy.weights.{name}" for name in ("formats", "frameworks", "load")]
INSTRUMENTED += ["zipfile", "pickletools"]
with atheris.instrument_imports(include=INSTRUMENTED):
    import lyapy.weights.formats.hdf5
    import lyapy.weights.formats.msgpack_file
    import lyapy.weights.formats.npy
    import lyapy.weights.formats.onnx_file
    import lyapy.weights.formats.safetensors_file
    import lyapy.weights.formats.torch_file
    import lyapy.weights.frameworks
    import lyapy.weights.load
    from lyapy import WeightsError

    from .mutation import mutator
    from .targets import TARGETS, hints_for

SECONDS = 1.0
MEMORY = 512 << 20
RECORD = 16 << 20


@dataclass
class Figures:
    """Counts of files and, by place, of findings; seconds of processor time, bytes of memory."""

    executions: int = 0
    accepted: int = 0
    refused: int = 0
    foreign: dict[str, int] = field(default_factory=dict)
    slow: dict[str, int] = field(default_factory=dict)
    heavy: dict[str, int] = field(default_factory=dict)
    longest: float = 0.0
    resident: int = 0


class Watch:
    """Runs a reader on contents, and keeps figures and the first file of each finding."""

    def __init__(self, name: str, folder: Path) -> None:
        self.target, self.folder = TARGETS[name], folder
        self.path = folder / "file"
        self.figures = Figures()
        self.base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    def __call__(self, content: bytes) -> None:
        figures = self.figures
        figures.executions += 1
        self.path.write_bytes(content)
        begin = time.process_time()
        try:
            self._load()
            figures.accepted += 1
        except WeightsError as error:
            figures.refused += 1
            if isinstance(error.__cause__, MemoryError):
                self._keep("heavy", _place(error.__cause__), content)
        except Exception as error:
            self._keep("foreign", _place(error), content)
        seconds = time.process_time() - begin
        figures.longest = max(figures.longest, seconds)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        if peak - self.base > figures.resident + RECORD:
            (self.folder / "heaviest").write_bytes(content)
        figures.resident = max(figures.resident, peak - self.base)
        if seconds > SECONDS:
            self._keep("slow", f"{seconds:.0f} s", content)
        self.write()  # always, since a crash gives no time for it

    def _load(self) -> None:
        path, contents = lyapy.weights.source.read_source(self.path)
        layouts = self.target.layouts
        refusals = []
        for layout in layouts:
            try:
                lyapy.weights.load.network_from_contents(path, contents, hints_for(layout))
            except WeightsError as error:
                refusals.append(error)
        if len(refusals) == len(layouts):
            raise refusals[-1]

    def _keep(self, kind: str, where: str, content: bytes) -> None:
        counts = getattr(self.figures, kind)
        if where not in counts:
            digest = hashlib.sha256(content).hexdigest()[:12]
            (self.folder / f"{kind}-{digest}").write_bytes(content)
            (self.folder / f"{kind}-{digest}.txt").write_text(f"{where}\n{traceback.format_exc()}")
        counts[where] = counts.get(where, 0) + 1

    def write(self) -> None:
        (self.folder / "figures.json").write_text(json.dumps(asdict(self.figures)))


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if "lyapy" in frame.filename] or frames
    return f"{type(error).__name__} in {Path(inside[-1].filename).name}:{inside[-1].lineno}"


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")
    watch = Watch(name, folder)
    # looked up at each call, since Fuzz puts another in its place
    change = mutator(TARGETS[name].container, lambda data, most: atheris.Mutate(data, most))
    atheris.Setup([sys.argv[0], *sys.argv[3:]], watch, custom_mutator=change)
    _limit_memory()
    watch.write()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
