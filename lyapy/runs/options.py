"""The options of a run, each described once: by a field of a frozen dataclass.

From the fields follow the signature and the docstring of `lyapunov_spectrum`, the settings in a
result and which of them may differ when a run continues, the flags of the command line, and the
names that a sweep reserves. To add an option, add a field, and use it.
"""

# ruff: noqa: RUF009

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from textwrap import fill, indent
from typing import Any, Literal, NamedTuple, TypeVar

__all__ = [
    "Compute",
    "Keep",
    "Method",
    "Option",
    "described",
    "refuse_unknown",
    "settings_of",
    "stored",
    "take_options",
    "with_options",
]

RECORDS = ("growth", "states", "frames", "factors")


class Option(NamedTuple):
    """Describes a field of the options.

    Attributes
    ----------
    text : str
        One line, for the docstring and the command line; begins with a verb if it can be refused.
    kind : str
        Type of the values, as a docstring names it.
    unset : str
        Meaning of the default, where that is None.
    note : str
        Further sentences, for the docstring alone.
    choices : tuple of str
        The names that a value may be.
    parse
        From a word of the command line to a value.
    metavar : str
        Placeholder for the value in the command line's help.
    stored : {"run", "place", ""}
        In a result's settings: ``"run"`` makes another run if it differs, ``"place"`` may change
        the last bits. Nothing else is stored.
    by_output : bool
        Set by whoever names the output: a command or a sweep, for each run.
    """

    text: str
    kind: str
    unset: str = ""
    note: str = ""
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Any] = str
    metavar: str | None = None
    stored: Literal["run", "place", ""] = "run"
    by_output: bool = False

    def entry(self, name: str) -> str:
        """Return the entry of a docstring's parameter section."""
        end = f"; by default {self.unset}." if self.unset else "."
        text = f"{self.text[0].upper()}{self.text[1:]}{end} {self.note}".strip()
        return f"{name} : {self.kind}\n{indent(fill(text, 92), '    ')}"


def _option(default: Any, text: str, kind: str, **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(text, kind, **more)})


def whole_or_auto(word: str) -> int | str:
    return word if word == "auto" else int(word)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _check_choices(options: Any) -> None:
    for name, option in described(type(options)).items():
        value = getattr(options, name)
        if option.choices and value not in option.choices:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(option.choices)}")


@dataclass(frozen=True, kw_only=True)
class Method:
    """How `lyapunov_spectrum` follows deviation vectors."""

    interval: int | str = _option(
        "auto",
        "steps between two reorthonormalizations; auto holds the error within the tolerance",
        '"auto" or int',
        parse=whole_or_auto,
        metavar="N|auto",
    )
    tolerance: float | None = _option(
        None,
        "rounding error admitted in the growth of one interval, in nats",
        "float, optional",
        unset="1e-8, or 2.5e-4 in float32",
        parse=float,
        metavar="X",
    )
    frame: Any = _option(
        "random",
        "initial deviation vectors, as rows",
        '"random", "identity" or array (k, D)',
        note="With an array a stack is followed as a whole instead of layer by layer; rounding can "
        "then push nearly equal exponents of different layers apart, and a warning says so.",
        metavar="random|identity",
    )
    two_ended: bool = _option(
        True,
        "split a full spectrum into a leading frame under J and a trailing one under J⁻ᵀ, where "
        "that is cheaper or resolves more",
        "bool",
        note="The exponents are the same.",
    )

    def __post_init__(self) -> None:
        # help on the command line comes without NumPy
        from ..tangent.interval import make_control

        make_control(self.interval, 0.5 if self.tolerance is None else self.tolerance, 1)
        if isinstance(self.frame, str) and self.frame not in ("random", "identity"):
            raise ValueError(
                f"frame is {self.frame!r}; it must be 'random', 'identity' or an array"
            )


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Where `lyapunov_spectrum` computes, and in how many threads."""

    backend: str = _option(
        "auto",
        "engine: numba is compiled for the CPU, numpy is the readable reference, cupy an NVIDIA "
        "GPU; auto is numba",
        '{"auto", "numba", "numpy", "cupy"}',
        note="See docs/gpu.md.",
        choices=("auto", "numba", "numpy", "cupy"),
    )
    precision: str = _option(
        "float64",
        "floating-point type in which a GPU computes; the CPU knows float64 only",
        '{"float64", "float32"}',
        choices=("float64", "float32"),
    )
    threads: int | None = _option(
        None,
        "trajectories computed at the same time",
        "int, optional",
        unset="as many as CPUs, or on each GPU an equal share if memory suffices",
        note="The result does not depend on it on the CPU; on a GPU it does, within the tolerance.",
        parse=int,
        metavar="N",
        stored="place",
    )
    blas_threads: int = _option(
        1,
        "threads in each matrix product, for one trajectory of a large network; with more than "
        "one the last bits may depend on them",
        "int",
        parse=int,
        metavar="N",
        stored="place",
    )

    def __post_init__(self) -> None:
        from ..arrays import check_size

        _check_choices(self)
        if self.precision != "float64" and self.backend != "cupy":
            raise ValueError(
                f"precision is {self.precision!r}, in which backend={self.backend!r} does not "
                "compute; use 'float64', or backend='cupy'"
            )
        if self.threads is not None:
            check_size("threads", self.threads, 1)
        check_size("blas_threads", self.blas_threads, 1)


@dataclass(frozen=True, kw_only=True)
class Keep:
    """What `lyapunov_spectrum` keeps of a run in a file, and when it may continue one."""

    checkpoint: str | PathLike[str] | None = _option(
        None,
        "run file (HDF5) for checkpoints and the result",
        "str or path, optional",
        note="The same call, made again after the run was killed or interrupted, continues from "
        "the last checkpoint to the same result, bit for bit; a finished run is read.",
        stored="",
        by_output=True,
    )
    checkpoint_every: float = _option(
        300.0,
        "seconds between two checkpoints",
        "float",
        parse=float,
        metavar="S",
        stored="",
    )
    record: str | Sequence[str] = _option(
        "growth",
        "rows to record in the run file: any of growth, states, frames, factors",
        'str or sequence of {"growth", "states", "frames", "factors"}',
        note="See docs/checkpoints.md; only the NumPy engine records factors, the R factors. The "
        "history always holds the growth, in coarser rows.",
        parse=_words,
        metavar="KINDS",
    )
    record_every: int | None = _option(
        None,
        "counted steps from one recorded row to the next",
        "int, optional",
        unset="64",
        parse=int,
        metavar="N",
    )
    overwrite: bool = _option(
        False,
        "replace another run, or another file, at ``checkpoint``",
        "bool",
        stored="",
        by_output=True,
    )
    require_identical: bool = _option(
        False,
        "refuse to continue on another machine or with other versions or threads",
        "bool",
        note="Otherwise a warning says that the last bits may differ.",
        stored="",
    )
    any_backend: bool = _option(
        False,
        "continue a run that another backend began, on the CPU or on a GPU",
        "bool",
        note="The result then agrees within the tolerance, and its settings record the change.",
        stored="",
    )

    def __post_init__(self) -> None:
        if not 0.0 < self.checkpoint_every < float("inf"):
            raise ValueError(
                f"checkpoint_every is {self.checkpoint_every!r}; it must be a positive number of "
                "seconds"
            )
        kinds = (self.record,) if isinstance(self.record, str) else tuple(self.record)
        if not kinds or not set(kinds) <= set(RECORDS):
            raise ValueError(f"record is {self.record!r}; it must be any of {', '.join(RECORDS)}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of ``record``, in the order of `RECORDS`."""
        asked = (self.record,) if isinstance(self.record, str) else self.record
        return tuple(kind for kind in RECORDS if kind in asked)

    @property
    def path(self) -> Path:
        """Absolute path of ``checkpoint``, links followed: their targets are locked."""
        assert self.checkpoint is not None
        return Path(os.path.realpath(self.checkpoint))

    @property
    def shown(self) -> str:
        """The path of ``checkpoint`` as it was given, for messages."""
        assert self.checkpoint is not None
        return os.fspath(self.checkpoint)


KINDS = {"method": Method, "compute": Compute, "keep": Keep}


def described(kind: type[Any]) -> dict[str, Option]:
    """Return the options of a dataclass by name."""
    return {each.name: each.metadata["option"] for each in fields(kind)}


ALL = {name: option for kind in KINDS.values() for name, option in described(kind).items()}

for _kind in KINDS.values():
    _entries = "\n".join(option.entry(name) for name, option in described(_kind).items())
    _kind.__doc__ = f"{_kind.__doc__}\n\nParameters\n----------\n{_entries}"


def stored(how: str) -> frozenset[str]:
    """Return the names of the options that a result stores ``"run"`` or ``"place"``."""
    return frozenset(name for name, option in ALL.items() if option.stored == how)


def settings_of(*options: Any) -> dict[str, Any]:
    """Return the values that a result stores, by name."""
    return {
        name: getattr(each, name)
        for each in options
        for name, option in described(type(each)).items()
        if option.stored
    }


F = TypeVar("F", bound=Callable[..., Any])


def with_options(function: F) -> F:
    """Show all options in the signature of a function that takes ``**options``.

    In its docstring they replace the word OPTIONS.
    """
    signature = inspect.signature(function)
    given = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    plain = [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type
        )
        for kind in KINDS.values()
        for f in fields(kind)
    ]
    function.__signature__ = signature.replace(parameters=[*given, *plain])  # type: ignore[attr-defined]
    if function.__doc__ is not None:
        entries = "\n".join(option.entry(name) for name, option in ALL.items())
        function.__doc__ = inspect.cleandoc(function.__doc__).replace("OPTIONS", entries, 1)
    return function


def take_options(
    function: Callable[..., Any], options: Mapping[str, Any], **given: Any
) -> tuple[Method, Compute, Keep]:
    """Return the three objects, with the plain keywords ``options`` put into them.

    Parameters
    ----------
    function
        Decorated by `with_options`.
    options : mapping
    **given : Method, Compute or Keep, or None
        By the names of `KINDS`.

    Raises
    ------
    TypeError
        If a keyword is unknown, or an object sets the option too.
    """
    refuse_unknown(function.__name__, options, inspect.signature(function).parameters)
    kind: type[Any]
    found: list[Any] = []
    for name, kind in KINDS.items():
        whole: Any = kind() if given[name] is None else given[name]
        if not isinstance(whole, kind):
            raise TypeError(
                f"{name} is a {type(whole).__name__}; it must be a lyapy.{kind.__name__}"
            )
        plain = {f.name: options[f.name] for f in fields(kind) if f.name in options}
        for f in fields(kind):
            if f.name in plain and getattr(whole, f.name) is not f.default:
                raise TypeError(f"{f.name} is given twice, in {name} too; give it once")
        found.append(replace(whole, **plain))
    method, compute, keep = found
    return method, compute, keep


def refuse_unknown(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError, with the nearest names, for the first keyword that is not known."""
    names = sorted(known)
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, 3, 0.5) or names
            raise TypeError(f"{name} is no argument of {function}; nearest are {', '.join(near)}")
