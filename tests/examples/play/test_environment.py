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


def test_a_reset_that_takes_any_keyword_gets_the_seed_unless_there_is_a_method_seed():
    class Keywords(Corridor):
        def reset(self, **kwargs):
            self.given = kwargs
            return super().reset(**kwargs)

    class LegacyKeywords(Legacy):
        def reset(self, **kwargs):
            assert not kwargs
            return super().reset()

    new, old = Environment(Keywords()), Environment(LegacyKeywords())
    new.reset(7)
    old.reset(7)
    assert new.env.given == {"seed": 7} and old.env.seeds == [7]


def test_continuous_actions_are_scaled_to_their_bounds():
    pendulum = environment.make("Pendulum-v1")
    assert not pendulum.discrete and pendulum.threshold is None
    np.testing.assert_allclose(pendulum._native_action(np.asarray([3.0])), [2.0])
    np.testing.assert_allclose(pendulum._native_action(np.asarray([-0.5])), [-1.0])


@pytest.mark.parametrize(
    "low, high, dtype", [(0, 1, np.int8), (-128, 127, np.int8), (3, 3, np.uint8), (0, 1, bool)]
)
def test_all_integers_of_a_box_are_equally_probable(low, high, dtype):
    env = Corridor()
    env.action_space = spaces.Box(low, high, [1], dtype)
    wrapped, bins = Environment(env), int(high) - int(low) + 1
    middles = (np.arange(bins) + 0.5) / bins * 2 - 1  # of equal parts of [-1, 1]
    natives = [wrapped._native_action(np.asarray([x], np.float32)) for x in middles]
    assert [int(x[0]) for x in natives] == list(range(low, high + 1))
    for edge, bound in ((-1, low), (1, high)):
        native = wrapped._native_action(np.asarray([edge], np.float32))
        assert native == bound and env.action_space.contains(native)


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


def test_a_name_that_is_right_is_not_corrected(monkeypatch):
    def fail(*args, **kwargs):
        raise ImportError("Box2D is not installed")

    monkeypatch.setattr(environment.gymnasium, "make", fail)
    for name in ("LunarLander-v3", "LunarLander"):
        with pytest.raises(UsageError, match=r"Box2D is not installed$"):
            environment.make(name)


def test_a_game_of_gym_is_not_taken_for_one_of_gymnasium():
    pytest.importorskip("gym")
    with pytest.raises(UsageError) as error:
        environment.make("gym:NoSuchGame-v0")
    assert "known" not in str(error.value) and "did you mean" not in str(error.value)


def test_an_error_of_an_environment_is_one_line():
    class Broken(Corridor):
        def step(self, action):
            raise ValueError("\nno such action\nand a long explanation")

    broken = Environment(Broken())
    broken.reset(1)
    with pytest.raises(Stopped, match=r"Broken raised ValueError: no such action$"):
        broken.step(np.asarray([0, 1]))


@pytest.mark.parametrize(
    "returned, message",
    [
        (([0.0], None, False, False, {}), "TypeError: .*NoneType"),
        (([0.0], 1.0, False), "ValueError: not enough values"),
        (None, "TypeError: .*NoneType"),
        (([0.0], 1.0, False, None), "AttributeError: 'NoneType'"),
        (([[1.0], [1.0, 2.0]], 1.0, False, False, {}), "ValueError: .*inhomogeneous"),
        ((["north"], 1.0, False, False, {}), "ValueError: could not convert"),
    ],
)
def test_values_that_cannot_be_used_are_one_line(returned, message):
    class Odd(Corridor):
        def step(self, action):
            return returned

    odd = Environment(Odd())
    odd.reset(1)
    with pytest.raises(Stopped, match=f"^Odd returned values that cannot be used: {message}") as e:
        odd.step(np.asarray([0, 1]))
    assert "\n" not in str(e.value)


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
