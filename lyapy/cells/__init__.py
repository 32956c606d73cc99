"""The cells, and the table in which each is registered once."""

from __future__ import annotations

from .base import Cell
from .gru import GRU, GRUResetBefore
from .lstm import LSTM, ProjectedLSTM
from .vanilla import Vanilla
from .variants import GRUResetBeforeVariant, GRUVariant, LSTMVariant

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "Cell",
    "GRUResetBefore",
    "GRUResetBeforeVariant",
    "GRUVariant",
    "LSTMVariant",
    "ProjectedLSTM",
    "Vanilla",
]

PLAIN = (Vanilla, GRU, GRUResetBefore, LSTM, ProjectedLSTM)
VARIANTS = (GRUVariant, GRUResetBeforeVariant, LSTMVariant)
CELLS: dict[str, type[Cell]] = {cell.name: cell for cell in (*PLAIN, *VARIANTS)}
