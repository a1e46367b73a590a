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
    """Creates the stack that `hparams.rnn_cell` names, of `hparams.rnn_hidden_sizes` units.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> stack = vaeseq.make_stack(vaeseq.HParams(rnn_cell="mingru", rnn_hidden_sizes=(8, 8)))
      >>> outputs, states = stack.unroll(tf.zeros([4, 10, 3]), stack.initial_state(4))
      >>> outputs.shape
      TensorShape([4, 10, 8])
    """
    return _STACKS[hparams.rnn_cell](hparams, name=name)
