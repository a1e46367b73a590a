"""SRNN: Fraccaro, Sønderby, Paquet, Winther, "Sequential Neural Models with Stochastic Layers",
2016, arXiv:1605.07571.

Notation: z_t latent, d_t and e_t deterministic RNN outputs, x_t observed, c_t contexts.

      Generative model                 Inference model
      ================                 ===============
     z_0 -> z_1 -----> z_t            z_0 -> z_1 -----> z_t
             | \\        | \\                  ^ ^        ^ ^
             v  ^       v  ^                 |  \\       |  \\
            x_1 |      x_t |                 |  e_1 <------ e_t
             ^  |       ^  |                 |   ^      |   ^
             |  |       |  |                 |   |      |   |
            d_1 -----> d_t                  d_1  |     d_t  |
             ^          ^                    c_1,x_1    c_t,x_t
             |          |
            c_1        c_t
"""

from typing import Any

import tensorflow as tf

from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.mlp import concat
from vaeseq.nn.sequences import over_time, scan
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import Gaussian, LatentTransition


class SRNN(VAECore):
    """p(z_t | d_t, z_{t-1}), p(x_t | d_t, z_t), q(z_t | d_t, e_t, z_{t-1}).

    With `hparams.srnn_use_res_q` the posterior's mean is learned as a residual to the prior's.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.d_rnn = LSTMStack(self.hparams, name="d_rnn")
        self.e_rnn = LSTMStack(self.hparams, name="e_rnn")
        self.p = LatentTransition(self.hparams, name="p")
        self.q = LatentTransition(self.hparams, name="q")

    def initial_state(self, batch_size: Any) -> Any:
        """d_0 and z_0, zeros."""
        return self.d_rnn.initial_state(batch_size), tf.zeros([batch_size, self.latent_size])

    def encode(
        self, contexts: Any, observed: Any, lengths: tf.Tensor | None = None
    ) -> tf.Tensor | None:
        """e_1:T: the RNN that runs back in time over x_t and c_t."""
        encoded = over_time(self.encoder, observed)
        return self.e_rnn.unroll_backward(concat((contexts, encoded)), lengths)

    def step(
        self,
        context: Any,
        state: Any,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """d_t of c_t and d_{t-1}; z_t; p(x_t | d_t, z_t)."""
        d_state, z_before = state
        d, d_state = self.d_rnn.step(concat(context), d_state)
        prior, posterior, z = self._latents(z_before, *self._shares(d, evidence), noise, latents)
        return Step(self.decoder(self.seen((d, z), context)), z, prior, posterior), (d_state, z)

    def unroll(
        self,
        contexts: Any,
        state: Any,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """The d-chain as one recurrence; only the small z-chain steps through time."""
        d_state, z_0 = state
        d, d_states = self.d_rnn.unroll(concat(contexts), d_state)

        def step(inputs: Any, z_before: tf.Tensor) -> tuple[Any, tf.Tensor]:
            prior, posterior, z = self._latents(z_before, *inputs)
            return (prior, posterior, z), z

        inputs = (*self._shares(d, evidence), noise, latents)
        (prior, posterior, z), _ = scan(step, inputs, z_0)
        return Step(self.decode(self.seen((d, z), contexts)), z, prior, posterior), (d_states, z)

    def _shares(
        self, d: tf.Tensor, evidence: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """What d_t, and e_t where there is evidence, say of z_t to p and to q."""
        return self.p.share(d), None if evidence is None else self.q.share((d, evidence))

    def _latents(
        self,
        z_before: tf.Tensor,
        p_share: tf.Tensor,
        q_share: tf.Tensor | None,
        noise: tf.Tensor,
        latents: tf.Tensor | None,
    ) -> tuple[Gaussian, Gaussian, tf.Tensor]:
        """The prior and posterior of z_t, and z_t."""
        prior = posterior = self.p((p_share, z_before))
        if q_share is not None:
            posterior = self.q((q_share, z_before))
            if self.hparams.srnn_use_res_q:
                posterior = Gaussian(prior.loc + posterior.loc, posterior.scale)
        return prior, posterior, posterior.reparameterize(noise) if latents is None else latents
