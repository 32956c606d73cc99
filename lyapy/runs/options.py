"""The options of a run, each described once: by a field of a frozen dataclass.

From the fields follow the signature and the docstring of `lyapunov_spectrum`, the settings in a
result and which of them may differ when a run continues, the flags of the command line, and the
names that a sweep reserves. To add an option, add a field, and use it.
"""

from __future__ import annotations

# ruff: noqa: RUF009
import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cache
from os import PathLike
from pathlib import Path
from textwrap import fill, indent
from typing import Any, Literal, NamedTuple, TypeVar

RECORDS = ("growth", "states", "frames", "factors")
PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {"int": (int, "N"), "float": (float, "X")}


class Option(NamedTuple):
    """Describes a field of the options, for the docstring and the command line."""

    # its first sentence is the command line's help; begins with a verb if it can be refused
    text: str
    # meaning of the default None
    unset: str = ""
    # type of the values, if the annotation does not show it
    kind: str = ""
    choices: tuple[str, ...] = ()
    # from a word of the command line, and the word's placeholder
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None
    # in a result's settings: "run" makes another run, "place" may change the last bits
    stored: Literal["run", "place", ""] = "run"
    # set by whoever names the output, a command or a sweep
    by_output: bool = False

    @property
    def help(self) -> str:
        """One line for the command line."""
        return self.text.partition(". ")[0]

    def entry(self, name: str) -> str:
        """Return the entry of a docstring's parameter section."""
        first, stop, rest = f"{self.text[0].upper()}{self.text[1:]}".partition(". ")
        text = first + (f"; by default {self.unset}" if self.unset else "") + (stop or ".") + rest
        if rest:
            text += "."
        return f"{name} : {self.kind}\n{indent(fill(text, 92), '    ')}"


def _option(default: Any, text: str, unset: str = "", **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(text, unset, **more)})


def whole_or_name(word: str) -> int | str:
    """Return a whole number, or a name as it is."""
    return word if word.replace("-", "").isalpha() else int(word)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


@dataclass(frozen=True, kw_only=True)
class Method:
    """How `lyapunov_spectrum` follows deviation vectors."""

    interval: int | str = _option(
        "auto",
        "steps between two reorthonormalizations; auto holds the error within the tolerance",
        kind='"auto" or int',
        parse=whole_or_name,
        metavar="N|auto",
    )
    tolerance: float | None = _option(
        None,
        "rounding error admitted in the growth of one interval, in nats",
        "1e-8, or 2.5e-4 in float32",
    )
    frame: Any = _option(
        "random",
        "initial deviation vectors, as rows. With an array, layers and modules are followed as one "
        "instead of each by itself; rounding then couples them, and a warning says so",
        kind='"random", "identity" or array (k, D)',
        metavar="random|identity",
    )
    two_ended: bool = _option(
        True,
        "split a full spectrum into a leading frame under J and a trailing one under J⁻ᵀ, where "
        "that is cheaper or resolves more. The exponents are the same",
    )

    def __post_init__(self) -> None:
        # the command line's help comes without NumPy
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
        "GPU (docs/gpu.md); auto is numba",
        choices=("auto", "numba", "numpy", "cupy"),
    )
    precision: str = _option(
        "float64",
        "floating-point type in which a GPU computes; the CPU knows float64 only",
        choices=("float64", "float32"),
    )
    threads: int | None = _option(
        None,
        "trajectories computed at the same time. The result does not depend on it on the CPU; on "
        "a GPU it does, within the tolerance",
        "as many as CPUs, or on each GPU an equal share if memory suffices",
        stored="place",
    )
    segments: int | str = _option(
        1,
        "pieces of time into which one trajectory is cut, to be computed side by side; auto makes "
        "one for each CPU of a long trajectory, or a batch of a GPU. The result depends on them "
        "within the tolerance, and reports the error that they leave",
        kind='int or "auto"',
        parse=whole_or_name,
        metavar="N|auto",
        stored="place",
    )
    blas_threads: int = _option(
        1,
        "threads in each matrix product, for one trajectory of a large network; with more than "
        "one the last bits may depend on them",
        stored="place",
    )

    def __post_init__(self) -> None:
        from ..arrays import check_choice, check_size

        for name, option in described(Compute).items():
            if option.choices:
                check_choice(name, getattr(self, name), option.choices)
        if self.precision != "float64" and self.backend != "cupy":
            raise ValueError(
                f"precision is {self.precision!r}, in which backend={self.backend!r} does not "
                "compute; use 'float64', or backend='cupy'"
            )
        check_size("threads", 1 if self.threads is None else self.threads, 1)
        if self.segments != "auto":
            check_size("segments", self.segments, 1)
        check_size("blas_threads", self.blas_threads, 1)


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Records and checkpoints of `lyapunov_spectrum` in a file, and when it may continue one."""

    checkpoint: str | PathLike[str] | None = _option(
        None,
        "run file (HDF5) for checkpoints and the result. The same call, made again after the run "
        "was killed or interrupted, continues from the last checkpoint to the same result, bit "
        "for bit; a finished run is read",
        kind="str or path, optional",
        stored="",
        by_output=True,
    )
    checkpoint_every: float = _option(300.0, "seconds between two checkpoints", stored="")
    record: str | Sequence[str] = _option(
        "growth",
        "rows to record in the run file: any of growth, states, frames, factors. See "
        "docs/checkpoints.md; only the NumPy engine records factors, the R factors. The history "
        "always holds the growth, in coarser rows",
        kind='str or sequence of {"growth", "states", "frames", "factors"}',
        parse=_words,
        metavar="KIND,KIND",
    )
    record_every: int | None = _option(
        None,
        "counted steps from one recorded row to the next. Without a checkpoint, rows of the "
        "history, for finite-time exponents; numbers with a divisor near 64 cost least",
        "64",
    )
    overwrite: bool = _option(
        False, "replace another run, or another file, at ``checkpoint``", stored="", by_output=True
    )
    require_identical: bool = _option(
        False,
        "refuse to continue on another machine or with other versions or threads. Otherwise a "
        "warning says that the last bits may differ",
        stored="",
    )
    any_backend: bool = _option(
        False,
        "continue a run that another backend began, on the CPU or on a GPU. The result then "
        "agrees within the tolerance, and its settings record the change",
        stored="",
    )

    def __post_init__(self) -> None:
        from ..arrays import check_positive

        check_positive("checkpoint_every", self.checkpoint_every, "a positive number of seconds")
        if not self.kinds or not set(self.kinds) <= set(RECORDS):
            raise ValueError(f"record is {self.record!r}; it must be any of {', '.join(RECORDS)}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of ``record``, in the order of `RECORDS`."""
        asked = {self.record} if isinstance(self.record, str) else {*self.record}
        return tuple(sorted(asked, key=lambda kind: (*RECORDS, kind).index(kind)))

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
    """Return the options of a dataclass by name; their types follow from the annotations."""
    found = {}
    for each in fields(kind):
        option, name = each.metadata["option"], str(each.type).partition(" ")[0]
        shown = "{" + ", ".join(f'"{c}"' for c in option.choices) + "}" if option.choices else name
        parse, metavar = PARSERS.get(name, (str, None))
        found[each.name] = option._replace(
            kind=option.kind or shown + (", optional" if option.unset else ""),
            parse=option.parse or parse,
            metavar=option.metavar or metavar,
        )
    return found


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
    """Show all options in the signature, and for OPTIONS in the docstring, of a function."""
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
    """Return the objects ``given`` by the names of `KINDS`, with plain keywords put into them.

    Raises TypeError if a keyword is unknown, or if an object sets the option too.
    """
    refuse_unknown(function.__name__, options, _arguments(function))
    found: list[Any] = []
    kind: type[Any]
    for name, kind in KINDS.items():
        whole = kind() if given[name] is None else given[name]
        if not isinstance(whole, kind):
            found_type = type(whole).__name__
            raise TypeError(f"{name} is a {found_type}; it must be a lyapy.{kind.__name__}")
        plain = {each.name: each.default for each in fields(kind) if each.name in options}
        for key, default in plain.items():
            if getattr(whole, key) is not default:
                raise TypeError(f"{key} is given twice, in {name} too; give it once")
        found.append(replace(whole, **{key: options[key] for key in plain}))
    return found[0], found[1], found[2]


@cache
def _arguments(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def refuse_unknown(function: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise TypeError, with the nearest names, for the first keyword that is not known."""
    for name in given:
        if name not in known:
            names = sorted(known)
            near = get_close_matches(name, names, 3, 0.5) or names
            raise TypeError(f"{name} is no argument of {function}; nearest are {', '.join(near)}")
