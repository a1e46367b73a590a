"""The fused Adam against that of Keras."""

import keras
import numpy as np
import tensorflow as tf

from vaeseq.nn.fused_adam import FusedAdam


def steps(kind):
    """Returns variables and optimizer state after several updates, some from rows of an array."""
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=[4, 3]).astype(np.float32)) for _ in range(2)]
    optimizer = kind(0.01, beta_2=0.9, global_clipnorm=1.0)
    optimizer.build(variables)

    @tf.function
    def update():
        with tf.GradientTape() as tape:
            rows = tf.gather(tf.convert_to_tensor(variables[0]), [1, 3, 1])
            loss = tf.reduce_sum(rows**2) + tf.reduce_sum(tf.sin(variables[1].value))
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    for _ in range(5):
        update()
    return {x.path: x.numpy() for x in [*variables, *optimizer.variables]}


def test_the_fused_adam_makes_the_updates_of_kerass():
    keras_state, fused = steps(keras.optimizers.Adam), steps(FusedAdam)
    assert len(keras_state) == len(fused) == 2 + 2 + 4
    for (name, x), y in zip(keras_state.items(), fused.values(), strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-7, err_msg=name)
