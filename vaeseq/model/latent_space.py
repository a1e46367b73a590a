"""Sequences as points of a latent space, if one z describes the whole sequence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq.model.sequence_model import SequenceModel
from vaeseq.model.wiring import State
from vaeseq.nn.types import Nest, Seed, Tensor
from vaeseq.vae.latent import Gaussian

GREEDY = 1e-8  # a temperature at which samples are the mode
BETWEEN_TEMPERATURE = 0.5  # factor of the temperature of samples between two sequences


class LatentSpaceModel(SequenceModel):
    """A sequence model that maps sequences to points z [Z] and back; see `ModelBase`.

    All methods raise `UsageError` if the core has no latent variable for the whole sequence.
    """

    @property
    def has_sequence_latent(self) -> bool:
        """Whether one z describes the whole sequence."""
        return self.core.has_sequence_latent

    def encode(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        observed_mask: Nest | None = None,
    ) -> Gaussian:
        """Returns the posterior q(z | x) of observed sequences: mean and deviation, [B, Z]."""
        observed, inputs, lengths = self.prepare(observed, inputs, lengths, observed_mask)
        state = self.initial_state(tf.shape(tf.nest.flatten(observed)[0])[0])
        evidence = self.condition(observed, inputs, lengths, state.context).evidence
        return self.core.posterior(None if evidence is None else evidence[:, 0])

    def decode(
        self,
        latents: Tensor,
        sequence_size: int,
        inputs: Nest | None = None,
        temperature: float = 1.0,
        seed: Seed = 0,
    ) -> Any:
        """Samples a sequence for each z of [B, Z]: nest of [B, sequence_size, *event_shape]."""
        state = self.state_from_latents(latents)
        return self.extend(state, len(latents), sequence_size, inputs, temperature, seed)[0]

    def state_from_latents(self, latents: Tensor) -> State:
        """Returns the state before the first step of sequences with the given z [B, Z]."""
        latents = tf.cast(latents, tf.float32)
        state = self.initial_state(tf.shape(latents)[0])
        return state._replace(core=self.core.begin(latents))

    def reconstruct(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> Any:
        """Decodes the posterior mean of observed sequences greedily.

        Each x_t comes from its distribution given x_1:t-1 at a temperature near 0: the mode of
        classes, of bits and of normal variables.
        """
        z = self.encode(observed, inputs, lengths).loc
        steps = tf.nest.flatten(observed)[0].shape[1]
        return self.decode(z, steps, inputs, GREEDY)

    def interpolate(
        self, start: Nest, end: Nest, steps: int, sequence_size: int | None = None
    ) -> Any:
        """Returns sequences between two observed sequences, nest of [steps, T, *event_shape].

        The first and the last are the reconstructions of `start` and `end`, nests of
        [T, *event_shape].
        """
        size = sequence_size or len(tf.nest.flatten(start)[0])
        return self.decode(self.interpolate_latents(start, end, steps), size, temperature=GREEDY)

    def interpolate_latents(self, start: Nest, end: Nest, steps: int) -> tf.Tensor:
        """Returns points between the posterior means of two sequences, [steps, Z]; see `slerp`.

        `start` and `end` are nests of [T, *event_shape]; their lengths may differ.
        """
        return slerp(self._posterior_mean(start), self._posterior_mean(end), steps)

    def _posterior_mean(self, observed: Nest) -> tf.Tensor:
        """Returns the posterior mean [Z] of one sequence."""
        return self.encode(tf.nest.map_structure(lambda x: x[None], observed)).loc[0]

    def attribute_vector(self, having: Nest, lacking: Nest) -> tf.Tensor:
        """Returns the direction [Z] from sequences without an attribute to those with it.

        Both are nests of [B, T, ...]. Add a multiple of the vector to a z to change the attribute
        (Roberts et al. 2018, arXiv:1803.05428).
        """
        means = [tf.reduce_mean(self.encode(x).loc, axis=0) for x in (having, lacking)]
        return means[0] - means[1]


def slerp(start: Tensor, end: Tensor, steps: int) -> tf.Tensor:
    """Returns points on the great circle from one z [Z] to another, [steps, Z] (Shoemake 1985).

    A straight line would pass nearer to the origin than samples of a Gaussian lie. The norm
    changes linearly from that of `start` to that of `end`. If the two point in the same or in
    opposite directions, the path is the straight line.
    """
    shares = tf.linspace(tf.constant(0.0, tf.float64), 1.0, steps)[:, None]
    return on_great_circle(start, end, shares)


def on_great_circle(start: Tensor, end: Tensor, share: Tensor) -> tf.Tensor:
    """Returns the points that lie a share of the way from `start` to `end`, [..., Z]; see `slerp`.

    Args:
      start, end: points, [..., Z].
      share: from 0 to 1, of a shape that broadcasts to [..., 1].
    """
    start, end, share = (tf.cast(x, tf.float64) for x in (start, end, share))
    lengths = [tf.norm(x, axis=-1, keepdims=True) + 1e-12 for x in (start, end)]
    cosine = tf.reduce_sum(start * end, -1, keepdims=True) / (lengths[0] * lengths[1])
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    weights = [tf.sin((1 - share) * angle), tf.sin(share * angle)]
    direction = weights[0] * start / lengths[0] + weights[1] * end / lengths[1]
    radius = (1 - share) * lengths[0] + share * lengths[1]
    points = tf.math.divide_no_nan(direction, tf.sin(angle)) * radius
    line = (1 - share) * start + share * end
    is_line = (angle < 1e-5) | (angle > np.pi - 1e-5)
    return tf.cast(tf.where(is_line, line, points), tf.float32)
