"""What does not fit into memory is refused before it is allocated."""

import keras
import pytest

from vaeseq import UsageError
from vaeseq.training import memory


def make(rows, columns):
    return lambda: keras.Sequential([keras.Input([rows]), keras.layers.Dense(columns)])


def test_a_model_and_what_an_update_computes_must_fit():
    memory.check(make(10, 20), time_steps=1000)
    with pytest.raises(UsageError, match=r"training the model needs [\d,.]+ GB, and this machine"):
        memory.check(make(10**7, 10**7))
    for sides in ((10**4, 2), (2, 10**4)):
        memory.check(make(*sides), time_steps=10)
        with pytest.raises(UsageError, match=r"1000000000 time steps needs 37,252\.9 GB"):
            memory.check(make(*sides), time_steps=10**9)


def test_the_message_says_what_needs_memory_and_what_to_do():
    memory.require(1000, "something", "use less")
    with pytest.raises(UsageError, match=r"^--length: 9 songs needs .* GB; use less$"):
        memory.require(1e18, "--length: 9 songs", "use less")
