"""A sequential VAE whose latent variables are independent a priori.

Notation: z_t latent, d_t, e_t, f_t deterministic RNN outputs, x_t observed, c_t contexts.

    Generative model              Inference model
    ================              ===============
     x_1         x_t               z_1         z_t
      ^           ^                 ^           ^
      |           |                 |           |
     d_1 ------> d_t               f_1 <------ f_t
      ^           ^                 ^           ^
      |           |                 |           |
     c_1,z_1     c_t,z_t           e_1 ------> e_t
                                    ^           ^
                                    |           |
                                   c_1,x_1     c_t,x_t
"""

from typing import Any

import tensorflow as tf

from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.mlp import concat
from vaeseq.nn.sequences import over_time
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import Gaussian, LatentDecoder


class IndependentSequence(VAECore):
    """z_t ~ N(0, 1), p(x_t | d_t), q(z_t | f_t)."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.d_rnn = LSTMStack(self.hparams, name="d_rnn")
        self.e_rnn = LSTMStack(self.hparams, name="e_rnn")
        self.f_rnn = LSTMStack(self.hparams, name="f_rnn")
        self.q = LatentDecoder(self.hparams, name="q")

    def initial_state(self, batch_size: Any) -> Any:
        """d_0, zeros."""
        return self.d_rnn.initial_state(batch_size)

    def encode(
        self, contexts: Any, observed: Any, lengths: tf.Tensor | None = None
    ) -> tf.Tensor | None:
        """f_1:T, which runs back over e_1:T and so knows the whole sequence."""
        inputs = concat((contexts, over_time(self.encoder, observed)))
        e, _ = self.e_rnn.unroll(inputs, self.e_rnn.initial_state(tf.shape(inputs)[0]))
        return self.f_rnn.unroll_backward(e, lengths)

    def step(
        self,
        context: Any,
        state: Any,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """z_t ~ N(0, 1) or q(z_t | f_t); d_t of c_t, z_t and d_{t-1}; p(x_t | d_t)."""
        prior, posterior, z = self._latents(noise, evidence, latents)
        d, state = self.d_rnn.step(concat((context, z)), state)
        return Step(self.decoder(self.seen(d, context)), z, prior, posterior), state

    def unroll(
        self,
        contexts: Any,
        state: Any,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """All z at once, since none waits for another; the d-chain as one recurrence."""
        prior, posterior, z = self._latents(noise, evidence, latents)
        d, states = self.d_rnn.unroll(concat((contexts, z)), state)
        return Step(self.decode(self.seen(d, contexts)), z, prior, posterior), states

    def _latents(
        self, noise: tf.Tensor, evidence: tf.Tensor | None, latents: tf.Tensor | None
    ) -> tuple[Gaussian, Gaussian, tf.Tensor]:
        prior = Gaussian.standard_like(noise)
        posterior = prior if evidence is None else self.q(evidence)
        return prior, posterior, posterior.reparameterize(noise) if latents is None else latents
