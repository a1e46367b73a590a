"""The distribution of z, computed from features.

A `LatentKind` is what `hparams.latent_kind` chooses: how large z is, what noise it comes from, and
what a network must compute. The params of a distribution of z are `LatentParams`: a named tuple,
`Gaussian` or `Categorical`, that samples, likelihoods and divergences come from. Cores, bounds and
models use these two interfaces and do not ask which kind it is.
"""

from typing import Any, Protocol

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import MLP, concat
from vaeseq.nn.types import Nest, Size
from vaeseq.vae.categorical import Categorical, CategoricalKind
from vaeseq.vae.gaussian import Gaussian, GaussianKind

__all__ = [
    "LATENT_KINDS",
    "Categorical",
    "Gaussian",
    "LatentDecoder",
    "LatentKind",
    "LatentParams",
    "LatentTransition",
    "make_kind",
]


class LatentParams(Protocol):
    """Params of a distribution of z [..., Z], which has independent units [..., U]."""

    def dist(self) -> tfd.Distribution:
        """Returns the distribution, with event shape [Z]."""

    def constant(self) -> Any:
        """Returns the same params without a gradient."""

    def reparameterize(self, noise: tf.Tensor) -> tf.Tensor:
        """Maps noise to a sample z that has a gradient; noise of 0 gives the mode. [..., Z]."""

    def noise_behind(self, latents: tf.Tensor) -> tf.Tensor:
        """Returns noise that `reparameterize` maps to z, [..., Z]."""

    def unit_log_prob(self, latents: tf.Tensor) -> tf.Tensor:
        """Computes log p(z) of each unit in nats, [..., U]."""

    def unit_kl(self, prior: Any) -> tf.Tensor:
        """Computes KL(self || prior) of each unit in nats, [..., U]."""


class LatentKind(Protocol):
    """A kind of latents, made from hyperparameters."""

    size: int  # Z
    num_outputs: int  # of the network that computes params

    def from_outputs(self, outputs: tf.Tensor, base: Any = None) -> Any:
        """Maps outputs of a network [..., num_outputs] to params.

        With `base`, other params, the outputs are what is added to its mean or its logits.
        """

    def from_moments(self, mean: Any, stddev: Any) -> Any:
        """Returns the params of z with a mean and a standard deviation, arrays [..., Z]."""

    def standard_like(self, noise: tf.Tensor) -> Any:
        """Returns the params of the standard normal or uniform distribution of z, like `noise`."""

    def noise(
        self,
        shape: tf.Tensor | list[Size],
        seed: tf.Tensor,
        temperature: tf.Tensor | float | None = None,
    ) -> tf.Tensor:
        """Returns the noise [..., Z] from which z comes.

        With a temperature, z comes from a distribution proportional to p^(1 / temperature).
        """


_KINDS: dict[str, type[GaussianKind] | type[CategoricalKind]] = {
    "gaussian": GaussianKind,
    "categorical": CategoricalKind,
}
LATENT_KINDS = tuple(_KINDS)


def make_kind(hparams: HParams) -> LatentKind:
    """Returns the kind of latents that `hparams.latent_kind` names."""
    return _KINDS[hparams.latent_kind](hparams)


class LatentDecoder(DistModule):
    """Maps features through `hparams.latent_decoder_fc_layers` to a distribution of z.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> prior = vaeseq.LatentDecoder(vaeseq.HParams(latent_size=3))
      >>> prior(tf.zeros([4, 10])).loc.shape
      TensorShape([4, 3])
    """

    event_dtype = tf.float32

    def __init__(self, hparams: HParams, name: str | None = None):
        super().__init__(name=name)
        self.kind = make_kind(hparams)
        self.event_shape = tf.TensorShape([self.kind.size])
        self.mlp = MLP(hparams, (*hparams.latent_decoder_fc_layers, self.kind.num_outputs))

    def call(self, features: Nest) -> LatentParams:
        """Maps a nest of features [..., D_i] to the params of z [..., Z]."""
        params: LatentParams = self.kind.from_outputs(self.mlp(features))
        return params

    def dist(self, params: LatentParams) -> tfd.Distribution:
        """Returns the distribution with these params."""
        return params.dist()


class LatentTransition(LatentDecoder):
    """Maps the features of step t and z_{t-1} to a distribution of z_t.

    The first layer is a sum of two linear maps, of the features and of z_{t-1}. The first does not
    depend on z_{t-1}: `share` computes it for all steps at once, and only small products remain
    in the loop over time. In place of z_{t-1} there may be whatever else the loop computes.

    Args:
      hparams: the hyperparameters.
      name: the layer's name.
      scale: the variance of the initial map of z_{t-1}, relative to that of other layers. Small by
        default: a chain of z that grows at each step diverges before it learns.
    """

    def __init__(self, hparams: HParams, name: str | None = None, scale: float = 0.01):
        super().__init__(hparams, name=name)
        first, *others = (*hparams.latent_decoder_fc_layers, self.kind.num_outputs)
        self.of_features = keras.layers.Dense(first)
        initializer = keras.initializers.VarianceScaling(scale)
        self.of_latents = keras.layers.Dense(first, use_bias=False, kernel_initializer=initializer)
        self.activation = keras.activations.get(hparams.activation if others else None)
        self.mlp = MLP(hparams, others)

    def build(self, input_shape: tuple[tf.TensorShape, ...]) -> None:
        """Creates the weights of the map of z_{t-1}; the other layers create their own."""
        self.of_latents.build(input_shape[1])

    def share(self, features: Nest) -> tf.Tensor:
        """Computes the features' term of the first layer, given a nest of [..., D_i]."""
        return self.of_features(concat(features))

    def call(self, features: Any) -> LatentParams:
        """Maps (output of `share` at step t, z_{t-1}) to the params of z_t.

        A third item, other params of z_t, makes the mean or the logits a residual to theirs.
        """
        share, z_before, *base = features
        outputs = self.mlp(self.activation(share + self.of_latents(z_before)))
        params: LatentParams = self.kind.from_outputs(outputs, *base)
        return params
