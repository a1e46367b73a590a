"""SeqVAE: a sequential VAE with one latent variable for the whole sequence.

      Generative model                 Inference model
      ================                 ===============
          x_1         x_T                 z <-----------------+
           ^           ^                  ^                   |
           |           |                  |                   |
    z --> d_1 ------> d_T                f_1 <------ f_T      |
           ^           ^                  ^           ^       |
           |           |                  |  e_1 -----|--> e_T+
          c_1,z       c_T,z               |   ^       |     ^
                                          |   |       |     |
                                         c_1,x_1     c_T,x_T

x_t observed, z latent, d_t, e_t and f_t outputs of recurrent networks (f runs backward in time),
c_t contexts (by default x_{t-1}).

In segments (`seqvae_segment` = S above 0), z reaches d_t only by way of u_k, an embedding of each
segment of S steps by a conductor, and d begins anew in each segment, so that z must carry what is
longer. The posterior goes by segments, too: s_k says what is in one, and e and f run over segments.

          x_1         x_S             x_S+1        x_2S
           ^           ^               ^            ^        z --> u_1 ---> u_2 --> ...
          d_1 ------> d_S             d_S+1 -----> d_2S
           ^           ^               ^            ^        z <-- e_N, f_1 <-- s_1, s_2, ...
          c_1,u_1     c_S,u_1         c_S+1,u_2    c_2S,u_2    <-- (p_1, ..., p_K)

Each of K segments has a part of z: p_1(s_1), ..., p_K(s_K), one after another, are added to the
mean of z that e_N and f_1 give, and u_k sees a part of a linear map of z that begins as z itself.
So what is learned of one segment, in and out, is known of all of them; what goes together is
learned afterwards.

Use it if you need one vector for a sequence: to encode, to reconstruct, to interpolate, or to move
along an attribute (see `vaeseq.model.latent_space`).

The log-likelihood is not tractable: the ELBO and the importance-weighted bound are lower bounds.
The decoder can learn to ignore z (posterior collapse): see the hyperparameters
`divergence_schedule`, `free_bits`, `word_dropout`, `seqvae_batch_norm`, `posterior_steps` and
`objective`.

Sources: Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio 2015, arXiv:1511.06349; Gao, Cui, Ding,
"SeqVAE", Applied Intelligence 51, 2021. BN-VAE: Zhu, Bi, Liu, Ma, Li, Wu 2020, arXiv:2004.12750.
The conductor: Roberts, Engel, Raffel, Hawthorne, Eck 2018, arXiv:1803.05428.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vaeseq.context import core_part
from vaeseq.hparams import HParams
from vaeseq.nn.conducted import ConductedStack, part_size
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import concat
from vaeseq.nn.recurrence import RNN_CELLS, make_stack
from vaeseq.nn.segment_encoder import SegmentEncoder
from vaeseq.nn.sequences import last, over_time
from vaeseq.nn.stack import StackState
from vaeseq.nn.types import Nest, Size
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import Gaussian, LatentDecoder

State = tuple[StackState, tf.Tensor, tf.Tensor]  # d_t, z and `begun`


class SeqVAE(VAECore):
    """z ~ N(0, 1), d_0 = d_0(z), p(x_t | d_t), q(z | e_T, f_1).

    The state is (d_t, z, begun). The first step samples z and sets `begun`; its KL is counted there
    and is 0 at all later steps, so sums over time are right. With `hparams.seqvae_use_z_inputs`,
    z (with a conductor, W_s u_k) is also an input of every d_t.
    """

    has_sequence_latent = True
    rnn_cells = RNN_CELLS

    def __init__(
        self,
        hparams: HParams,
        encoder: Callable[[Nest], tf.Tensor],
        decoder: DistModule,
        name: str | None = None,
    ):
        super().__init__(hparams, encoder, decoder, name=name)
        self.e_rnn = make_stack(hparams, name="e_rnn")
        self.f_rnn = make_stack(hparams, name="f_rnn")
        self.q = LatentDecoder(hparams, name="q")
        self.normalise = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-8, scale=False, synchronized=True
        )
        if hparams.seqvae_segment:
            self.segments = SegmentEncoder(hparams, (self.e_rnn, self.f_rnn), name="segments")
            self.d_rnn = ConductedStack(hparams, hparams.seqvae_use_z_inputs, name="d_rnn")
            topic_size = hparams.seqvae_parts * part_size(hparams)
            self.topic = keras.layers.Dense(topic_size, kernel_initializer="identity", name="topic")
        else:
            self.d_rnn, topic_size = make_stack(hparams, name="d_rnn"), 0
        self.d_0 = keras.layers.Dense(self.d_rnn.state_size - topic_size, "tanh", name="d_0")

    @property
    def posterior_layers(self) -> tuple[Any, ...]:
        """The layers that only the posterior uses, unless the context has the same encoder."""
        layers = self.encoder, self.e_rnn, self.f_rnn, self.q, self.normalise
        return (*layers, self.segments) if self.hparams.seqvae_segment else layers

    def initial_state(self, batch_size: Size) -> State:
        """Returns zeros for d and z, and False: the sequences have not begun."""
        z = tf.zeros([batch_size, self.latent_size])
        return self.d_rnn.initial_state(batch_size), z, tf.zeros([batch_size, 1], tf.bool)

    def begin(self, latents: tf.Tensor) -> State:
        """Returns the state before the first step of sequences that z [B, Z] describes."""
        features = self.d_0(latents)
        if self.hparams.seqvae_segment:
            features = concat((features, self.topic(latents)))
        begun = tf.ones([tf.shape(latents)[0], 1], tf.bool)
        return self.d_rnn.state_from(features), latents, begun

    def encode(self, contexts: Nest, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns e_T and f_t, [B, T, 2 D]; the posterior of z uses those of the first step.

        With segments, e_N, f_1 and p_1:K at all steps.
        """
        inputs = concat((core_part(contexts), over_time(self.encoder, observed)))
        if self.hparams.seqvae_segment:
            evidence = concat(self.segments(inputs, lengths))
            return tf.repeat(evidence[:, None], tf.shape(inputs)[1], axis=1)
        e, _ = self.e_rnn.unroll(inputs, self.e_rnn.initial_state(tf.shape(inputs)[0]))
        f = self.f_rnn.unroll_backward(inputs, lengths)
        return concat((tf.broadcast_to(last(e, lengths)[:, None], tf.shape(e)), f))

    def step(
        self,
        context: Nest,
        state: State,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, State]:
        """Samples z at the first step; computes d_t from c_t, z and d_{t-1}, then p(x_t | d_t)."""
        posterior, (d_state, z, begun) = self._begin_if_first(state, noise, evidence, latents)
        d, d_state = self.d_rnn.step(self._d_inputs(context, z), d_state)
        prior = Gaussian.standard_like(noise)
        params = self.decoder(self.decoder_features(d, context))
        return Step(params, z, prior, posterior), (d_state, z, begun)

    def unroll(
        self,
        contexts: Nest,
        state: State,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, State]:
        """Samples z once, then computes d_1:T as one recurrence."""
        first = (None if x is None else x[:, 0] for x in (noise, evidence, latents))
        posterior, (d_state, z, begun) = self._begin_if_first(state, *first)

        def at_all_steps(x: tf.Tensor) -> tf.Tensor:
            return tf.repeat(x[:, None], tf.shape(noise)[1], axis=1)

        prior = Gaussian.standard_like(noise)
        posteriors = Gaussian(  # the prior after the first step
            tf.concat([posterior.loc[:, None], prior.loc[:, 1:]], axis=1),
            tf.concat([posterior.scale[:, None], prior.scale[:, 1:]], axis=1),
        )
        z, begun = at_all_steps(z), at_all_steps(begun)
        d, d_states = self.d_rnn.unroll(self._d_inputs(contexts, z), d_state)
        params = self.decode(self.decoder_features(d, contexts))
        return Step(params, z, prior, posteriors), (d_states, z, begun)

    def _begin_if_first(
        self, state: State, noise: tf.Tensor, evidence: tf.Tensor | None, latents: tf.Tensor | None
    ) -> tuple[Gaussian, State]:
        """Returns the posterior and the state with z.

        Sequences that have begun keep their state, and their posterior is the prior.
        """
        _, _, begun = state
        posterior = prior = Gaussian.standard_like(noise)
        if evidence is not None:
            posterior = tf.nest.map_structure(
                lambda p, q: tf.where(begun, p, q), prior, self.posterior(evidence)
            )
        z = posterior.reparameterize(noise) if latents is None else latents
        state = tf.nest.map_structure(lambda x, y: tf.where(begun, x, y), state, self.begin(z))
        return posterior, state

    def posterior(self, evidence: tf.Tensor) -> Gaussian:
        """Returns q(z | e_T, f_1).

        With gamma = `hparams.seqvae_batch_norm` above 0 (BN-VAE), the means of q have standard
        deviation gamma over a batch.
        """
        posterior, gamma = self.q(evidence), self.hparams.seqvae_batch_norm
        if self.hparams.seqvae_segment:
            parts = evidence[..., -self.topic.units :]
            posterior = posterior._replace(loc=posterior.loc + parts[..., : self.latent_size])
        return posterior._replace(loc=gamma * self.normalise(posterior.loc)) if gamma else posterior

    def _d_inputs(self, context: Nest, z: tf.Tensor) -> tf.Tensor:
        """Returns the inputs of d_t besides d_{t-1}."""
        context = core_part(context)
        sees_z = self.hparams.seqvae_use_z_inputs and not self.hparams.seqvae_segment
        return concat((context, z) if sees_z else context)
