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

from vaeseq.latent import Gaussian, LatentDecoder
from vaeseq.networks import concat, over_time
from vaeseq.rnn import RNN
from vaeseq.scan import scan
from vaeseq.vae.core import Step, VAECore


class SRNN(VAECore):
    """p(z_t | d_t, z_{t-1}), p(x_t | d_t, z_t), q(z_t | d_t, e_t, z_{t-1}).

    With `hparams.srnn_use_res_q` the posterior's mean is learned as a residual to the prior's.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.d_rnn = RNN(self.hparams, name="d_rnn")
        self.e_rnn = RNN(self.hparams, name="e_rnn")
        self.p = LatentDecoder(self.hparams, name="p")
        self.q = LatentDecoder(self.hparams, name="q")

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
        prior, posterior, z = self._latents(z_before, d, noise, evidence, latents)
        return Step(self.decoder((d, z)), z, prior, posterior), (d_state, z)

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

        (prior, posterior, z), _ = scan(step, (d, noise, evidence, latents), z_0)
        return Step(self.decode((d, z)), z, prior, posterior), (d_states, z)

    def _latents(
        self,
        z_before: tf.Tensor,
        d: tf.Tensor,
        noise: tf.Tensor,
        evidence: tf.Tensor | None,
        latents: tf.Tensor | None,
    ) -> tuple[Gaussian, Gaussian, tf.Tensor]:
        """The prior and posterior of z_t, and z_t."""
        prior = posterior = self.p((d, z_before))
        if evidence is not None:
            posterior = self.q((d, evidence, z_before))
            if self.hparams.srnn_use_res_q:
                posterior = Gaussian(prior.loc + posterior.loc, posterior.scale)
        return prior, posterior, posterior.reparameterize(noise) if latents is None else latents
