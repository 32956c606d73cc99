"""The cells: one file for each equation, and the table in which each is registered once."""

from .antisymmetric import Antisymmetric
from .base import Cell
from .fast_grnn import FastGRNN
from .gru import GRU, GRUResetBefore
from .independent import Independent
from .lipschitz import Lipschitz
from .lstm import LSTM, ProjectedLSTM
from .minimal_gated import MinimalGated
from .minimal_parallel import MinGRU, MinLSTM
from .oscillators import CoRNN
from .parallel import ParaGRU, ParaLSTM
from .plrnn import PLRNN, ShallowPLRNN
from .rate import Rate, RateRK4
from .reservoir import Reservoir
from .slstm import SLSTM
from .spiking import SpikingSurrogate
from .state_space import DiagonalStateSpace
from .update_gate import UpdateGate
from .vanilla import Vanilla
from .variants import GRUResetBeforeVariant, GRUVariant, LSTMVariant

__all__ = [
    "CELLS", "GRU", "LSTM", "PLRNN", "SLSTM", "Antisymmetric", "Cell", "CoRNN",
    "DiagonalStateSpace", "FastGRNN", "GRUResetBefore", "GRUResetBeforeVariant", "GRUVariant",
    "Independent", "LSTMVariant", "Lipschitz", "MinGRU", "MinLSTM", "MinimalGated", "ParaGRU",
    "ParaLSTM", "ProjectedLSTM", "Rate", "RateRK4", "Reservoir", "ShallowPLRNN",
    "SpikingSurrogate", "UpdateGate", "Vanilla",
]  # fmt: skip

PLAIN = (Vanilla, GRU, GRUResetBefore, LSTM, ProjectedLSTM)
VARIANTS = (GRUVariant, GRUResetBeforeVariant, LSTMVariant)
# cells that no framework writes to weights files
OTHERS = (
    *(Rate, RateRK4, Reservoir, Antisymmetric, CoRNN, Lipschitz, PLRNN, ShallowPLRNN),
    *(MinimalGated, Independent, DiagonalStateSpace, SpikingSurrogate, SLSTM, ParaGRU, ParaLSTM),
    *(MinGRU, MinLSTM, UpdateGate, FastGRNN),
)
CELLS: dict[str, type[Cell]] = {cell.name: cell for cell in (*PLAIN, *VARIANTS, *OTHERS)}
