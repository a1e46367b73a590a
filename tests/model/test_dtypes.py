"""Models compute in float32; other dtypes are refused before anything is wrong."""

import keras
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Waves


@pytest.fixture
def keep_dtypes():
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float64"])
def test_other_policies_are_refused_with_the_reason(policy, keep_dtypes):
    keras.config.set_dtype_policy(policy)
    with pytest.raises(ValueError, match=f"computes in float32, because .* dtype_policy {policy} "):
        Waves(SMALL)


def test_another_floatx_is_refused(keep_dtypes):
    keras.config.set_floatx("float64")
    with pytest.raises(ValueError, match=r"floatx float64: call keras\.config.set_floatx"):
        Waves(SMALL)


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16", "float64"])
def test_features_of_an_encoder_with_another_policy_are_refused(dtype):
    class Encoded(Waves):
        def make_encoder(self):
            return keras.layers.Dense(3, dtype=dtype)

    name = tf.as_dtype(dtype.removeprefix("mixed_")).name
    with pytest.raises(ValueError, match=f"of float32, not {name}; it can end with codec.Flatten"):
        Encoded(SMALL)
