"""RNN: a recurrent network without latent variables.

    Generative model
    ================
     x_1         x_t
      ^           ^
      |           |
     d_1 ------> d_t
      ^           ^
      |           |
     c_1         c_t

x_t observed, d_t outputs of a recurrent network, c_t contexts (by default x_{t-1}).

Use it first: it trains fastest, and its log-likelihood is exact, so it is the baseline for the
other cores. It has no representation of a sequence and no noise besides that of p(x_t | d_t).

Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; as a generative model: Graves
2013, arXiv:1308.0850.
"""

from collections.abc import Callable

import tensorflow as tf

from vaeseq.context import core_part
from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import concat
from vaeseq.nn.recurrence import RNN_CELLS, make_stack
from vaeseq.nn.stack import StackState
from vaeseq.nn.types import Nest, Size
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import Gaussian


class RNN(VAECore):
    """p(x_t | d_t); z has no dimensions, so the ELBO is the exact log-likelihood."""

    rnn_cells = RNN_CELLS

    def __init__(
        self,
        hparams: HParams,
        encoder: Callable[[Nest], tf.Tensor],
        decoder: DistModule,
        name: str | None = None,
    ):
        super().__init__(hparams, encoder, decoder, name=name)
        self.latent_size = 0
        self.d_rnn = make_stack(hparams, name="d_rnn")

    def initial_state(self, batch_size: Size) -> StackState:
        """Returns d_0, zeros."""
        return self.d_rnn.initial_state(batch_size)

    def state_features(self, states: StackState) -> tf.Tensor:
        """Returns d_t, [..., D]."""
        return self.d_rnn.features(states)

    def step(
        self,
        context: Nest,
        state: StackState,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, StackState]:
        """Computes d_t from c_t and d_{t-1}, then p(x_t | d_t)."""
        d, state = self.d_rnn.step(concat(core_part(context)), state)
        empty = Gaussian.standard_like(noise)  # [B, 0]
        params = self.decoder(self.decoder_features(d, context))
        return Step(params, noise, empty, empty), state

    def unroll(
        self,
        contexts: Nest,
        state: StackState,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, StackState]:
        """Computes d_1:T as one recurrence over the sequence."""
        d, states = self.d_rnn.unroll(concat(core_part(contexts)), state)
        empty = Gaussian.standard_like(noise)  # [B, T, 0]
        params = self.decode(self.decoder_features(d, contexts))
        return Step(params, noise, empty, empty), states
