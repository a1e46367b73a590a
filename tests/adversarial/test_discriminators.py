import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from benchmarks.speed.plain_cnn import PlainCNN
from tests.adversarial.words import ADVERSARIAL, SYMBOLS
from tests.conftest import assert_close
from vaeseq.adversarial import discriminators


@pytest.fixture
def sequences():
    """Sequences [5, 7], and the same with other symbols from step 4 on."""
    observed = np.random.default_rng(0).integers(SYMBOLS, size=[5, 7])
    changed = observed.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % SYMBOLS
    return observed, changed


def make(kind):
    keras.utils.set_random_seed(0)
    hparams = ADVERSARIAL.replace(discriminator=kind)
    return discriminators.make(hparams, keras.layers.Embedding(SYMBOLS, 3))


@pytest.mark.parametrize("kind", ["cnn", "recurrent"])
def test_discriminators_of_whole_sequences_see_every_step_but_padding(kind, sequences):
    discriminator, (observed, changed) = make(kind), sequences
    logits, lengths = discriminator(observed), tf.fill([5], 4)
    assert np.abs(logits - discriminator(changed)).min() > 0
    assert_close(discriminator(observed, lengths), discriminator(changed, lengths))
    assert_close(discriminator(observed, lengths), discriminator(observed[:, :4]))
    assert_close(discriminator.score(observed), tf.sigmoid(logits[:, 0]))


def test_a_causal_discriminator_and_its_critic_see_no_later_step(sequences):
    discriminator = make("causal")
    (logits, values), (logits_2, values_2) = map(discriminator.judge, sequences)
    assert_close(logits[:, :4], logits_2[:, :4])
    assert np.abs(logits[:, 4:] - logits_2[:, 4:]).min() > 0
    assert_close(values[:, :5], values_2[:, :5])  # the critic of x_5 has not seen x_5
    assert np.abs(values[:, 5:] - values_2[:, 5:]).min() > 0
    lengths = tf.fill([5], 4)
    assert_close(discriminator.score(sequences[1], lengths), tf.sigmoid(logits[:, 3]))


def test_objectives_of_prefixes_need_a_discriminator_of_prefixes():
    for changes in ({"policy_gradient": "stepwise"}, {"policy_baseline": "critic"}):
        hparams = ADVERSARIAL.replace(discriminator="cnn", **changes)
        with pytest.raises(vaeseq.UsageError, match="needs discriminator=causal, not cnn"):
            discriminators.make(hparams, keras.layers.Embedding(SYMBOLS, 3))


def test_the_cnn_computes_what_that_of_0_1_did(sequences):
    observed, lengths = sequences[0], tf.constant([7, 1, 4, 7, 3])
    fast = make("cnn")
    fast(observed)
    plain = PlainCNN(ADVERSARIAL.replace(discriminator="cnn"), fast.encoder)
    plain(observed)
    plain.set_weights(fast.get_weights())
    names = [[re.sub(r"_\d+", "", x.path) for x in part.weights] for part in (plain, fast)]
    assert names[0] == names[1], "or checkpoints of 0.1 could not be loaded"
    for given in (None, lengths):
        logits, gradients = [], []
        for discriminator in (fast, plain):
            with tf.GradientTape() as tape:
                logits.append(discriminator(observed, given))
                loss = tf.reduce_sum(tf.sin(logits[-1]))
            found = tape.gradient(loss, discriminator.trainable_variables)
            gradients.append([tf.convert_to_tensor(x) for x in found])
        assert_close(*logits, 1e-5)
        for x, y in zip(*gradients, strict=True):
            assert_close(x, y, 1e-5)


def test_filters_are_given_for_each_width():
    hparams = ADVERSARIAL.replace(discriminator="cnn", discriminator_widths=(1, 3))
    chosen = hparams.replace(discriminator_filters=(5, 2))
    discriminator = discriminators.make(chosen, keras.layers.Embedding(SYMBOLS, 3))
    discriminator(np.zeros([2, 4], np.int32))
    assert [x.kernel.shape for x in discriminator.filters] == [(3, 5), (9, 2)]
    with pytest.raises(vaeseq.UsageError, match=r"_filters has 1 items, but .*_widths has 2; give"):
        discriminators.make(hparams.replace(discriminator_filters=(5,)), None)
