"""The pool of compiled models changes nothing that a test can see."""

import keras
import numpy as np
import pytest

from tests.conftest import SMALL, SOME_CORES, Waves, assert_close
from tests.pool import variables


@pytest.mark.parametrize("vae_type", SOME_CORES)
def test_pooled_models_equal_fresh_ones_bitwise(pool, vae_type, observed):
    hparams = SMALL.replace(vae_type=vae_type, dropout=0.3)

    def trained(model):
        observations = np.repeat(observed, 2, axis=0)
        model.fit(observations, batch_size=4, epochs=2, shuffle=False, verbose=0)
        return [variable.numpy() for variable in variables(model)]

    keras.utils.set_random_seed(1)
    fresh = Waves(hparams)
    fresh.compile()
    expected = trained(fresh)
    for _ in range(2):
        assert_close(trained(pool.take(Waves, hparams)), expected, 0)
        pool.put_back_all()
