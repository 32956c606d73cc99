"""Workers elsewhere: the ranks of an MPI job, a dask cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from .task import ENDING

__all__ = ["check_ranks", "dask_executor", "mpi_executor"]

# how many processes Slurm, MPICH and Open MPI say that they have started
COUNTS = ("SLURM_NTASKS", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE")


@contextmanager
def mpi_executor() -> Iterator[Any]:
    """Yield an executor of all other ranks in rank 0; in the others None, once all is done.

    Raises
    ------
    ModuleNotFoundError
        Without mpi4py.
    ValueError
        If every process was started as an MPI job of its own.
    """
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPICommExecutor
    except ImportError as error:
        raise ModuleNotFoundError(
            f"MPI cannot be used ({error}); install mpi4py with pip install 'lyapy[mpi]', and an "
            "MPI library, such as the cluster's own or the package mpich"
        ) from None
    check_ranks(MPI.COMM_WORLD.Get_size(), os.environ)
    if MPI.COMM_WORLD.Get_rank():
        # between two members a rank has nothing to write
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as ranks:
        yield ranks


def check_ranks(ranks: int, environment: Mapping[str, str]) -> None:
    """Raise ValueError if processes that were started together do not know of one another.

    Parameters
    ----------
    ranks : int
        Size of the communicator.
    environment : mapping
        Of the process.
    """
    if ranks > 1:
        return
    for name in COUNTS:
        count = environment.get(name, "1")
        if count.isdecimal() and int(count) > 1:
            raise ValueError(
                f"{name} is {count}, but MPI knows of one rank: each process would compute all "
                "networks; start lyapy by the mpiexec or srun --mpi=... of the MPI that mpi4py uses"
            )


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Yield an executor of the workers of a dask cluster.

    Parameters
    ----------
    address : str
        Of its scheduler, or a scheduler file (``.json``).

    Raises
    ------
    ModuleNotFoundError
        Without dask's distributed.
    OSError
        If the scheduler cannot be reached.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ModuleNotFoundError(
            f"dask cannot be used ({error}); install it with pip install 'lyapy[dask]'"
        ) from None
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    with Client(**where, set_as_default=False) as client, client.get_executor() as executor:
        yield executor
