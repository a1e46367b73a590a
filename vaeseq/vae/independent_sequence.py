"""IndependentSequence: a sequential VAE whose latent variables are independent a priori.

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

x_t observed, z_t latent, d_t, e_t and f_t outputs of recurrent networks (f runs backward in time),
c_t contexts (by default x_{t-1}).

Use it if each step has unobserved causes of its own, without dynamics: d_t alone carries the past.
The prior needs no learning, and all z_t are sampled at once. If the causes evolve in time, SRNN
fits better.

The log-likelihood is not tractable: the ELBO and the importance-weighted bound are lower bounds.
q sees the whole sequence through f_t, but assumes that the z_t are independent given x.

Source: the generative model is that of STORN, Bayer and Osendorfer, "Learning Stochastic Recurrent
Networks", 2014, arXiv:1411.7610; the inference model is that of VAE-Seq (2018).
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vaeseq.context import core_part
from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import concat
from vaeseq.nn.recurrence import RNN_CELLS, make_stack
from vaeseq.nn.sequences import over_time
from vaeseq.nn.stack import StackState
from vaeseq.nn.types import Nest, Size
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import LATENT_KINDS, LatentDecoder, LatentParams


class IndependentSequence(VAECore):
    """z_t ~ N(0, 1), or uniform if z is categorical; p(x_t | d_t), q(z_t | f_t)."""

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
        self.f_rnn = make_stack(hparams, name="f_rnn")
        self.q = LatentDecoder(hparams, name="q")

    @property
    def posterior_layers(self) -> tuple[Any, ...]:
        """The layers that only the posterior uses, unless the context has the same encoder."""
        return (self.encoder, self.e_rnn, self.f_rnn, self.q)

    def initial_state(self, batch_size: Size) -> StackState:
        """Returns d_0, zeros."""
        return self.d_rnn.initial_state(batch_size)

    def encode(self, contexts: Nest, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns f_1:T [B, T, D]: a backward pass over e_1:T, itself a forward pass over x."""
        inputs = concat((core_part(contexts), over_time(self.encoder, observed)))
        e, _ = self.e_rnn.unroll(inputs, self.e_rnn.initial_state(tf.shape(inputs)[0]))
        return self.f_rnn.unroll_backward(e, lengths)

    def step(
        self,
        context: Nest,
        state: StackState,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, StackState]:
        """Samples z_t, computes d_t from c_t, z_t and d_{t-1}, then p(x_t | d_t)."""
        latents_of_step = self._latents(noise, self._posterior(evidence), latents)
        return self._step(context, state, *latents_of_step)

    def unroll(
        self,
        contexts: Nest,
        state: StackState,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, StackState]:
        """Samples all z_t at once, then computes d_1:T as one recurrence."""
        prior, posterior, z = self._latents(noise, self._posterior(evidence), latents)
        d, states = self.d_rnn.unroll(concat((core_part(contexts), z)), state)
        params = self.decode(self.decoder_features(d, contexts))
        return Step(params, z, prior, posterior), states

    def share(
        self, contexts: Nest, state: StackState, evidence: tf.Tensor | None
    ) -> tuple[tuple[Nest, LatentParams | None], StackState]:
        """Computes the posteriors of all z_t, which do not depend on each other."""
        return (contexts, self._posterior(evidence)), state

    def step_shared(
        self,
        shared: tuple[Nest, LatentParams | None],
        state: StackState,
        noise: tf.Tensor,
    ) -> tuple[Step, StackState]:
        """Samples z_t, and computes the rest of the step."""
        context, posterior = shared
        return self._step(context, state, *self._latents(noise, posterior, None))

    def _step(
        self,
        context: Nest,
        state: StackState,
        prior: LatentParams,
        posterior: LatentParams,
        z: tf.Tensor,
    ) -> tuple[Step, StackState]:
        """Computes d_t and p(x_t | d_t), given z_t."""
        d, state = self.d_rnn.step(concat((core_part(context), z)), state)
        params = self.decoder(self.decoder_features(d, context))
        return Step(params, z, prior, posterior), state

    def _posterior(self, evidence: tf.Tensor | None) -> LatentParams | None:
        """Returns q(z_t | f_t) of one step or of all; None without evidence."""
        return None if evidence is None else self.q(evidence)

    def _latents(
        self, noise: tf.Tensor, posterior: LatentParams | None, latents: tf.Tensor | None
    ) -> tuple[LatentParams, LatentParams, tf.Tensor]:
        """Returns the prior and the posterior of z_t, and z_t."""
        prior = self.latent_kind.standard_like(noise)
        posterior = posterior or prior
        return prior, posterior, posterior.reparameterize(noise) if latents is None else latents
