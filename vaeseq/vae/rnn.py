"""A recurrent network without latent variables: the exact baseline.

Notation: d_t deterministic RNN outputs, x_t observed, c_t contexts.

    Generative model
    ================
     x_1         x_t
      ^           ^
      |           |
     d_1 ------> d_t
      ^           ^
      |           |
     c_1         c_t
"""

from typing import Any

import tensorflow as tf

from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.mlp import concat
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import Gaussian


class RNN(VAECore):
    """p(x_t | d_t); its z has no dimensions, so its ELBO is the exact log-likelihood."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.latent_size = 0
        self.d_rnn = LSTMStack(self.hparams, name="d_rnn")

    def initial_state(self, batch_size: Any) -> Any:
        """d_0, zeros."""
        return self.d_rnn.initial_state(batch_size)

    def step(
        self,
        context: Any,
        state: Any,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """d_t of c_t and d_{t-1}; p(x_t | d_t)."""
        d, state = self.d_rnn.step(concat(context), state)
        nothing = Gaussian.standard_like(noise)
        return Step(self.decoder(self.seen(d, context)), noise, nothing, nothing), state

    def unroll(
        self,
        contexts: Any,
        state: Any,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """The d-chain as one recurrence over the sequence."""
        d, states = self.d_rnn.unroll(concat(contexts), state)
        nothing = Gaussian.standard_like(noise)
        return Step(self.decode(self.seen(d, contexts)), noise, nothing, nothing), states
