r"""SRNN: a recurrent network with a chain of latent variables.

    Generative model                   Inference model
    ================                   ===============
    z_0 -> z_1 -------> z_t            z_0 -> z_1 ----------> z_t
           ^  \         ^  \                  ^  ^            ^  ^
           |   v        |   v                 |   \           |   \
           |   x_1      |   x_t               |    e_1 <------|--- e_t
           |   ^        |   ^                 |     ^         |     ^
           |  /         |  /                  |     |         |     |
          d_1 -------> d_t                   d_1 ---|------> d_t    |
           ^            ^                     ^     |         ^     |
           |            |                     |     |         |     |
          c_1          c_t                   c_1   c_1,x_1   c_t   c_t,x_t

x_t observed, z_t latent, d_t and e_t outputs of recurrent networks (e runs backward in time),
c_t contexts (by default x_{t-1}, encoded, and the inputs).

Use it if the parts of an observation depend on each other, or if something unobserved evolves in
time. d and e are fused recurrences over the whole sequence; the chain of z_t is a loop of its own.

The log-likelihood is not tractable: the ELBO and the importance-weighted bound are lower bounds.
q has the same factorisation as the true posterior: z_t depends on z_{t-1} and, through d_t and
e_t, on the whole sequence.

Source: Fraccaro, Sønderby, Paquet, Winther, "Sequential Neural Models with Stochastic Layers",
2016, arXiv:1605.07571. There, e_t sees d_t and x_t; here, as in VAE-Seq (2018), c_t and x_t.
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
from vaeseq.nn.stack import StackState
from vaeseq.nn.types import Nest, Size
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import LATENT_KINDS, LatentParams, LatentTransition

State = tuple[StackState, tf.Tensor]  # d_t and z_t


class SRNN(VAECore):
    """p(z_t | d_t, z_{t-1}), p(x_t | d_t, z_t), q(z_t | d_t, e_t, z_{t-1}).

    With `hparams.srnn_use_res_q`, q learns its mean as a residual to the prior's (Res_q in the
    paper), or its logits, if z is categorical.
    """

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
        self.d_rnn = make_stack(hparams, name="d_rnn")
        self.e_rnn = make_stack(hparams, name="e_rnn")
        self.p = LatentTransition(hparams, name="p")
        self.q = LatentTransition(hparams, name="q")

    @property
    def posterior_layers(self) -> tuple[Any, ...]:
        """The layers that only the posterior uses, unless the context has the same encoder."""
        return (self.encoder, self.e_rnn, self.q)

    def initial_state(self, batch_size: Size) -> State:
        """Returns d_0 and z_0, zeros."""
        return self.d_rnn.initial_state(batch_size), tf.zeros([batch_size, self.latent_size])

    def encode(self, contexts: Nest, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns e_1:T [B, T, D]: a backward pass over x_t and c_t."""
        encoded = over_time(self.encoder, observed)
        return self.e_rnn.unroll_backward(concat((core_part(contexts), encoded)), lengths)

    def step(
        self,
        context: Nest,
        state: State,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, State]:
        """Computes d_t from c_t and d_{t-1}, samples z_t, then computes p(x_t | d_t, z_t)."""
        d_state, z_before = state
        d, d_state = self.d_rnn.step(concat(core_part(context)), d_state)
        shares = self._shares(d, evidence)
        prior, posterior, z = self._latents(z_before, *shares, noise, latents)
        params = self.decoder(self.decoder_features((d, z), context))
        return Step(params, z, prior, posterior), (d_state, z)

    def unroll(
        self,
        contexts: Nest,
        state: State,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, State]:
        """Computes d_1:T as one recurrence; only the small chain of z_t is scanned."""
        return self.unroll_particles(contexts, state, noise, evidence, latents)

    def unroll_particles(
        self,
        contexts: Nest,
        state: State,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
        num_particles: int = 1,
    ) -> tuple[Step, State]:
        """Computes d_1:T once for all particles."""
        d_state, z_0 = state
        d, d_states = self.d_rnn.unroll(concat(core_part(contexts)), d_state)
        shares = self._shares(d, evidence)
        if num_particles > 1:
            repeated = repeat_rows((contexts, d, d_states, shares, z_0), num_particles)
            contexts, d, d_states, shares, z_0 = repeated

        def step(
            inputs: tuple[tf.Tensor, ...], z_before: tf.Tensor
        ) -> tuple[tuple[LatentParams, LatentParams, tf.Tensor], tf.Tensor]:
            prior, posterior, z = self._latents(z_before, *inputs)
            return (prior, posterior, z), z

        inputs = (*shares, noise, latents)
        (prior, posterior, z), _ = scan(step, inputs, z_0)
        params = self.decode(self.decoder_features((d, z), contexts))
        return Step(params, z, prior, posterior), (d_states, z)

    def share(
        self, contexts: Nest, state: State, evidence: tf.Tensor | None
    ) -> tuple[tuple[Any, ...], tf.Tensor]:
        """Computes d_1:T, which does not depend on z, and what p and q compute from it."""
        d_state, z_0 = state
        d, _ = self.d_rnn.unroll(concat(core_part(contexts)), d_state)
        return (contexts, d, *self._shares(d, evidence)), z_0

    def step_shared(
        self, shared: tuple[Any, ...], state: tf.Tensor, noise: tf.Tensor
    ) -> tuple[Step, tf.Tensor]:
        """Samples z_t, and computes p(x_t | d_t, z_t); the particles' own state is z."""
        context, d, p_share, q_share = shared
        prior, posterior, z = self._latents(state, p_share, q_share, noise, None)
        params = self.decoder(self.decoder_features((d, z), context))
        return Step(params, z, prior, posterior), z

    def _shares(
        self, d: tf.Tensor, evidence: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the parts of p and of q that do not depend on z_{t-1}; None without evidence."""
        return self.p.share(d), None if evidence is None else self.q.share((d, evidence))

    def _latents(
        self,
        z_before: tf.Tensor,
        p_share: tf.Tensor,
        q_share: tf.Tensor | None,
        noise: tf.Tensor,
        latents: tf.Tensor | None,
    ) -> tuple[LatentParams, LatentParams, tf.Tensor]:
        """Returns the prior and the posterior of z_t, and z_t."""
        prior = posterior = self.p((p_share, z_before))
        if q_share is not None:
            base = (prior,) if self.hparams.srnn_use_res_q else ()
            posterior = self.q((q_share, z_before, *base))
        return prior, posterior, posterior.reparameterize(noise) if latents is None else latents
