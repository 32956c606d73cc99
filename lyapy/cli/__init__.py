"""The command line: one file for each command, imported without NumPy.

A command is a module with ``SUMMARY``, ``EXAMPLE``, ``add_arguments(parser)`` and
``run(arguments)``, which returns the exit code.
"""

import argparse
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NoReturn

from .. import __version__
from ..errors import FAILURES, one_line
from . import (
    check,
    compile,
    convert,
    demo,
    fixed_points,
    info,
    merge,
    plot,
    show,
    spectrum,
    sweep,
    vectors,
    verify,
)
from .messages import BAD_INPUT, BROKEN_PIPE, code_of, say, silence

__all__ = ["main"]

MODULES = (
    *(spectrum, sweep, merge, show, plot, vectors, fixed_points, info, convert, check, verify),
    *(compile, demo),
)
COMMANDS = {m.__name__.rpartition(".")[2].replace("_", "-"): m for m in MODULES}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``lyapy`` with the words after it, by default the process's, and return its exit code.

    0 is success, 1 a failed check, 2 bad input, with one line on standard error, 73 a run that
    another process is computing, 74 a file that cannot be written, 75 an interruption after which
    the same command continues, and 130 another interruption.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # file names need not be UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    with warnings.catch_warnings():
        # the last filter wins: the user sees each warning of lyapy, in one line
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        with _log_to_stderr():
            code = _run(arguments)
    _drop_unwritten()
    return code


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    logger, handler = logging.getLogger("lyapy"), logging.Handler()

    def emit(record: logging.LogRecord) -> None:
        # a progress bar may have said it
        if not hasattr(record, "said"):
            say(record.getMessage())

    handler.emit = emit  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def _run(arguments: argparse.Namespace) -> int:
    try:
        code: int = COMMANDS[arguments.command].run(arguments)
        # it is None where it was closed before the start
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # the reader, `head` perhaps, has closed
        silence(sys.stdout)
        return BROKEN_PIPE
    except (KeyboardInterrupt, *FAILURES) as error:
        return code_of(_of_stream(error) if isinstance(error, OSError) else error)


def _drop_unwritten() -> None:
    """Leave nothing in standard error that Python could not write at exit, and would exit for."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        silence(sys.stderr)


def _of_stream(error: OSError) -> OSError:
    """Return an error of standard output by this name; errors of files have that of the file."""
    number, text = error.errno or 0, error.strerror
    if error.filename is not None or error.args != (number, os.strerror(number)):
        return error
    if sys.stdout is not None:
        silence(sys.stdout)
    return OSError(number, f"standard output: {text}")


class _Parser(argparse.ArgumentParser):
    """Reports an error in one line, without the usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # the command's own parser refuses an unknown argument: it knows the nearest one
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            near = get_close_matches(unknown[0], self._option_string_actions, 1)
            hint = f"; is {near[0]} meant?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"lyapy: error: {one_line(message)}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lyapy",
        description="Lyapunov spectra of recurrent networks, from exported weights.",
        epilog="example: lyapy spectrum model.pt --inputs drive.npy -o run.h5",
    )
    parser.add_argument("--version", action="version", version=f"lyapy {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=f"{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.",
            epilog=f"example: {module.EXAMPLE}",
        )
        module.add_arguments(command)
    return parser
