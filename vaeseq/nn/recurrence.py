"""The recurrences of cores, by the name that `hparams.rnn_cell` gives them."""

from vaeseq.hparams import HParams
from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.mingru import MinGRUStack
from vaeseq.nn.stack import RecurrentStack

_STACKS: dict[str, type[LSTMStack] | type[MinGRUStack]] = {
    "lstm": LSTMStack,
    "mingru": MinGRUStack,
}

RNN_CELLS = tuple(_STACKS)
"""The values of `hparams.rnn_cell`."""


def make_stack(hparams: HParams, name: str | None = None) -> RecurrentStack:
    """Creates the stack that `hparams.rnn_cell` names, of `hparams.rnn_hidden_sizes` units."""
    return _STACKS[hparams.rnn_cell](hparams, name=name)
