"""The pages on cells: runs the code of one, compares the programs and costs on the other."""

import re
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.cells import CELLS
from lyapy.cells.random_weights import Draw
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.compiled.plan import DIAGONAL, make_plan
from lyapy.tangent.engine import choose_engine
from tests.conftest import difference_jacobian, orbit_jacobians, qr_growth

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Run the Python code of the page as one module, and return its names."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "adding_a_cell.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    # a file, as compiled code needs the source
    path = tmp_path_factory.mktemp("page") / "page.py"
    path.write_text("\n".join(blocks))
    names = {"__name__": "page"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


def networks(page, m):
    draw = Draw(np.random.default_rng(3), gain=1.5, bias=0.5)
    first = page["UpdateGate"].random(5, m, draw)
    return [lyapy.Network([first]), lyapy.Network([first, page["UpdateGate"].random(4, 5, draw)])]


def test_the_page_runs_to_its_end(page):
    assert page["spectrum"].exponents.shape == (16,)
    assert page["spectrum"].sum_rule_residual < 1e-10


@pytest.mark.parametrize("m", [0, 3])
def test_the_contract_on_the_cell_of_the_page(page, m):
    rng = np.random.default_rng(4)
    for network in networks(page, m):
        D = network.state_size
        state, x = rng.normal(size=D), rng.normal(size=m)
        found = lyapy.jacobian(network, state, x if m else None)
        np.testing.assert_allclose(found, difference_jacobian(network, state, x), atol=1e-11)
    inputs = rng.normal(size=(150, m))
    engines = (choose_engine(b).run_layer for b in ("numpy", "numba"))
    forward = [forward_chunk(network, inputs, state, run) for run in engines]
    np.testing.assert_allclose(forward[0].states, forward[1].states, atol=1e-12)
    np.testing.assert_allclose(forward[0].coefficients, forward[1].coefficients, atol=1e-12)
    (cell,) = networks(page, m)[0].cells
    alone = lyapy.Network([cell])
    wanted = qr_growth(orbit_jacobians(alone, inputs, np.zeros(5)), np.eye(5))
    options = {"frame": "identity", "initial_state": np.zeros(5), "steps": 150}
    for backend in ("numpy", "numba"):
        spectrum = lyapunov_spectrum(alone, inputs if m else None, backend=backend, **options)
        np.testing.assert_allclose(spectrum.growth.sum(axis=1)[0], wanted, atol=1e-6)
        assert spectrum.sum_rule_residual < 1e-10


def sections():
    texts = (DOCS / "cells.md").read_text().split("\n## ")[1:]
    return {name: text for text in texts for name in re.findall(r'`"([\w-]+)"`', text)}


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_on_the_page_of_all_cells(name):
    """With its program, its coefficients, and the number of products of a step."""
    text = sections()[name]
    (program,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert lines(program) == lines(CELLS[name].program)
    network = lyapy.random_network(name, 6, 3)
    constants = text.partition("constant $")[2]
    assert all(re.search(rf"\b{c}\b", constants) for c in network.cells[0].constants)
    (block,) = diagonal_blocks(network, whole=True)
    plan = make_plan(block.program, False)
    count = int(np.sum(plan.instructions["op"] != DIAGONAL))
    cost = " ".join(re.search(r"Cost: ([^.;]*)", text)[1].split())
    numbers = {"no": 0, "one": 1, "two": 2, "three": 3, "four": 4}
    counted = re.findall(r"(no|one|two|three|four) (?:product|\$)", cost)
    stated = sum(numbers[word] for word in counted)
    if name == "lstm-projected":
        assert cost.endswith(r"and one $p \times n$")
    assert stated == count, cost


def test_every_cell_has_a_line_on_the_page_of_networks():
    table = (DOCS / "networks.md").read_text().partition("## Models")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    listed = [name for line in lines for name in re.findall(r"`([\w-]+)`", line.split("|")[1])]
    assert sorted(listed) == sorted(CELLS)
