"""Tables of figures: printed as they are measured, and put between their marks in the docs."""

import argparse
import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path

ROUNDS = 3


def row(*columns):
    return "| " + " | ".join(map(str, columns)) + " |"


def head(*columns):
    return row(*columns) + "\n|" + "---|" * len(columns)


def add_write(parser):
    parser.add_argument("--write", action="store_true", help="write the table into the docs")


def report(lines, note, mark, write):
    """Print lines as they come and a note; replace the table of a mark, ``page#name``, if asked."""
    shown = []
    for line in lines:
        print(line, flush=True)
        shown.append(line)
    print(note)
    if not write:
        return
    page, name = mark.split("#")
    path = Path(__file__).parents[1] / "docs" / page
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = path.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{page}: has no marks {begin} and {end}")
    table = "\n".join([*shown, "", note])
    path.write_text(f"{before}{begin}\n{table}\n{end}{after}")


def print_benchmark(doc, name, mark, header, measure, cases, tiny):
    """Print ``measure(name, case)`` of cases by their names, on one core; of tiny ones if asked."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    add_write(parser)
    arguments = parser.parse_args()
    # before the libraries start their threads
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    chosen = (tiny if arguments.tiny else cases).items()
    rows = (measure(*each) for each in chosen if arguments.only in each[0])
    note = environment(f"python -m tools.benchmarks.{name} --write")
    report(chain([header], rows), note, f"benchmarks.md#{mark}", arguments.write)


def print_runs(doc, table, runs):
    """Print ``table(runs)`` as it is measured; the command line may give another number of runs."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--runs", type=int, default=runs, help=f"of each row ({runs})")
    for line in table(parser.parse_args().runs):
        print(line, flush=True)


def versions(*names):
    """Return the versions of Python and of those packages that are installed."""
    found = [f"Python {platform.python_version()}"]
    for name in names:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


def storage():
    """Return the versions and the system that a figure on files holds for."""
    import h5py

    found = versions("lyapy", "numpy", "numba", "h5py")
    system = f"{platform.system()} {platform.release()}"
    return f"{found}, HDF5 {h5py.version.hdf5_version}, {system}"


def environment(command, cores=1):
    """Return the machine, the versions and the command that a time holds for."""
    info, model = Path("/proc/cpuinfo"), platform.processor() or platform.machine()
    if info.exists():
        found = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        model = found[0].partition(":")[2].strip() if found else model
    where = "One core" if cores == 1 else f"{cores} cores"
    times = f"medians of {ROUNDS} rounds" if cores == 1 else "shortest of up to three runs"
    python = versions("lyapy", "numpy", "scipy", "numba", "jax", "torch")
    return f"{where} of {model}; {python}; `{command}`; {times}, everything warmed up."
