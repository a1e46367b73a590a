import numpy as np
import tensorflow as tf

from tests.conftest import SMALL, Waves, assert_close
from vaeseq.nn.dropout import WordDropout


def test_word_dropout_drops_whole_vectors_without_scaling():
    dropped = WordDropout(0.3)(tf.ones([50, 40, 3]), training=True).numpy()
    assert set(np.unique(dropped.sum(axis=2))) == {0.0, 3.0}
    assert 0.25 < np.mean(dropped[..., 0] == 0) < 0.35


def test_word_dropout_of_a_model_is_active_only_in_training(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="SEQVAE", word_dropout=0.9))
    log_prob = model(observed, training=False).log_prob
    assert_close(log_prob, model(observed, training=False).log_prob)
    assert np.abs(log_prob - model(observed, training=True).log_prob).max() > 1e-4
