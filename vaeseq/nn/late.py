"""LateProduct: a product in a loop over time, whose weight gets its gradient after the loop."""

from collections.abc import Callable

import tensorflow as tf

from vaeseq.nn.custom_gradient import custom_gradient
from vaeseq.nn.types import Tensor


class LateProduct:
    """The product y_t W in a loop that computes x_t + y_t W at each step.

    Automatic differentiation adds a product of y_t and the gradient of x_t to the gradient of W at
    each step of the backward loop. But the gradient of x_1:T says all: one product over all steps
    after the loop gives that of W. W is also transposed once, not at each step.

        late = LateProduct(W)
        x = late.attach(x)  # before the loop, [B, T, N]
        ...  # the loop computes x_t + late(y_t), and uses x_t for nothing else
        late.inputs = y  # after the loop, [B, T, M]
    """

    inputs: Tensor  # y_1:T, which are known only after the loop

    def __init__(self, weight: Tensor):
        self._weight = tf.convert_to_tensor(weight)
        self._transposed = tf.transpose(self._weight)

    def attach(self, terms: Tensor) -> tf.Tensor:
        """Returns x_1:T [B, T, N], whose gradient gives that of W."""

        @custom_gradient
        def attach(terms: Tensor, weight: Tensor) -> tuple[tf.Tensor, Callable[..., object]]:
            def gradient(d_terms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                return d_terms, tf.tensordot(self.inputs, d_terms, [[0, 1], [0, 1]])

            return tf.identity(terms), gradient

        attached: tf.Tensor = attach(terms, self._weight)
        return attached

    def __call__(self, inputs: Tensor) -> tf.Tensor:
        """Computes y_t W [B, N], which has a gradient for y_t alone."""

        @custom_gradient
        def multiply(inputs: Tensor) -> tuple[tf.Tensor, Callable[..., object]]:
            return inputs @ self._weight, lambda d_product: d_product @ self._transposed

        product: tf.Tensor = multiply(inputs)
        return product
