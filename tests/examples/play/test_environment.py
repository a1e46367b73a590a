"""Environments of Gymnasium and Gym behind one interface."""

import sys

import numpy as np
import pytest
from gymnasium import spaces

from tests.examples.play.conftest import train_steps
from tests.examples.play.toy_environments import Corridor, Legacy
from vaeseq.errors import Stopped, UsageError
from vaeseq.examples.play import environment
from vaeseq.examples.play.environment import Environment


def test_old_and_new_gym_interfaces_behave_alike():
    old, new = Environment(Legacy()), Environment(Corridor())
    assert (old.observation_size, old.action_size) == (new.observation_size, new.action_size)
    np.testing.assert_array_equal(old.reset(7), new.reset(7))
    assert old.env.seeds == [7]
    for action in ([0, 1], [1, 0], [0, 1], [0, 1], [0, 1]):
        a, b = old.step(np.asarray(action)), new.step(np.asarray(action))
        assert a[1:] == b[1:] and a.observation == b.observation
    late = Environment(Legacy())
    late.reset(1)
    steps = [late.step(np.asarray([1, 0])) for _ in range(20)]
    assert steps[-1].truncated and not steps[-1].terminated


def test_an_environment_of_gym_is_the_one_of_gymnasium(player_for):
    pytest.importorskip("gym")
    assert "gym" in sys.modules
    old, new = environment.make("gym:CartPole-v1"), environment.make("CartPole-v1")
    assert old.threshold == new.threshold == 475 and old.discrete
    seen, other = old.reset(3), new.reset(3)
    assert seen.shape == other.shape == (4,)
    for _ in range(5):
        np.testing.assert_allclose(seen, other, atol=1e-6)
        seen, other = (x.step(np.asarray([0.0, 1.0])).observation for x in (old, new))
    player = player_for(old)
    train_steps(player, old, 0, 8)
    assert player.trained_steps == 8


def test_continuous_actions_are_scaled_to_their_bounds():
    pendulum = environment.make("Pendulum-v1")
    assert not pendulum.discrete and pendulum.threshold is None
    np.testing.assert_allclose(pendulum._native_action(np.asarray([3.0])), [2.0])
    np.testing.assert_allclose(pendulum._native_action(np.asarray([-0.5])), [-1.0])


@pytest.mark.parametrize(
    "name, message",
    [
        ("CartPol-v1", "did you mean 'CartPole-v"),
        ("no_such_module:Env-v0", "no_such_module"),
        ("gym:NoSuchGame-v0", "NoSuchGame|gym is not installed"),
    ],
)
def test_an_unknown_name_is_a_one_line_error_with_a_suggestion(name, message):
    with pytest.raises(UsageError, match=message) as error:
        environment.make(name)
    assert "\n" not in str(error.value)


def test_an_error_of_an_environment_is_one_line():
    class Broken(Corridor):
        def step(self, action):
            raise ValueError("\nno such action\nand a long explanation")

    broken = Environment(Broken())
    broken.reset(1)
    with pytest.raises(Stopped, match=r"Broken raised ValueError: no such action$"):
        broken.step(np.asarray([0, 1]))


def test_spaces_that_are_not_vectors_are_rejected():
    env = Corridor()
    env.action_space = spaces.Box(-np.inf, np.inf, [1])
    with pytest.raises(UsageError, match="supported: Discrete, bounded Box"):
        Environment(env)
    env = Corridor()
    env.observation_space = spaces.Sequence(spaces.Discrete(2))
    with pytest.raises(UsageError, match="does not flatten to a vector"):
        Environment(env)
    env.observation_space = spaces.Dict(a=spaces.Discrete(3), b=spaces.Box(0, 1, [2, 2]))
    assert Environment(env).observation_size == 7
