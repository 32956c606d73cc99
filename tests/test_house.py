"""The layout: imports run one way, without circles, and the map in the docs is true."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lyapy"

# from the ground up; a room imports from those below it, and those that share a line not at all
FLOORS = [
    {"arrays", "errors"},
    {"storage"},
    {"cells"},
    {"networks"},
    {"weights", "tangent"},
    {"spectra"},
    {"runs", "orbits"},
    {"vectors"},
    {"sweeps"},
    {"__init__"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def module_name(path):
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(name):
    """Return the modules of the package that a module imports anywhere in its text."""
    path, found = SOURCES[name], set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return {each for each in found if each in SOURCES} - {name}


def room(name):
    return ([*name.split("."), "__init__"])[1]


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_imports_from_the_rooms_below_it(name):
    if name == "lyapy":
        return
    above = {
        other
        for other in imported(name)
        if room(other) != room(name) and FLOOR[room(other)] >= FLOOR[room(name)]
    }
    assert not above


def test_no_modules_import_one_another():
    # a package may import its modules without making a circle
    graph = {
        name: {other for other in imported(name) if SOURCES[other].name != "__init__.py"}
        for name in SOURCES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' → '.join(error.args[1])}")


def test_every_room_is_on_a_floor():
    assert {room(name) for name in SOURCES} == set(FLOOR)


def test_the_map_names_files_that_exist():
    page = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:lyapy|tests|tools|docs|examples)/[\w./-]*)`", page))
    assert not [path for path in named if not (ROOT / path).exists()]
    rooms = {f"lyapy/{each.name}/" for each in PACKAGE.iterdir() if (each / "__init__.py").exists()}
    assert rooms <= named
