"""A decoder for any distribution of numbers in TensorFlow Probability."""

from collections.abc import Mapping, Sequence

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec.elementwise import ElementwiseDecoder
from vaeseq.nn.support import Support


class TFPDecoder(ElementwiseDecoder):
    """Independent elements with a distribution of TensorFlow Probability.

    Each parameter gets a feature for each element, mapped to its domain as the distribution's
    `parameter_properties` say, such as through a softplus for a scale.

    Params: a tuple of tensors [N, *event_shape], in the order of `parameters`. Events: float32
    [N, *event_shape], also for counts. `param_size`: one feature for each parameter and element.

    Args:
      distribution: class of a distribution over single numbers.
      parameters: the names of the parameters that depend on the features.
      event_shape: shape of one observation; () for one number.
      constants: values of other parameters.
      low: the lowest number that an element can be.
      high: the highest number.
      whole: whether elements are whole numbers.
      neutral: a number with a finite log-density, which stands where nothing is observed; see
        `DistModule.neutral_event`.
      name: the layer's name.

    Raises:
      ValueError: if a parameter is unknown, not one number for each element, or one of which TFP
        does not know the domain.

    Example:
      >>> import tensorflow as tf
      >>> from tensorflow_probability import distributions as tfd
      >>> from vaeseq import codec
      >>> decoder = codec.TFPDecoder(tfd.Poisson, ["log_rate"], [3], low=0, whole=True)
      >>> params = decoder(tf.zeros([2, decoder.param_size]))
      >>> decoder.log_prob(params, tf.zeros([2, 3])).numpy().tolist()  # rates of 1
      [-3.0, -3.0]
    """

    def __init__(
        self,
        distribution: type[tfd.Distribution],
        parameters: Sequence[str],
        event_shape: Sequence[int] = (),
        constants: Mapping[str, float] | None = None,
        low: float = -float("inf"),
        high: float = float("inf"),
        whole: bool = False,
        neutral: float = 0.0,
        name: str | None = None,
    ):
        properties = distribution.parameter_properties(tf.float32)
        for parameter in parameters:
            if parameter not in properties or not properties[parameter].is_tensor:
                known = [name for name, x in properties.items() if x.is_tensor]
                raise ValueError(
                    f"{distribution.__name__} has no parameter {parameter!r}; it has "
                    f"{', '.join(known)}"
                )
        self._params_per_element = len(parameters)
        super().__init__(event_shape, "float32", name=name)
        self.distribution, self.parameters = distribution, tuple(parameters)
        self.constants = dict(constants or {})
        self.limits = Support(distribution.__name__, low, high, whole)
        self.neutral = neutral
        bijectors = []
        for parameter in parameters:
            try:
                bijectors.append(properties[parameter].default_constraining_bijector_fn())
            except NotImplementedError as error:
                raise ValueError(
                    f"{distribution.__name__}: TFP does not know the domain of {parameter}; give "
                    "it in `constants`"
                ) from error
        self.bijectors = tuple(bijectors)
        batch = self.distribution(
            **self.constants, **dict.fromkeys(self.parameters, tf.fill([2], 0.5))
        ).batch_shape
        if batch != [2]:
            raise ValueError(f"{distribution.__name__} is not a distribution of single numbers")

    @property
    def support(self) -> Support:
        """The numbers from `low` to `high`."""
        return self.limits

    @property
    def neutral_event(self) -> tf.Tensor:
        """`neutral` for each element."""
        return tf.fill(self.event_shape, tf.cast(self.neutral, self.event_dtype))

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Maps features [N, param_size] to params in their domains."""
        return tuple(
            bijector.forward(x)
            for bijector, x in zip(self.bijectors, super().call(features), strict=True)
        )

    def dist(self, params: tuple[tf.Tensor, ...]) -> tfd.Distribution:
        """Returns independent distributions."""
        named = dict(zip(self.parameters, params, strict=True))
        return self._independent(self.distribution(**self.constants, **named))
