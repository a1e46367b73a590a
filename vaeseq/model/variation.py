"""Variations of sequences: samples that lie between a sequence and what the model makes freely."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.model.latent_space import LatentSpaceModel, on_great_circle
from vaeseq.nn import convert
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.sequences import repeat_rows
from vaeseq.nn.types import Nest, Seed, Specs, Tensor
from vaeseq.training.private_api import compile_quietly


class VariationModel(LatentSpaceModel):
    """A sequence model that varies sequences; see `ModelBase`."""

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Specs = (), name: str | None = None
    ):
        super().__init__(hparams, inputs_spec, name)
        self._noise_behind = compile_quietly(self._noise_behind_eagerly)

    def vary(
        self,
        observed: Nest,
        amount: float,
        num_samples: int = 1,
        inputs: Nest | None = None,
        temperature: float = 1.0,
        seed: Seed = 0,
        *,
        groups: Tensor | None = None,
    ) -> Any:
        """Samples variations of observed sequences.

        With amount 1, they are what `generate` samples with the same seed. What they are with less
        depends on the core:

        * A core with Gaussian latents decodes latents on the great circle from the posterior mean
          to a sample of the prior (see `slerp`); z_t is described by the standard normal noise that
          it comes from, given z_1:t-1 and x_1:t-1. With amount 0, these are samples of what the
          posterior mean describes; with a temperature near 0 also, this is `reconstruct`, if one z
          describes the whole sequence.
        * A core with categorical latents keeps each one-hot variable of the posterior's most
          probable classes, or samples it anew from the prior, with probability `amount`.
        * A core without latents keeps x_t or samples it anew, with probability `amount`, given
          x_1:t-1 of the variation. With amount 0, this is the sequence itself.

        Args:
          observed: nest of [B, T, *event_shape].
          amount: from 0 to 1.
          num_samples: the number of variations of each sequence.
          inputs, temperature, seed: see `generate`.
          groups: for a core without latents, int [B, T] from 0 to T - 1: the steps of a row with
            the same number are kept or sampled together. None decides for each step.

        Returns:
          The variations, a nest of [B * num_samples, T, *event_shape]; those of a row follow each
          other.

        Raises:
          ValueError: if an argument is not as expected.
        """
        if not 0 <= amount <= 1:
            raise ValueError(f"amount must be from 0 to 1, not {amount}")
        num_samples = convert.as_count("num_samples", num_samples)
        prepared = self.prepare(observed, inputs)
        observed, inputs, _ = repeat_rows(prepared, num_samples)
        rows, steps = tf.nest.flatten(observed)[0].shape[:2]
        sampling = self.initial_state(rows), rows, steps, inputs
        if not self.core.latent_size:
            chosen = (
                None if groups is None else tf.repeat(tf.cast(groups, tf.int32), num_samples, 0)
            )
            given = observed, _kept([rows, steps], amount, seed, chosen)
            return self.extend(*sampling, temperature, seed, given=given)[0]
        own = self.noise(rows, steps, self.split_seed(seed)[0], temperature)
        behind = tf.repeat(self._noise_behind(*prepared), num_samples, axis=0)
        if self.hparams.latent_kind == "categorical":
            kept = _kept([rows, steps, self.hparams.latent_groups], amount, seed)
            noise = tf.where(tf.repeat(kept, self.hparams.latent_classes, axis=2), behind, own)
        else:
            noise = on_great_circle(behind, own, amount)
        return self.extend(*sampling, temperature, seed, noise=noise)[0]

    def _noise_behind_eagerly(
        self, observed: Nest, inputs: Nest, lengths: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns the noise [B, T, Z] from which the prior makes the mode of the posterior."""
        rows, time = tf.unstack(tf.shape(tf.nest.flatten(observed)[0])[:2])
        state = self.initial_state(rows)
        given = self.condition(observed, inputs, lengths, state.context)
        nothing = tf.zeros([rows, time, self.core.latent_size])
        steps = self.core.unroll(given.contexts, state.core, nothing, given.evidence)[0]
        return steps.prior.noise_behind(steps.latents)


def _kept(
    shape: Sequence[int], amount: float, seed: Seed, groups: Tensor | None = None
) -> tf.Tensor:
    """Returns what is kept, bool of a shape [B, T, ...]; a larger amount keeps less of the same."""
    seed = tf.random.experimental.stateless_fold_in(stateless_seed(seed), 0)
    uniform = tf.random.stateless_uniform(shape, seed)
    if groups is not None:
        uniform = tf.gather(uniform, groups, batch_dims=1)
    return uniform >= amount
