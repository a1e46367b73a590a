r"""VRNN: a recurrent network that latent variables feed.

    Generative model                     Inference model
    ================                     ===============
          x_1             x_t               x_1             x_t
         ^   ^           ^   ^                 \               \
        /     \         /     \                 v               v
      d_1 --> z_1 --> d_t --> z_t        d_1 --> z_1 --> d_t --> z_t
      ^ |             ^ ^                ^ |             ^ ^
      | +-------------+ |                | +-------------+ |
      |                 |                |                 |
     c_1               c_t              c_1               c_t

x_t observed, z_t latent, d_t outputs of an LSTM that sees z_{t-1}, c_t contexts (by default
x_{t-1}, encoded, and the inputs).

Use it if the latents must be known while a sequence goes on: its posterior filters, which means
that the posterior of z_t uses nothing after t. z_t depends on all that came before, earlier latents
too, through d_t. d_t waits for z_{t-1}, so the recurrent network is part of the loop. What does not
wait is taken out of it: the products of c_t and e_t, the prior if z comes from q, and the decoder.

The log-likelihood is not tractable: the ELBO and the importance-weighted bound are lower bounds.
The true posterior of z_t also depends on what follows t. q does not, so the bounds are less tight
than they could be.

Two other models of the literature are VRNNs, or nearly so:

* VRNN-I, with `vrnn_prior="standard"`: p(z_t) is a standard normal, or uniform if z is categorical.
  It is close to STORN, in which z_t reaches x_t through the recurrent network alone.
* RSSM, the world model of PlaNet and Dreamer, with a context without observations
  (`context.Inputs`): only the latents tell d_t what was observed.

Sources: Chung, Kastner, Dinh, Goel, Courville, Bengio, "A Recurrent Latent Variable Model for
Sequential Data", 2015, arXiv:1506.02216. STORN: Bayer, Osendorfer 2014, arXiv:1411.7610. RSSM:
Hafner et al. 2018, arXiv:1811.04551.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vaeseq.context import core_part
from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.late import LateProduct
from vaeseq.nn.lstm import LSTMStack, LSTMState
from vaeseq.nn.mlp import concat
from vaeseq.nn.sequences import over_time, scan
from vaeseq.nn.types import Nest, Size
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import LATENT_KINDS, LatentDecoder, LatentParams, LatentTransition

State = tuple[tuple[LSTMState, ...], tf.Tensor]  # d_t and z_t
Terms = tuple[tf.Tensor, tf.Tensor | None]  # of c_t in d_t, and of e_t in q


class VRNN(VAECore):
    """d_t = d(d_{t-1}, c_t, z_{t-1}), p(z_t | d_t), p(x_t | d_t, z_t), q(z_t | d_t, x_t).

    With `hparams.vrnn_prior="standard"`, p(z_t) is a standard normal, or uniform.
    """

    filters = True
    latent_kinds = LATENT_KINDS

    def __init__(
        self,
        hparams: HParams,
        encoder: Callable[[Nest], tf.Tensor],
        decoder: DistModule,
        name: str | None = None,
    ):
        super().__init__(hparams, encoder, decoder, name=name)
        self.d_rnn = LSTMStack(hparams, name="d_rnn")
        self.z_to_d = keras.layers.Dense(
            4 * hparams.rnn_hidden_sizes[0], use_bias=False, name="z_to_d"
        )
        if hparams.vrnn_prior == "learned":
            self.p = LatentDecoder(hparams, name="p")
        self.q = LatentTransition(hparams, name="q", scale=1.0)

    @property
    def posterior_layers(self) -> tuple[Any, ...]:
        """The layers that only the posterior uses, unless the context has the same encoder."""
        return (self.encoder, self.q)

    def initial_state(self, batch_size: Size) -> State:
        """Returns d_0 and z_0, zeros."""
        return self.d_rnn.initial_state(batch_size), tf.zeros([batch_size, self.latent_size])

    def state_features(self, states: State) -> tf.Tensor:
        """Returns d_t and z_t, [..., D + Z]."""
        d_states, z = states
        return concat((self.d_rnn.features(d_states), z))

    def encode(self, contexts: Nest, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns e_1:T [B, T, E], where e_t encodes x_t alone."""
        return over_time(self.encoder, observed)

    def step(
        self,
        context: Nest,
        state: State,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, State]:
        """Computes d_t from c_t, z_{t-1} and d_{t-1}, samples z_t, then computes p(x_t | ...)."""
        return self._step(context, self._terms(context, evidence), state, noise, latents)

    def unroll(
        self,
        contexts: Nest,
        state: State,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, State]:
        """Scans the chain of d_t and z_t; all that it does not wait for is outside of the loop."""

        def step(
            inputs: tuple[Terms, tf.Tensor, tf.Tensor | None], state: State
        ) -> tuple[tuple[LatentParams, State], State]:
            terms, noise, latents = inputs
            posterior, state = self._chain(terms, state, noise, latents, late)
            return (posterior, state), state

        def with_rows(x: tf.Tensor | None) -> tf.Tensor | None:
            """Returns a tensor with the static rows of the state: a loop keeps static shapes."""
            return None if x is None else tf.ensure_shape(x, [state[1].shape[0], None, None])

        of_c, of_e = map(with_rows, self._terms(contexts, evidence))
        noise, latents = map(with_rows, (noise, latents))
        late = LateProduct(self.d_rnn.layers[0].recurrent_kernel)
        inputs = (late.attach(of_c), of_e), noise, latents
        (posterior, (d_states, z)), _ = scan(step, inputs, state)
        late.inputs = tf.concat([state[0][0].h[:, None], d_states[0].h[:, :-1]], axis=1)
        d = d_states[-1].h
        prior = posterior if evidence is None else self._prior(d, noise)
        params = self.decode(self.decoder_features((d, z), contexts))
        return Step(params, z, prior, posterior), (d_states, z)

    def share(
        self, contexts: Nest, state: State, evidence: tf.Tensor | None
    ) -> tuple[tuple[Nest, Terms], State]:
        """Computes the terms of the first layers that do not depend on z."""
        return (contexts, self._terms(contexts, evidence)), state

    def step_shared(
        self, shared: tuple[Nest, Terms], state: State, noise: tf.Tensor
    ) -> tuple[Step, State]:
        """Computes the rest of the step."""
        return self._step(*shared, state, noise, None)

    def _step(
        self,
        context: Nest,
        terms: Terms,
        state: State,
        noise: tf.Tensor,
        latents: tf.Tensor | None,
    ) -> tuple[Step, State]:
        """Computes d_t, samples z_t, then computes p(x_t | d_t, z_t)."""
        posterior, (d_state, z) = self._chain(terms, state, noise, latents)
        d, has_evidence = d_state[-1].h, terms[1] is not None
        prior = self._prior(d, noise) if has_evidence else posterior
        params = self.decoder(self.decoder_features((d, z), context))
        return Step(params, z, prior, posterior), (d_state, z)

    def _terms(self, context: Nest, evidence: tf.Tensor | None) -> Terms:
        """Returns what c_t and e_t add to the first layers of d_t and of q, of one step or all."""
        return (
            self.d_rnn.project(concat(core_part(context))),
            None if evidence is None else self.q.share(evidence),
        )

    def _chain(
        self,
        terms: Terms,
        state: State,
        noise: tf.Tensor,
        latents: tf.Tensor | None,
        late: LateProduct | None = None,
    ) -> tuple[LatentParams, State]:
        """Returns the distribution that z_t is sampled from, and the state with d_t and z_t.

        It is the posterior, or without evidence the prior: one of them is all that the loop needs.
        """
        of_c, of_e = terms
        d_state, z = state
        h = d_state[0].h
        of_h = h @ self.d_rnn.layers[0].recurrent_kernel if late is None else late(h)
        d, d_state = self.d_rnn.step_gates(of_c + self.z_to_d(z) + of_h, d_state)
        posterior = self._prior(d, noise) if of_e is None else self.q((of_e, d))
        return posterior, (d_state, posterior.reparameterize(noise) if latents is None else latents)

    def _prior(self, d: tf.Tensor, noise: tf.Tensor) -> LatentParams:
        """Returns p(z_t | d_t)."""
        prior: LatentParams = (
            self.latent_kind.standard_like(noise)
            if self.hparams.vrnn_prior == "standard"
            else self.p(d)
        )
        return prior
