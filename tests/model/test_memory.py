"""A process may train one model after another: those that are gone leave no graph behind."""

import gc
import weakref

import tensorflow as tf

from tests.adversarial.words import ALL, TIME, make


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
