"""The latent space of a core whose z is that of the whole sequence, and how much it is used."""

from typing import Any

import tensorflow as tf

from vaeseq.vae.core import VAECore
from vaeseq.vae.latent import Gaussian

GREEDY = 1e-8  # a temperature at which what is drawn is the most probable
BETWEEN_TEMPERATURE = 0.5  # of what programs draw between two sequences, times the user's


class LatentSpace:
    """What a `ModelBase` can do with sequences as points z [Z].

    All raise `UsageError` for a core that has no latent variable for the whole sequence.
    """

    core: Any
    context: Any
    as_sequences: Any
    initial_state: Any
    extend: Any

    @property
    def has_sequence_latent(self) -> bool:
        """Whether there is a z for the whole sequence."""
        return type(self.core).begin is not VAECore.begin

    def encode(self, observed: Any, inputs: Any = None, lengths: Any = None) -> Gaussian:
        """The posterior q(z | x) of observed sequences: mean and deviation, [B, Z]."""
        observed, inputs = self.as_sequences(observed, inputs)
        self.core.begin(tf.zeros([1, self.core.latent_size]))  # or UsageError
        rows = tf.shape(tf.nest.flatten(observed)[0])[0]
        state = self.initial_state(rows)
        contexts, _ = self.context.from_observations(observed, inputs, state.context)
        lengths = None if lengths is None else tf.cast(lengths, tf.int32)
        return self.core.posterior(self.core.encode(contexts, observed, lengths)[:, 0])

    def decode(
        self,
        latents: Any,
        sequence_size: int,
        inputs: Any = None,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> Any:
        """Draws a sequence for each z of [B, Z]: nest of [B, sequence_size, *event_shape]."""
        state = self.state_from_latents(latents)
        return self.extend(state, len(latents), sequence_size, inputs, temperature, seed)[0]

    def state_from_latents(self, latents: Any) -> Any:
        """The state before the first step of sequences whose z [B, Z] is given."""
        state = self.initial_state(len(latents))
        return state._replace(core=self.core.begin(tf.cast(latents, tf.float32)))

    def reconstruct(self, observed: Any, inputs: Any = None, lengths: Any = None) -> Any:
        """The most probable x_t one after another, given the mean of q(z | x)."""
        z = self.encode(observed, inputs, lengths).loc
        steps = tf.nest.flatten(observed)[0].shape[1]
        return self.decode(z, steps, inputs, GREEDY)

    def interpolate(
        self, start: Any, end: Any, steps: int, sequence_size: int | None = None
    ) -> Any:
        """Sequences on the way from one observed sequence to another, [steps, T, ...].

        The first and the last are the reconstructions of the two, nests of [T, *event_shape].
        """
        size = sequence_size or len(tf.nest.flatten(start)[0])
        return self.decode(self.interpolate_latents(start, end, steps), size, temperature=GREEDY)

    def interpolate_latents(self, start: Any, end: Any, steps: int) -> tf.Tensor:
        """z on the way from one observed sequence to another, [steps, Z]: see `slerp`.

        The two are nests of [T, *event_shape], and need not be equally long.
        """
        one = lambda nest: tf.nest.map_structure(lambda x: x[None], nest)  # noqa: E731
        first, last = (self.encode(one(x)).loc[0] for x in (start, end))
        return slerp(first, last, steps)

    def attribute_vector(self, having: Any, lacking: Any) -> tf.Tensor:
        """The direction [Z] from sequences [B, T, ...] that lack something to those that have it.

        To be added to a z, as often as wanted (Roberts et al. 2018, arXiv:1803.05428).
        """
        means = [tf.reduce_mean(self.encode(x).loc, axis=0) for x in (having, lacking)]
        return means[0] - means[1]


def slerp(start: Any, end: Any, steps: int) -> tf.Tensor:
    """Points on the great circle from one z [Z] to another, [steps, Z] (Shoemake 1985).

    A straight line would pass nearer to the centre than draws of a Gaussian are; the lengths of
    the two change evenly on the way. Where they point the same way, it is that line.
    """
    start, end = tf.cast(start, tf.float64), tf.cast(end, tf.float64)
    share = tf.linspace(tf.constant(0.0, tf.float64), 1.0, steps)[:, None]
    lengths = [tf.norm(x) + 1e-12 for x in (start, end)]
    cosine = tf.reduce_sum(start * end) / (lengths[0] * lengths[1])
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
    if angle < 1e-6:
        return tf.cast((1 - share) * start + share * end, tf.float32)
    weights = [tf.sin((1 - share) * angle), tf.sin(share * angle)]
    direction = (weights[0] * start / lengths[0] + weights[1] * end / lengths[1]) / tf.sin(angle)
    points = direction * ((1 - share) * lengths[0] + share * lengths[1])
    return tf.cast(points, tf.float32)
