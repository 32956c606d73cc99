"""The cells, and the table in which each is registered once."""

from __future__ import annotations

from .base import Cell
from .gru import GRU, GRUResetBefore
from .lstm import LSTM, ProjectedLSTM
from .vanilla import Vanilla

__all__ = ["CELLS", "GRU", "LSTM", "Cell", "GRUResetBefore", "ProjectedLSTM", "Vanilla"]

CELLS: dict[str, type[Cell]] = {
    cell.name: cell for cell in (Vanilla, GRU, GRUResetBefore, LSTM, ProjectedLSTM)
}
