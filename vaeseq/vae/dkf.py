r"""DKF: a deep Kalman filter, a state-space model with neural networks.

    Generative model                   Inference model
    ================                   ===============
           x_1         x_t
            ^           ^
            |           |
    z_0 -> z_1 ------> z_t             z_0 -> z_1 ------> z_t
            ^           ^                      ^           ^
            |           |                      |           |
           c_1         c_t                    e_1 <------ e_t
                                               ^           ^
                                               |           |
                                              c_1,x_1     c_t,x_t

x_t observed, z_t latent, e_t outputs of a recurrent network that runs backward in time, c_t
contexts (by default x_{t-1}, encoded, and the inputs).

Use it if a state evolves in time and all that is observed comes from it. There is no other memory:
z_t must hold all that the past says about the future, so it needs enough units, and what it holds
can be looked at. With a context without observations (`context.Inputs`, or `context.Nothing` if
there are no inputs) it is the deep Markov model. e is a fused recurrence over the whole sequence;
only the chain of z_t is a loop.

The log-likelihood is not tractable: the ELBO and the importance-weighted bound are lower bounds.
q has the same factorisation as the true posterior: z_t depends on z_{t-1} and, through e_t, on
x_t, ..., x_T.

Source: Krishnan, Shalit, Sontag, "Structured Inference Networks for Nonlinear State Space Models",
2016, arXiv:1609.09869. There, the transition has gates; here, it is a network of dense layers.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vaeseq.context import core_part
from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import concat
from vaeseq.nn.recurrence import RNN_CELLS, make_stack
from vaeseq.nn.sequences import over_time, repeat_rows, scan
from vaeseq.nn.types import Nest, Size
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import LATENT_KINDS, LatentParams, LatentTransition

Shares = tuple[tf.Tensor, tf.Tensor | None]  # of p, and of q with evidence


class DKF(VAECore):
    """p(z_t | z_{t-1}, c_t), p(x_t | z_t), q(z_t | z_{t-1}, e_t); the state is z_t."""

    rnn_cells = RNN_CELLS
    latent_kinds = LATENT_KINDS

    def __init__(
        self,
        hparams: HParams,
        encoder: Callable[[Nest], tf.Tensor],
        decoder: DistModule,
        name: str | None = None,
    ):
        super().__init__(hparams, encoder, decoder, name=name)
        self.e_rnn = make_stack(hparams, name="e_rnn")
        self.p = LatentTransition(hparams, name="p")
        self.q = LatentTransition(hparams, name="q")

    @property
    def posterior_layers(self) -> tuple[Any, ...]:
        """The layers that only the posterior uses, unless the context has the same encoder."""
        return (self.encoder, self.e_rnn, self.q)

    def initial_state(self, batch_size: Size) -> tf.Tensor:
        """Returns z_0, zeros."""
        return tf.zeros([batch_size, self.latent_size])

    def encode(self, contexts: Nest, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns e_1:T [B, T, D]: a backward pass over x_t and c_t."""
        encoded = over_time(self.encoder, observed)
        return self.e_rnn.unroll_backward(concat((core_part(contexts), encoded)), lengths)

    def step(
        self,
        context: Nest,
        state: tf.Tensor,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, tf.Tensor]:
        """Samples z_t given z_{t-1}, then computes p(x_t | z_t)."""
        return self._step(context, self._shares(context, evidence), state, noise, latents)

    def unroll(
        self,
        contexts: Nest,
        state: tf.Tensor,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, tf.Tensor]:
        """Scans the chain of z_t; the prior waits for nothing once z_1:T is known."""
        return self.unroll_particles(contexts, state, noise, evidence, latents)

    def unroll_particles(
        self,
        contexts: Nest,
        state: tf.Tensor,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
        num_particles: int = 1,
    ) -> tuple[Step, tf.Tensor]:
        """Computes once for all particles what p and q make of c_t and e_t."""
        shares = self._shares(contexts, evidence)
        if num_particles > 1:
            repeated = repeat_rows((contexts, shares, state), num_particles)
            contexts, shares, state = repeated

        def step(
            inputs: tuple[Shares, tf.Tensor, tf.Tensor | None], z_before: tf.Tensor
        ) -> tuple[tuple[LatentParams, tf.Tensor], tf.Tensor]:
            posterior, z = self._chain(z_before, *inputs)
            return (posterior, z), z

        (posterior, z), _ = scan(step, (shares, noise, latents), state)
        z_before = tf.concat([state[:, None], z[:, :-1]], axis=1)
        prior = posterior if evidence is None else self.p((shares[0], z_before))
        params = self.decode(self.decoder_features(z, contexts))
        return Step(params, z, prior, posterior), z

    def share(
        self, contexts: Nest, state: tf.Tensor, evidence: tf.Tensor | None
    ) -> tuple[tuple[Nest, Shares], tf.Tensor]:
        """Computes the parts of p and of q that do not depend on z_{t-1}."""
        return (contexts, self._shares(contexts, evidence)), state

    def step_shared(
        self, shared: tuple[Nest, Shares], state: tf.Tensor, noise: tf.Tensor
    ) -> tuple[Step, tf.Tensor]:
        """Computes the rest of the step."""
        return self._step(*shared, state, noise, None)

    def _step(
        self,
        context: Nest,
        shares: Shares,
        z_before: tf.Tensor,
        noise: tf.Tensor,
        latents: tf.Tensor | None,
    ) -> tuple[Step, tf.Tensor]:
        """Samples z_t given z_{t-1}, then computes p(x_t | z_t)."""
        posterior, z = self._chain(z_before, shares, noise, latents)
        p_share, q_share = shares
        prior = posterior if q_share is None else self.p((p_share, z_before))
        params = self.decoder(self.decoder_features(z, context))
        return Step(params, z, prior, posterior), z

    def _shares(self, context: Nest, evidence: tf.Tensor | None) -> Shares:
        """Returns the parts of p and of q that do not depend on z_{t-1}; None without evidence."""
        p_share = self.p.share(core_part(context))
        return p_share, None if evidence is None else self.q.share(evidence)

    def _chain(
        self, z_before: tf.Tensor, shares: Shares, noise: tf.Tensor, latents: tf.Tensor | None
    ) -> tuple[LatentParams, tf.Tensor]:
        """Returns the distribution that z_t is sampled from, and z_t.

        It is the posterior, or without evidence the prior: one of them is all that the loop needs.
        """
        p_share, q_share = shares
        posterior: LatentParams = (
            self.p((p_share, z_before)) if q_share is None else self.q((q_share, z_before))
        )
        return posterior, posterior.reparameterize(noise) if latents is None else latents
