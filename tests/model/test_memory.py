"""A process may train one model after another: those that are gone leave no graph behind."""

import gc
import weakref

import numpy as np
import tensorflow as tf

from tests.adversarial.words import ALL, TIME, make
from vaeseq.nn.linear_scan import linear_scan


def graphs():
    """Returns references to all graphs, without those that Python can free."""
    gc.collect()
    return weakref.WeakSet(x for x in gc.get_objects() if isinstance(x, tf.Graph))


def train_and_generate():
    model = make(vae_type="SEQVAE", policy_gradient="prefix", policy_baseline="critic")
    model.fit(tf.data.Dataset.from_tensors(ALL[:6]).repeat(3), verbose=0)
    model.generate(2, TIME)


def test_a_trained_model_takes_its_graphs_with_it():
    train_and_generate()  # the first model traces functions that are kept, such as Keras's own
    before = graphs()
    train_and_generate()
    assert not graphs() - before


def test_a_gradient_by_hand_is_that_of_its_graph_until_the_graph_is_freed():
    @tf.function
    def gradient(keep):
        with tf.GradientTape() as tape:
            tape.watch(keep)
            states = linear_scan(keep, tf.ones([3, 1, 1]), tf.ones([1, 1]))
        return tape.gradient(states, keep)

    before = graphs()
    for _ in range(2):  # h is 1, 1.5, 1.75, 1.875
        found = gradient(tf.fill([3, 1, 1], 0.5))
        np.testing.assert_allclose(found[:, 0, 0], [1.75, 2.25, 1.75], rtol=1e-6)
    assert graphs() - before
    del gradient
    assert not graphs() - before
