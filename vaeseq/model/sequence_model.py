"""SequenceModel: a distribution over sequences, p(x), without its training."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.model.wiring import State, WiredModel
from vaeseq.nn import convert, finite
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.types import Nest, Seed, Specs, Tensor
from vaeseq.vae import objectives


class SequenceModel(WiredModel):
    """Likelihoods and samples of a wired model; see `ModelBase`."""

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Specs = (), name: str | None = None
    ):
        super().__init__(hparams, inputs_spec, name)
        # `tf.config.run_functions_eagerly(True)` switches compilation off.
        options = {"reduce_retracing": True, "autograph": False}
        self._log_prob = tf.function(self._log_prob_eagerly, **options)
        self._extend = tf.function(self._extend_eagerly, **options)
        self._end_state = tf.function(self._end_state_eagerly, **options)

    def log_prob(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        num_samples: int | None = None,
        seed: Seed = 0,
    ) -> tf.Tensor:
        """Returns the log-likelihood of each sequence in nats, [B].

        It is exact for a core without latents. Otherwise it is the importance-weighted bound
        (Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519) with `num_samples` samples, by
        default `hparams.log_prob_samples`; its expectation is at most the log-likelihood.
        """
        samples = num_samples or self.hparams.log_prob_samples
        if self.core.latent_size == 0:
            samples = 1
        return self._log_prob(observed, inputs, lengths, tf.range(samples), stateless_seed(seed))

    def generate(
        self,
        batch_size: int = 1,
        sequence_size: int | None = None,
        inputs: Nest | None = None,
        prefix: Nest | None = None,
        temperature: float = 1.0,
        seed: Seed = 0,
        *,
        state: State | None = None,
    ) -> Any:
        """Samples sequences.

        Args:
          batch_size: the number of sequences.
          sequence_size: their length; by default that of `inputs`, or `hparams.sequence_size`.
          inputs: nest of [B, sequence_size, ...] that matches `inputs_spec`.
          prefix: observed sequences to continue, [B, T, ...] or [1, T, ...]; not part of the
            result. A model with inputs continues from a `state` of `infer` instead.
          temperature: latents and observations are sampled from p^(1 / temperature).
          seed: equal seeds give equal sequences.
          state: a state from `infer` to continue from.

        Returns:
          Observations, nest of [B, sequence_size, *event_shape].

        Raises:
          ValueError: if a size is below 1 or the temperature is not above 0.
        """
        if sequence_size is None:
            given = () if inputs is None else tf.nest.flatten(inputs)
            sequence_size = int(given[0].shape[1]) if given else self.hparams.sequence_size
        if batch_size < 1 or sequence_size < 1:
            raise ValueError(
                f"batch_size and sequence_size must be at least 1, not {batch_size} and "
                f"{sequence_size}"
            )
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, not {temperature}")
        if prefix is not None:
            state = self._end_state(prefix, stateless_seed(seed))
        if state is None:
            state = self.initial_state(batch_size)
        return self.extend(state, batch_size, sequence_size, inputs, temperature, seed)[0]

    def extend(
        self,
        state: State,
        batch_size: int,
        sequence_size: int,
        inputs: Nest | None = None,
        temperature: float = 1.0,
        seed: Seed = 0,
        *,
        latents: Tensor | None = None,
    ) -> tuple[Any, State]:
        """Samples the continuation of sequences; see `vaeseq.model.sampling` for long ones.

        Args:
          state: the state to continue from, of `batch_size` rows or of one row for all of them.
          batch_size, sequence_size, inputs, temperature, seed: see `generate`.
          latents: z_1:T to use, [B, sequence_size, Z]; None samples them.

        Returns:
          Observations, nest of [B, sequence_size, *event_shape], and the state after them.

        Raises:
          UsageError: if a distribution to sample from is not finite.
        """

        def broadcast(x: tf.Tensor) -> tf.Tensor:
            return tf.broadcast_to(x, [batch_size, *x.shape[1:]])

        state = tf.nest.map_structure(broadcast, state)
        # Without a temperature, the graph needs no decoder that supports one.
        scale = None if temperature == 1 else tf.constant(temperature, tf.float32)
        inputs = convert.as_sequences("inputs", inputs, self.inputs_spec)
        with finite.reraise_overflow():
            observed, after = self._extend(
                inputs, state, tf.constant(sequence_size), scale, stateless_seed(seed), latents
            )
        return observed, after

    def _log_prob_eagerly(
        self,
        observed: Nest,
        inputs: Nest | None,
        lengths: Tensor | Sequence[int] | None,
        samples: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        def log_weight(sample: tf.Tensor) -> tf.Tensor:
            folded = tf.random.experimental.stateless_fold_in(seed, sample)
            inference, _ = self.infer(observed, inputs, lengths, seed=folded)
            return objectives.log_weight(inference)

        log_weights = tf.map_fn(log_weight, samples, fn_output_signature=tf.float32)
        return objectives.importance_weighted_bound(log_weights)

    def _extend_eagerly(
        self,
        inputs: Nest,
        state: State,
        steps: tf.Tensor,
        temperature: tf.Tensor | None,
        seed: tf.Tensor,
        latents: Tensor | None,
    ) -> tuple[Any, State]:
        batch = tf.shape(tf.nest.flatten(state)[0])[0]
        noise_seed, seed = tf.unstack(tf.random.experimental.stateless_split(seed))
        noise = self.noise(batch, steps, noise_seed)
        observed, after = self.core.generate(
            self.context, inputs, state, noise, seed, temperature, latents
        )
        return observed, State(*after)

    def _end_state_eagerly(self, prefix: Nest, seed: tf.Tensor) -> State:
        return self.infer(prefix, seed=seed)[1]
