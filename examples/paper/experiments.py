"""Which networks are trained, in an order of which any beginning is a useful selection."""

from typing import NamedTuple

__all__ = ["PATTERN", "TASKS", "Run", "all_runs"]

# the task and the cell, of which tanh stands for torch's plain network
GROUPS = (
    ("text", "lstm"),
    ("text", "gru"),
    ("text", "tanh"),
    ("digits", "gru"),
    ("digits", "lstm"),
)
TASKS = ("text", "digits")
# recurrent layers are drawn from -p to p: (p, learning rate)
SETTINGS = (
    (0.12, 0.003),
    (0.24, 0.01),
    (0.04, 0.001),
    (1.0, 0.003),
    (0.08, 0.01),
    (0.20, 0.001),
    (0.16, 0.003),
    (3.0, 0.003),
    (0.04, 0.01),
    (0.24, 0.001),
    (0.5, 0.003),
    (0.12, 0.01),
    (0.08, 0.003),
    (0.16, 0.001),
    (2.0, 0.003),
    (0.20, 0.01),
    (0.04, 0.003),
    (0.24, 0.003),
    (0.12, 0.001),
    (0.16, 0.01),
    (0.08, 0.001),
    (0.20, 0.003),
)
# between others, as they take longer
LARGE = {2: (0.04, 0.003), 5: (0.24, 0.003), 8: (0.12, 0.003), 11: (1.0, 0.003)}
# fields of a run's folder and of the file of an epoch
PATTERN = "{task}/{cell}_n{n}_p{p}_lr{lr}_seed{seed}/epoch{epoch}"


class Run(NamedTuple):
    """One training.

    Attributes
    ----------
    task : str
        ``text`` or ``digits``.
    cell : str
        ``lstm``, ``gru`` or ``tanh``.
    n : int
        Units.
    p : float
        The recurrent layer is drawn uniformly from −p to p.
    lr : float
        Learning rate.
    seed : int
    """

    task: str
    cell: str
    n: int
    p: float
    lr: float
    seed: int

    @property
    def folder(self) -> str:
        """Return the folder of its weights, below that of all runs."""
        return PATTERN.rpartition("/")[0].format(**self._asdict())


def all_runs() -> list[Run]:
    """Return all trainings, in the order in which they are done."""
    runs = []
    for seed, (p, lr) in enumerate(SETTINGS):
        runs += [Run(task, cell, 64, p, lr, seed) for task, cell in GROUPS]
        if seed in LARGE:
            runs.append(Run("text", "lstm", 128, *LARGE[seed], seed))
    return runs
