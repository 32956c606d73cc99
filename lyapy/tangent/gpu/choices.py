"""Which way a size is computed where there are several: thresholds, kept here as data.

``python -m tools.benchmarks.gpu_choices --write`` times the ways on a card and writes what it finds
between the lines below. A run's settings tell them, as they may change the last bits.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CHOICES", "Choices"]


class Choices(NamedTuple):
    """Thresholds.

    Attributes
    ----------
    shared_vectors : int
        The most vectors of a frame that is orthonormalized in shared memory, where it fits.
    longest_panel : int
        The most rows that Cholesky's factor orthonormalizes at once, in larger frames; 1 leaves
        all to Gram and Schmidt's recipe by blocks.
    interval_columns : int
        The most columns of a frame that goes through an interval in one launch, where it fits.
    forward_columns : int
        The most columns of a layer's state whose forward pass over a chunk is one launch.
    merged_share : float
        Terms are added into one matrix for each trajectory from so many vectors per column on.
    """

    shared_vectors: int
    longest_panel: int
    interval_columns: int
    forward_columns: int
    merged_share: float

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self._asdict().items())


# Not measured. A block has 256 threads, one for each vector; a warp has 32, and cuBLAS's batched
# factorizations are made for matrices up to that. One multiprocessor multiplies 64 × 64 matrices in
# about the time of a launch. A sum of three n × n matrices is as much traffic
# as two products less with n / 2 vectors.
CHOICES = Choices(
    shared_vectors=256,
    longest_panel=32,
    interval_columns=64,
    forward_columns=64,
    merged_share=0.5,
)
# end of what is written
