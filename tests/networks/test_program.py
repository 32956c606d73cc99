"""The tangent step as a linear program: its text, and the programs of stacks."""

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum, spectrum_of_jacobians
from lyapy.cells import Cell
from lyapy.cells.own_map import GivenJacobian
from lyapy.networks.apply import log_diagonal, tangent_step
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.networks.program import parse_program, stack_programs
from tests.conftest import DERIVED, difference_jacobian, mixed_stack, orbit_jacobians

STACKS = [
    tuple(DERIVED[(i + step * j) % len(DERIVED)] for j in range(3))
    for i in range(len(DERIVED))
    for step in (1, 4)
]


def test_logarithms_of_a_diagonal_jacobian():
    network = lyapy.Network([lyapy.cells.Independent(np.ones((3, 1)), [0.5, -2.0, 0.0])])
    states = np.random.default_rng(0).normal(size=(4, 3))
    coefficients = forward_chunk(network, np.zeros((1, 4, 1)), states).coefficients[0]
    J = np.stack([lyapy.jacobian(network, state, np.zeros(1)) for state in states])
    with np.errstate(divide="ignore"):
        wanted = np.log(np.abs(np.diagonal(J, axis1=1, axis2=2)))
    np.testing.assert_allclose(log_diagonal(network.program, coefficients), wanted, rtol=1e-14)


@pytest.mark.parametrize(("steps", "frames"), [((), ()), ((4,), ()), ((2, 4), ()), ((4,), (2, 1))])
def test_products_of_several_steps_and_frames(steps, frames):
    cell = lyapy.Map(lambda h, x: h**2, products=lambda h, x, Q: Q * (2.0 * h), state_size=3)
    rng = np.random.default_rng(0)
    states, frame = rng.normal(size=(*steps, 3)), rng.normal(size=(*frames, 5, 3))
    moved = tangent_step(lyapy.Network([cell]).program, states, frame)
    np.testing.assert_array_equal(moved, frame * (2.0 * states[..., None, :]))


def test_text_is_read_term_by_term():
    parsed = parse_program("""
    dy = r dh + u U_r dh

    dh' = dh + P dy + left W right dx + V right dh
    """)
    assert [target for target, _ in parsed] == ["y", "h'"]
    assert parsed[0][1] == [("h", None, "r", None), ("h", "U_r", "u", None)]
    assert parsed[1][1] == [
        ("h", None, None, None),
        ("y", "P", None, None),
        ("x", "W", "left", "right"),
        ("h", "V", None, "right"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dh' U dh", "not of the form dTARGET = "),
        ("h' = U dh", "not of the form dTARGET = "),
        ("d = U dh", "not of the form dTARGET = "),
        ("dh' = a U", "does not end with a deviation"),
        ("dh' = a U dh +", "does not end with a deviation"),
        ("dh' = a U d", "does not end with a deviation"),
        ("dh' = U V dh", "not of the form left MATRIX right dSOURCE"),
        ("dh' = a b dh", "not of the form left MATRIX right dSOURCE"),
        ("dh' = a b U c dh", "not of the form left MATRIX right dSOURCE"),
        ("dh' = a b U dh", "more than one factor on a side"),
        ("dh' = U a b dh", "more than one factor on a side"),
    ],
)
def test_text_that_cannot_be_read(text, message):
    with pytest.raises(ValueError, match=message):
        parse_program(text)


class Written(GivenJacobian):
    def __init__(self, program, coefficients=("J",)):
        super().__init__(2)
        self.program, self.coefficients = program, coefficients


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (Written("dh' = J dh", ("J", "unused")), "unused"),
        (Written("dh' = J dg"), "'g'"),
        (Written("dg' = J dh"), "'g'"),
        (Written("dh' = J dh + K dh"), "'K'"),
        (Written("dh' = J dh + a dh"), "'a'"),
        (Written("dh' = J dh + J a dh"), "'a'"),
    ],
)
def test_names_that_the_cell_does_not_have(cell, name):
    with pytest.raises(ValueError, match=name):
        stack_programs([cell])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda w, h, x: ((h[:-1],), (x,)), r"state variables of shapes \[\(1,\)\]; .* h \(2,\)"),
        (lambda w, h, x: ((h,), (x, h)), r"coefficients of shapes \[\(4,\), \(2,\)\]; .* J \(4,\)"),
        (lambda w, h, x: (h, (x,)), r"state variables of shapes \[\(\), \(\)\]; .* h \(2,\)"),
    ],
)
def test_steps_that_do_not_fit_the_program(step, message):
    cell = GivenJacobian(2)
    cell.step = step
    with pytest.raises(ValueError, match=message):
        lyapy.jacobian(lyapy.Network([cell]), np.zeros(2), np.zeros(4))


@pytest.mark.parametrize("kinds", STACKS, ids="/".join)
def test_stack_program_on_the_identity_is_the_derivative(kinds):
    network = mixed_stack(kinds)
    rng = np.random.default_rng(1)
    state, x = rng.normal(size=network.state_size), rng.normal(size=2)
    J = difference_jacobian(network, state, x)
    np.testing.assert_allclose(lyapy.jacobian(network, state, x), J, atol=1e-11)
    coefficients = forward_chunk(network, x[None], state).coefficients[0]
    frame = rng.normal(size=(3, network.state_size))
    moved = tangent_step(network.program, coefficients, frame)
    np.testing.assert_allclose(moved, frame @ J.T, atol=1e-10)


@pytest.mark.parametrize("kinds", STACKS, ids="/".join)
def test_blocks_are_the_diagonal_of_the_jacobian(kinds):
    network = mixed_stack(kinds)
    rng = np.random.default_rng(2)
    state, x = rng.normal(size=network.state_size), rng.normal(size=2)
    J = lyapy.jacobian(network, state, x)
    coefficients = forward_chunk(network, x[None], state).coefficients[0]
    diagonal = np.zeros_like(J)
    above = np.ones(network.state_size, bool)
    for block in diagonal_blocks(network, whole=False):
        here, own = np.ix_(block.columns, block.columns), np.eye(block.program.state_size)
        diagonal[here] = tangent_step(block.program, block.select(coefficients), own).T
        above[block.columns] = False
        assert not J[np.ix_(block.columns, np.flatnonzero(above))].any()
        np.testing.assert_array_equal(diagonal[here], J[here])
    assert np.abs(J - diagonal).max() > 0.01


@pytest.mark.parametrize("kind", ["spiking-surrogate", "state-space"])
def test_an_output_that_nothing_reads_is_not_computed(kind):
    below = lyapy.random_network(kind, 4, 2).cells[0]
    above = lyapy.random_network("gru-reset-before", 3, below.output_size).cells[0]
    alone, stack = stack_programs([below]), stack_programs([below, above])
    state = sum(below.variables.values())
    assert [a.target.start < state for a in alone.assignments] == [True] * len(below.variables)
    # the output read by the layer above, and its own auxiliary block
    assert sum(a.target.start >= stack.state_size for a in stack.assignments) == 2
    assert len(stack.assignments) == len(alone.assignments) + 3


class ReadMemory(lyapy.LSTM):
    name = "lstm-read-memory"
    output = "c"


def test_a_block_has_as_many_vectors_as_requested():
    """As many as requested, but all where units keep their directions."""
    (below,), (above,) = (
        lyapy.random_network(kind, n, m).cells
        for kind, n, m in (("independent", 6, 2), ("gru", 5, 6))
    )
    network = lyapy.Network([below, above])
    blocks = [*diagonal_blocks(network, whole=False), *diagonal_blocks(network, whole=True)]
    assert [block.decoupled for block in blocks] == [True, False, False]
    assert [block.columns[0] for block in blocks] == [0, 6, 0]
    assert [block.vectors(3) for block in blocks] == [6, 3, 3]
    assert [block.vectors(9) for block in blocks] == [6, 5, 9]
    assert [block.vectors(20) for block in blocks] == [6, 5, 11]


def test_determinant_and_dead_directions_of_a_stack():
    """The sum and the largest of the layers'; None with a layer without closed form."""
    network = mixed_stack(("vanilla", "lstm", "independent"))
    rng = np.random.default_rng(4)
    state, x = rng.normal(size=network.state_size), rng.normal(size=2)
    coefficients = forward_chunk(network, x[None], state).coefficients
    J = lyapy.jacobian(network, state, x)
    (whole,) = diagonal_blocks(network, whole=True)
    assert whole.has_log_abs_det
    assert whole.log_abs_det(coefficients) == pytest.approx([np.linalg.slogdet(J)[1]], rel=1e-12)
    assert whole.dead_directions(coefficients).tolist() == [0]
    # w alone is zero by underflow, which kills nothing
    for layer, names, count in ((1, "wpq", 2), (1, "w", 0)):
        changed, placed = coefficients.copy(), whole.program.coefficients[layer]
        for name in names:
            changed[0, placed[name].start : placed[name].start + 2] = 0.0
        assert whole.dead_directions(changed).tolist() == [count]
    (unknown,) = diagonal_blocks(mixed_stack(("vanilla", "gru", "independent")), whole=True)
    assert not unknown.has_log_abs_det
    assert unknown.log_abs_det(np.ones((1, 100))) is None


class InputFirst(lyapy.Vanilla):
    program = "dh' = a W dx + a U dh"


def test_terms_after_that_of_the_input():
    """They count in the first layer, too, whose input does not move."""
    (plain,) = lyapy.random_network("vanilla", 3, 2, seed=1).cells
    network = lyapy.Network([InputFirst(plain.W, plain.weights.U)])
    found, wanted = (
        lyapy.jacobian(n, np.ones(3), np.ones(2)) for n in (network, lyapy.Network([plain]))
    )
    np.testing.assert_array_equal(found, wanted)
    assert np.linalg.matrix_rank(found) == 3


def test_output_that_is_not_the_first_variable():
    below, above = mixed_stack(("lstm", "gru")).cells
    read = ReadMemory(below.W, below.weights.U, below.b)
    network, plain = lyapy.Network([read, above]), lyapy.Network([below, above])
    state, x = np.random.default_rng(3).normal(size=(2, network.state_size))
    J = difference_jacobian(network, state, x[:2])
    np.testing.assert_allclose(lyapy.jacobian(network, state, x[:2]), J, atol=1e-11)
    assert np.abs(J - lyapy.jacobian(plain, state, x[:2])).max() > 0.01


def test_layers_keep_their_order():
    network = mixed_stack(("gru", "lstm", "vanilla"))
    assert list(network.state_layout()) == [("0.h", 4), ("1.h", 3), ("1.c", 3), ("2.h", 2)]
    states = network.split_state(np.arange(12.0))
    assert [list(state) for state in states] == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9], [10, 11]]
    several = network.split_state(np.zeros((5, 12)))
    assert [state.shape for state in several] == [(5, 4), (5, 6), (5, 2)]
    assert all(isinstance(cell, Cell) for cell in network.cells)
    assert network.state_size == 12
    assert network.input_size == 2


@pytest.mark.parametrize("kinds", [("gru", "vanilla"), ("lstm", "gru-reset-before", "vanilla")])
def test_stack_is_the_union_of_its_layers(kinds, backend):
    """Exactly so for a dense frame whose first rows are those of the last layer."""
    network = mixed_stack(kinds, gain=1.0)
    D, inputs = network.state_size, np.random.default_rng(9).normal(size=(1500, 2))
    sizes = [cell.state_size for cell in network.cells]
    order = np.concatenate(np.split(np.arange(D), np.cumsum(sizes)[:-1])[::-1])
    J, options = orbit_jacobians(network, inputs, np.zeros(D)), {"backend": backend}
    # rounding turns such a frame in time, so the exact relation is for a short one
    layers = lyapunov_spectrum(network, inputs[:4], frame="identity", **options)
    dense = spectrum_of_jacobians(J[:4], frame=np.eye(D)[order], **options)
    with pytest.warns(RuntimeWarning, match="are followed as one"):
        given = lyapunov_spectrum(network, inputs[:4], frame=np.eye(D)[order], **options)
    np.testing.assert_allclose(dense.growth, layers.growth[:, :, order], atol=1e-7)
    np.testing.assert_allclose(given.growth, layers.growth[:, :, order], atol=1e-7)
    np.testing.assert_allclose(dense.exponents, layers.exponents, atol=1e-8)
    layers = lyapunov_spectrum(network, inputs, transient=100, **options)
    dense = spectrum_of_jacobians(J, transient=100, **options)
    np.testing.assert_allclose(dense.exponents, layers.exponents, atol=0.02)
