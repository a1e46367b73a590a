"""Mixtures: the elements of an observation depend on each other through the component."""

from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability import distributions as tfd

from vaeseq.codec.wrapped import param_size
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.support import Support
from vaeseq.nn.types import Nest, Tensor


class MixtureParams(NamedTuple):
    """The params of a mixture of C components."""

    logits: tf.Tensor  # of the components [..., C]
    components: Nest  # a nest of [..., C, ...]


class _Mixture(DistModule):
    """A mixture of C components with the same kind of params."""

    num_components: int

    def dist_of_components(self, params: Any) -> tfd.Distribution:
        """Returns the distributions of the components, of batch shape [..., C]."""
        raise NotImplementedError

    def dist(self, params: MixtureParams) -> tfd.Distribution:
        """Returns the mixture."""
        return tfd.MixtureSameFamily(
            tfd.Categorical(params.logits), self.dist_of_components(params.components)
        )


class MixtureDecoder(_Mixture):
    """A mixture of `num_components` distributions of the same kind.

    All elements of an observation come from the same component, so they depend on each other.

    Params: `MixtureParams`. Events: those of `component`. `param_size`: C times one more than that
    of `component`. A temperature tempers each component and the logits of the components, which is
    not exactly p^(1 / temperature) where components overlap.

    Args:
      component: the decoder of a component; must define `param_size`, and its events must be single
        tensors.
      num_components: C.
      name: the layer's name.

    Raises:
      ValueError: if C is below 1.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.MixtureDecoder(codec.NormalDecoder([3]), num_components=4)
      >>> params = decoder(tf.zeros([2, decoder.param_size]))
      >>> decoder.log_prob(params, tf.zeros([2, 3])).shape
      TensorShape([2])
    """

    def __init__(self, component: DistModule, num_components: int, name: str | None = None):
        super().__init__(name=name)
        if num_components < 1:
            raise ValueError(f"num_components must be at least 1, not {num_components}")
        self.component, self.num_components = component, num_components
        self.component_size = param_size(component)
        self.param_size = num_components * (1 + self.component_size)
        self.event_shape, self.event_dtype = component.event_shape, component.event_dtype

    @property
    def support(self) -> Nest:
        """That of `component`."""
        return self.component.support

    @property
    def neutral_event(self) -> Nest:
        """That of `component`."""
        return self.component.neutral_event

    @property
    def has_independent_elements(self) -> Nest:
        """That of `component`: what is missing can be left out of each component."""
        return self.component.has_independent_elements

    def call(self, features: tf.Tensor) -> MixtureParams:
        """Maps features [N, param_size] to params."""
        C = self.num_components
        logits, features = tf.split(features, [C, C * self.component_size], axis=-1)
        params = self.component(tf.reshape(features, [-1, self.component_size]))
        return MixtureParams(
            logits, tf.nest.map_structure(lambda x: tf.reshape(x, [-1, C, *x.shape[1:]]), params)
        )

    def dist_of_components(self, params: Any) -> tfd.Distribution:
        """Returns the distributions of `component`."""
        return self.component.dist(params)

    def log_prob(self, params: MixtureParams, event: Tensor) -> tf.Tensor:
        """Computes the log-density in nats."""
        event = self._for_components(event, params)
        return _mix(params.logits, self.component.log_prob(params.components, event))

    def masked_log_prob(
        self, params: MixtureParams, event: Tensor, is_observed: Tensor
    ) -> tf.Tensor:
        """Computes the log-density of what is observed, in nats."""
        event, mask = (self._for_components(x, params) for x in (event, is_observed))
        return _mix(params.logits, self.component.masked_log_prob(params.components, event, mask))

    def given(self, params: MixtureParams, event: Tensor, is_observed: Tensor) -> MixtureParams:
        """Weighs each component by the density of what is observed."""
        event, mask = (self._for_components(x, params) for x in (event, is_observed))
        log_prob = self.component.masked_log_prob(params.components, event, mask)
        components = self.component.given(params.components, event, mask)
        return MixtureParams(params.logits + log_prob, components)

    def temper(self, params: MixtureParams, temperature: Tensor | float) -> MixtureParams:
        """Tempers the components, and divides their logits by the temperature."""
        components = self.component.temper(params.components, temperature)
        return MixtureParams(params.logits / temperature, components)

    def _for_components(self, event: Tensor, params: MixtureParams) -> tf.Tensor:
        """Returns an event [..., *event_shape] as [..., 1, *event_shape]."""
        return tf.expand_dims(event, len(params.logits.shape) - 1)


def _mix(logits: tf.Tensor, log_prob: tf.Tensor) -> tf.Tensor:
    return tf.reduce_logsumexp(tf.nn.log_softmax(logits) + log_prob, axis=-1)


class GaussianMixtureDecoder(_Mixture):
    """Vectors of a few real numbers: a mixture of Gaussians with full covariance.

    With two elements, the offsets of a pen: the mixture of sketch-rnn (Ha and Eck 2017,
    arXiv:1704.03477).

    Params: `MixtureParams` with means [N, C, D] and lower triangular scales [N, C, D, D]. Events:
    float32 [N, D]. `param_size`: C (1 + D + D (D + 1) / 2). A temperature multiplies the
    covariances, and divides the logits of the components.

    Args:
      size: D.
      num_components: C.
      least_scale: added to the diagonal of the scales, in the units of the observations.
      name: the layer's name.

    Raises:
      ValueError: if C or D is below 1.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.GaussianMixtureDecoder(size=2, num_components=4)
      >>> params = decoder(tf.zeros([5, decoder.param_size]))
      >>> decoder.sample(params, seed=[0, 1]).shape
      TensorShape([5, 2])
    """

    def __init__(
        self, size: int, num_components: int, least_scale: float = 1e-4, name: str | None = None
    ):
        super().__init__(name=name)
        if size < 1 or num_components < 1:
            raise ValueError(
                f"size and num_components must be at least 1, not {size} and {num_components}"
            )
        self.size, self.num_components, self.least_scale = size, num_components, least_scale
        self.event_shape, self.event_dtype = tf.TensorShape([size]), tf.float32
        self.param_size = num_components * (1 + size + size * (size + 1) // 2)

    @property
    def support(self) -> Support:
        """All numbers."""
        return Support(type(self).__name__)

    def call(self, features: tf.Tensor) -> MixtureParams:
        """Maps features [N, param_size] to params."""
        C, D = self.num_components, self.size
        triangle = D * (D + 1) // 2
        logits, loc, scale = tf.split(features, [C, C * D, C * triangle], axis=-1)
        scale = tfp.math.fill_triangular(tf.reshape(scale, [-1, C, triangle]))
        diagonal = tf.nn.softplus(tf.linalg.diag_part(scale)) + self.least_scale
        return MixtureParams(
            logits, (tf.reshape(loc, [-1, C, D]), tf.linalg.set_diag(scale, diagonal))
        )

    def dist_of_components(self, params: Any) -> tfd.Distribution:
        """Returns the Gaussians."""
        loc, scale = params
        return tfd.MultivariateNormalTriL(loc, scale)

    def temper(self, params: MixtureParams, temperature: Tensor | float) -> MixtureParams:
        """Multiplies the covariances, and divides the logits by the temperature."""
        loc, scale = params.components
        return MixtureParams(params.logits / temperature, (loc, scale * tf.sqrt(temperature)))
