"""Adam whose update of a variable is one operation of TensorFlow."""

import keras
import tensorflow as tf

from vaeseq.training.private_api import adam_moments


class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam, whose update passes over memory once instead of once for each operation.

    On CPU, an update of the weights of a discriminator takes a third to a half of the time.
    """

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Updates a variable and its moments."""
        if isinstance(variable, keras.Variable):
            variable = variable.value
        momentum, velocity = (x.value for x in adam_moments(self, variable))
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.convert_to_tensor(gradient),
        )
