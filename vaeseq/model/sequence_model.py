"""SequenceModel: a distribution over sequences, p(x), without its training."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.model.wiring import State, WiredModel
from vaeseq.nn import convert, finite
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.sequences import num_rows, repeat_rows
from vaeseq.nn.types import Nest, Seed, Specs, Tensor
from vaeseq.training.private_api import compile_quietly
from vaeseq.vae import objectives
from vaeseq.vae.core import Inference


class SequenceModel(WiredModel):
    """Likelihoods and samples of a wired model; see `ModelBase`."""

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Specs = (), name: str | None = None
    ):
        super().__init__(hparams, inputs_spec, name)
        # `tf.config.run_functions_eagerly(True)` switches compilation off.
        self._infer = compile_quietly(self.infer_prepared)
        self._log_prob = compile_quietly(self._log_prob_eagerly)
        self._prime = compile_quietly(self._prime_eagerly)
        self._extend = compile_quietly(self._extend_eagerly)

    def infer(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        observed_mask: Nest | None = None,
        state: State | None = None,
        seed: Seed = 0,
    ) -> tuple[Inference, State]:
        """Infers the latents of observed sequences.

        Args:
          observed: nest of [B, T, *event_shape].
          inputs: nest of [B, T, ...] that matches `inputs_spec`; None if there are none.
          lengths: int [B], the number of steps in each row, from 1 to T; None uses all steps.
            What the rows hold after their end does not matter, even if it is not a number.
          observed_mask: bool, False where an observation is missing: [B, T], or a nest of
            [B, T, *event_shape] if the decoder's elements are independent. What is missing does not
            count, and may be NaN: `observed_mask=~np.isnan(observed)`. Needs `HParams(gaps=True)`.
          state: the state that an earlier call returned; None starts at the initial state.
          seed: of the noise of the latents. Equal seeds give equal noise, so the default gives
            the same result at each call.

        Returns:
          The inference, and the state after the last step of each row. Pass the state to `infer`
          to read more of the sequence, or to `generate` to continue it. It holds one sample of
          the latents for each row; `prime` gives several.

        Raises:
          ValueError: if a structure, a shape or a length is not as expected.
        """
        prepared = self.prepare(observed, inputs, lengths, observed_mask)
        arguments = *prepared, state, stateless_seed(seed)
        # A function compiled inside another would keep whether layers such as dropout train.
        infer = self._infer if tf.executing_eagerly() else self.infer_prepared
        result: tuple[Inference, State] = infer(*arguments)
        return result

    def log_prob(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        observed_mask: Nest | None = None,
        num_samples: int | None = None,
        seed: Seed = 0,
    ) -> tf.Tensor:
        """Returns the log-likelihood of each sequence in nats, [B].

        It is exact for a core without latents. Otherwise it is the importance-weighted bound
        (Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519) with `num_samples` samples, by
        default `hparams.log_prob_samples`; its expectation is at most the log-likelihood.

        With an `observed_mask` it is that of what is observed, by a model that sees what is missing
        as missing: not the marginal of what `generate` samples.

        The arguments are those of `infer`, and the errors, too.
        """
        samples = self.hparams.log_prob_samples if num_samples is None else num_samples
        samples = convert.as_count("num_samples", samples)
        if self.core.latent_size == 0:
            samples = 1
        prepared = self.prepare(observed, inputs, lengths, observed_mask)
        return self._log_prob(*prepared, tf.range(samples), stateless_seed(seed))

    def prime(
        self,
        observed: Nest,
        num_samples: int = 1,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        observed_mask: Nest | None = None,
        state: State | None = None,
        seed: Seed = 0,
    ) -> State:
        """Reads sequences, and returns states from which `generate` continues them.

        Each of the `num_samples` continuations of a row has its own sample of the latents, so
        together they have the spread of the posterior.

        Args:
          observed, inputs, lengths, observed_mask, state, seed: see `infer`.
          num_samples: the number of states for each row.

        Returns:
          The states after the last step, of B * num_samples rows; those of a row follow each other.

        Raises:
          ValueError: if an argument is not as expected.
        """
        num_samples = convert.as_count("num_samples", num_samples)
        prepared = self.prepare(observed, inputs, lengths, observed_mask)
        primed: State = self._prime(
            *prepared, state, tf.constant(num_samples), stateless_seed(seed)
        )
        return primed

    def generate(
        self,
        batch_size: int | None = None,
        sequence_size: int | None = None,
        inputs: Nest | None = None,
        prefix: Nest | None = None,
        temperature: float = 1.0,
        seed: Seed = 0,
        *,
        state: State | None = None,
    ) -> Any:
        """Samples sequences.

        Equal seeds give equal sequences, and the default is a seed: pass another one, such as the
        number of the call, to get other sequences.

        Args:
          batch_size: the number of sequences; by default that of `state`, `prefix` or `inputs`,
            or 1.
          sequence_size: their length; by default that of `inputs`, or `hparams.sequence_size`.
          inputs: nest of [B, sequence_size, ...] that matches `inputs_spec`.
          prefix: observed sequences to continue, [B, T, ...], or [1, T, ...] for all; not part of
            the result. Each continuation has its own sample of the latents. If the model has
            inputs, or the rows differ in length, continue from a `state` of `prime` instead.
          temperature: latents and observations are sampled from p^(1 / temperature).
          seed: of all that is sampled.
          state: a state from `prime` or `infer` to continue from, of as many rows as sequences.

        Returns:
          Observations, nest of [B, sequence_size, *event_shape].

        Raises:
          ValueError: if a size is below 1 or does not match another, or if the temperature is not
            above 0.
        """
        if prefix is not None:
            convert.check_sequences("prefix", prefix, self._event_spec)
        if inputs is not None:
            convert.check_sequences("inputs", inputs, self.inputs_spec)
        given = [nest for nest in (state, prefix, inputs) if nest is not None]
        if batch_size is None:
            batch_size = max([1, *(num_rows(nest) for nest in given)])
        if sequence_size is None:
            steps = [int(x.shape[1]) for x in tf.nest.flatten(inputs) if x is not None]
            sequence_size = steps[0] if steps else self.hparams.sequence_size
        batch_size = convert.as_count("batch_size", batch_size)
        sequence_size = convert.as_count("sequence_size", sequence_size)
        if prefix is not None and state is not None:
            raise ValueError("pass either a prefix or a state, not both")
        if prefix is not None:
            state = self._state_after(prefix, batch_size, seed)
        if state is None:
            state = self.initial_state(batch_size)
        return self.extend(state, batch_size, sequence_size, inputs, temperature, seed)[0]

    def _state_after(self, prefix: Nest, batch_size: int, seed: Seed) -> State:
        rows = num_rows(prefix)
        if rows not in (1, batch_size):
            raise ValueError(f"prefix must have 1 or batch_size = {batch_size} rows, not {rows}")
        return self.prime(prefix, batch_size // rows, seed=seed)

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
        noise: Tensor | None = None,
        given: tuple[Nest, Tensor] | None = None,
        alike: bool = False,
    ) -> tuple[Any, State]:
        """Samples the continuation of sequences; see `vaeseq.model.sampling` for long ones.

        Args:
          state: the state to continue from, of `batch_size` rows.
          batch_size, sequence_size, inputs, temperature, seed: see `generate`.
          latents: z_1:T to use, [B, sequence_size, Z]; None samples them.
          noise: the noise that z_1:T come from, [B, sequence_size, Z], as `self.noise` returns it;
            None samples it.
          given: observations, and a mask of [B, sequence_size] that says where they take the place
            of samples; None samples all.
          alike: whether all rows have the same noise, so that equal states continue equally.

        Returns:
          Observations, nest of [B, sequence_size, *event_shape], and the state after them.

        Raises:
          ValueError: if sizes do not match, or if the temperature is not above 0.
          UsageError: if a distribution to sample from is not finite.
        """
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, not {temperature}")
        rows = num_rows(state)
        if tf.nest.flatten(state) and rows != batch_size:
            raise ValueError(
                f"the state has {rows} rows, not batch_size = {batch_size}; `prime` returns a "
                "state of as many rows as you want, each with its own latents"
            )
        # Without a temperature, the graph needs no decoder that supports one.
        scale = None if temperature == 1 else tf.constant(temperature, tf.float32)
        inputs = convert.as_sequences("inputs", inputs, self.inputs_spec)
        for x in tf.nest.flatten(inputs):
            if tuple(x.shape[:2]) != (batch_size, sequence_size):
                raise ValueError(
                    f"inputs must have {batch_size} rows of {sequence_size} steps, not "
                    f"{x.shape[0]} of {x.shape[1]}"
                )
        with finite.reraise_overflow():
            observed, after = self._extend(
                inputs,
                state,
                tf.constant(batch_size),
                tf.constant(sequence_size),
                scale,
                stateless_seed(seed),
                latents,
                noise,
                given,
                alike,
            )
        return observed, after

    def _log_prob_eagerly(
        self,
        observed: Nest,
        inputs: Nest,
        lengths: tf.Tensor | None,
        samples: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        def log_weight(sample: tf.Tensor) -> tf.Tensor:
            folded = tf.random.experimental.stateless_fold_in(seed, sample)
            inference, _ = self.infer_prepared(observed, inputs, lengths, None, folded)
            return objectives.log_weight(inference)

        log_weights = tf.map_fn(log_weight, samples, fn_output_signature=tf.float32)
        return objectives.importance_weighted_bound(log_weights)

    def _extend_eagerly(
        self,
        inputs: Nest,
        state: State,
        rows: tf.Tensor,
        steps: tf.Tensor,
        temperature: tf.Tensor | None,
        seed: tf.Tensor,
        latents: Tensor | None,
        noise: Tensor | None = None,
        given: tuple[Nest, Tensor] | None = None,
        alike: bool = False,
    ) -> tuple[Any, State]:
        noise_seed, seed = self.split_seed(seed)
        if noise is None:
            flat = tf.nest.flatten(state)
            rows = tf.shape(flat[0])[0] if flat else rows  # a loop must know the number if it can
            noise = self.noise(1 if alike else rows, steps, noise_seed, temperature)
            if alike:
                noise = tf.repeat(noise, rows, axis=0)
        observed, after = self.core.generate(
            self.context, inputs, state, noise, seed, temperature, latents, given, alike
        )
        return observed, State(*after)

    @staticmethod
    def split_seed(seed: Seed) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the seeds of the noise of the latents and of the observations."""
        noise_seed, seed = tf.unstack(tf.random.experimental.stateless_split(stateless_seed(seed)))
        return noise_seed, seed

    def _prime_eagerly(
        self,
        observed: Nest,
        inputs: Nest,
        lengths: tf.Tensor | None,
        state: State | None,
        num_samples: tf.Tensor,
        seed: tf.Tensor,
    ) -> State:
        if self.core.latent_size:
            return self.infer_prepared(observed, inputs, lengths, state, seed, num_samples)[1]
        after = self.infer_prepared(observed, inputs, lengths, state, seed)[1]
        return repeat_rows(after, num_samples)  # all samples of a row are the same
