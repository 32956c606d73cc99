"""Cells without weights: Jacobians or gates from outside, and any map of one's own."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, check_size
from .base import Cell, Vectors, log_abs_product


class Weights(NamedTuple):
    """No weights: the tangent step reads its input alone."""


class Functions(NamedTuple):
    step: Callable[[Array, Array], Any]
    jacobian: Callable[[Array, Array], Any] | None
    products: Callable[[Array, Array, Array], Any] | None


class Given(NamedTuple):
    """A matrix M that is known by its products: ``function(entries, vectors)`` is vectors @ M.T.

    Its entries, ``size`` of them, are those of the coefficient of its name.
    """

    function: Callable[[Array, Array], Array]
    size: int


class GivenStep(Cell):
    """A tangent map without a forward pass: the input of each step is its coefficients."""

    def __init__(self, state_size: int, entries: int) -> None:
        self.W, self.b = np.zeros((0, entries)), np.zeros(0)
        self.weights = Weights()
        self.variables = {"h": state_size}

    def drive(self, x: Array) -> Array:
        return x

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        return (state,), (drive,)

    def matrices(self) -> dict[str, Array]:
        return {}


class GivenJacobian(GivenStep):
    """The input (D²,) of each step is its Jacobian."""

    name = "given-jacobian"
    program = "dh' = J dh"
    coefficients = ("J",)
    exact = True

    def __init__(self, state_size: int) -> None:
        super().__init__(state_size, state_size**2)

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array | None:
        if self.matrices():
            return None
        J, D = coefficients["J"], self.state_size
        return np.linalg.slogdet(J.reshape(*J.shape[:-1], D, D))[1]


class GivenDecay(GivenStep):
    """J = diag(a): the input (d,) of each step is a."""

    name = "given-decay"
    program = "dh' = a dh"
    coefficients = ("a",)
    decoupled = True

    def __init__(self, size: int) -> None:
        super().__init__(size, size)

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        return log_abs_product(coefficients["a"])


class GivenGates(GivenStep):
    """J = diag(a) + left rightᵀ: the input (3d,) of each step is a, left, right."""

    name = "given-gates"
    # S adds up, T spreads
    program = """
    dy = S r dh
    dh' = a dh + l T dy
    """
    coefficients = ("a", "l", "r")

    def __init__(self, size: int) -> None:
        super().__init__(size, 3 * size)
        self.auxiliary = {"y": 1}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        return (state,), (drive[..., :n], drive[..., n : 2 * n], drive[..., 2 * n :])

    def matrices(self) -> dict[str, Array]:
        n = self.state_size
        return {"S": np.ones((1, n)), "T": np.ones((n, 1))}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        a, left, right = (coefficients[name] for name in self.coefficients)
        with np.errstate(divide="ignore"):
            rank_one = np.log(np.abs(1.0 + np.sum(right * left / a, axis=-1)))
        return log_abs_product(a) + rank_one


class GivenProducts(GivenJacobian):
    """A tangent map without a forward pass, known by ``products(t, Q)``; the state counts t."""

    name = "given-products"
    plain = True

    def __init__(self, products: Callable[[int, Array], Any], state_size: int) -> None:
        super().__init__(state_size)
        check_size("state_size", state_size, 1)
        _check_arguments("(t, Q), the step and the vectors as rows", products=products)
        self.W = np.zeros((0, 0))
        self.products = products

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        new_state = state.copy()
        new_state[..., 0] += 1.0
        return (new_state,), (state[..., :1],)

    def matrices(self) -> dict[str, Any]:
        def apply(entries: Array, vectors: Array) -> Array:
            return _checked(self.products(int(entries[0]), vectors.copy()), vectors)

        return {"J": Given(apply, 1)}

    def fingerprint(self) -> tuple[Array, ...]:
        return (np.array(self.state_size), _source(self.products))


class Map(GivenJacobian):
    """A map given by two functions, to be used as ``lyapy.Network([lyapy.Map(...)])``.

    The functions run as they are, once a step; compiled by Numba they are faster. Where the
    whole run should be compiled, write a cell: see the page on adding a cell.

    Parameters
    ----------
    step : callable
        ``step(h, x)`` returns the next state (D,).
    jacobian : callable, optional
        ``jacobian(h, x)`` returns J_ij = ∂h′_i/∂h_j (D, D).
    state_size, inputs : int
        D, and the width m of x.
    products : callable, optional
        Instead of ``jacobian``, where that is too large to be formed: ``products(h, x, Q)``
        returns Q Jᵀ (k, D) in float64 for deviation vectors Q (k, D), from ``torch.func.jvp``,
        ``jax.jvp`` or any other linearization. J is never formed, and the readable engine
        computes whatever the backend. Without the rows of J, growth is resolved as far as float64
        spans one step, 18 nats at the default tolerance; beyond it is an upper bound.

    Examples
    --------
    >>> import lyapy
    >>> henon = lyapy.Map(
    ...     lambda h, x: [1 - 1.4 * h[0] ** 2 + h[1], 0.3 * h[0]],
    ...     lambda h, x: [[-2.8 * h[0], 1.0], [0.3, 0.0]],
    ...     state_size=2,
    ... )
    >>> spectrum = lyapy.lyapunov_spectrum(
    ...     lyapy.Network([henon]), steps=1000, transient=100, initial_state=[0.1, 0.1]
    ... )
    """

    name = "map"
    plain = True

    def __init__(
        self, step: Callable[[Array, Array], Any],
        jacobian: Callable[[Array, Array], Any] | None = None,
        state_size: int = 0, inputs: int = 0, *,
        products: Callable[[Array, Array, Array], Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(state_size)
        check_size("state_size", state_size, 1)
        if (jacobian is None) == (products is None):
            raise TypeError("give one of jacobian, J (D, D), and products, which returns Q Jᵀ")
        arguments = "(h, x), the state and the input, which is empty where inputs=0"
        _check_arguments(arguments, step=step)
        if jacobian is not None:
            _check_arguments(arguments, jacobian=jacobian)
        if products is not None:
            _check_arguments("(h, x, Q), state, input and the vectors as rows", products=products)
        self.W, self.b = np.eye(inputs), np.zeros(inputs)
        self.weights = Functions(step, jacobian, products)

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        D = state.shape[-1]
        new_state = np.empty_like(state)
        size = D * D if weights.products is None else D + drive.shape[-1]
        coefficients = np.empty_like(state, shape=(*state.shape[:-1], size))
        for at in np.ndindex(state.shape[:-1]):
            new = np.asarray(weights.step(state[at], drive[at]))
            if weights.jacobian is None:
                entries = np.concatenate([state[at], drive[at]])
                fits, found, wanted = new.shape == (D,), f"{new.shape}", f"({D},)"
            else:
                entries = np.asarray(weights.jacobian(state[at], drive[at]))
                fits = new.shape == (D,) and entries.shape == (D, D)
                found = f"{new.shape} and jacobian {entries.shape}"
                wanted = f"({D},) and ({D}, {D})"
            if not fits:
                finding = f"step returned shape {found}"
                raise ValueError(f"{finding}; a state of size {D} needs {wanted}")
            new_state[at], coefficients[at] = new, entries.reshape(-1)
        return (new_state,), (coefficients,)

    def matrices(self) -> dict[str, Any]:
        products, D = self.weights.products, self.state_size
        if products is None:
            return {}

        def apply(entries: Array, vectors: Array) -> Array:
            h, x = np.split(entries.copy(), [D])
            return _checked(products(h, x, vectors.copy()), vectors)

        return {"J": Given(apply, D + self.input_size)}

    def fingerprint(self) -> tuple[Array, ...]:
        return tuple(_source(function) for function in self.weights if function is not None)


def _checked(found: Any, vectors: Array) -> Array:
    """Return the products that a function found for ``vectors``, or refuse them."""
    images = np.asarray(found)
    if images.shape != vectors.shape:
        raise ValueError(
            f"products returned shape {images.shape} for vectors {vectors.shape}; it must return "
            "Q Jᵀ, of the same shape"
        )
    if images.dtype.kind not in "fiub" or (images.dtype.kind == "f" and images.itemsize < 8):
        raise TypeError(
            f"products returned {images.dtype}; compute in float64, as after "
            'torch.set_default_dtype(torch.float64) or jax.config.update("jax_enable_x64", True)'
        )
    return images.astype(np.float64, copy=False)


def _check_arguments(arguments: str, **functions: Callable[..., Any]) -> None:
    """Raise TypeError unless each function can be called with the ``arguments``, as described."""
    count = arguments.partition(")")[0].count(",") + 1
    for name, function in functions.items():
        try:
            signature = inspect.signature(getattr(function, "py_func", function))
        except (TypeError, ValueError):
            continue
        try:
            signature.bind(*[None] * count)
        except TypeError:
            raise TypeError(f"{name} takes {signature}; it must take {arguments}") from None


def _source(function: Callable[..., Any]) -> Array:
    try:
        text = inspect.getsource(getattr(function, "py_func", function))
    except (OSError, TypeError):
        text = repr(type(function))
    return np.frombuffer(text.encode(), dtype=np.uint8)
