"""The replay buffer and what collecting writes into it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.examples.play.conftest import replayed, train_steps
from tests.examples.play.toy_environments import Broken, Corridor, Unrepeatable
from vaeseq.errors import Stopped
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.replay import TRANSITION_DTYPES, Replay, Transitions


def test_each_row_has_the_action_that_led_to_it_and_the_outcome(player_for):
    environment = Environment(Corridor(2))
    rows = train_steps(player_for(environment), environment, 0, 30)
    positions = rows.observation[:, 0]
    for row in range(1, len(positions)):
        if rows.episode_start[row] == row:
            assert positions[row] == 0 and rows.reward[row] == 0 and not rows.action[row].any()
            assert rows.terminated[row - 1] or rows.truncated[row - 1]
        else:
            right = np.argmax(rows.action[row]) == 1
            assert positions[row] == max(0, positions[row - 1] + (1 if right else -1))
            assert rows.reward[row] == rows.terminated[row] == (positions[row] == 2)
            assert rows.episode_start[row] == rows.episode_start[row - 1]
    assert rows.terminated.any()


def test_windows_stay_in_one_episode_and_cover_every_transition():
    replay = Replay(7, 1, 1)
    starts = [0, 0, 0, 3, 3, 5, 5, 5, 5]  # the first two rows are overwritten
    for number, start in enumerate(starts):
        row = ([[number]], [[number]], [number], [False], [False], [start])
        pairs = zip(row, TRANSITION_DTYPES, strict=True)
        replay.append(Transitions(*(np.asarray(x, dtype) for x, dtype in pairs)))
    first, transitions, lengths = replay.sample_windows(4000, 3, tf.constant([1, 2]))
    first, inside = first.reward.numpy().astype(int), transitions.reward.numpy().astype(int)
    sampled = set()
    for begin, row, length in zip(first, inside, lengths.numpy(), strict=True):
        assert 1 <= length <= 3 and begin >= 2
        assert row[:length].tolist() == list(range(begin + 1, begin + 1 + length))
        assert len({starts[i] for i in (begin, *row[:length])}) == 1
        if length < 3:
            end = begin + length + 1
            assert end == len(starts) or starts[end] == end
        sampled.update(row[:length].tolist())
    assert sampled == {4, 6, 7, 8}


@pytest.mark.parametrize(
    "how, message",
    [
        ("raises", "ZeroDivisionError: the floor"),
        ("nan", "not finite"),
        ("shape", r"\(2,\)"),
        ("reward", "reward of inf"),
    ],
)
def test_an_error_of_the_environment_names_it_and_the_step(how, message, player_for):
    environment = Environment(Broken(how))
    player = player_for(environment)
    with pytest.raises(Stopped, match=f"step 7: Broken .*{message}"):
        train_steps(player, environment, 0, 30)
    assert player.trained_steps == 6, "the steps before the error are kept"


def test_an_environment_that_does_not_repeat_begins_a_new_episode(player_for, caplog):
    environment = Environment(Unrepeatable(length=9))
    player = player_for(environment)
    train_steps(player, environment, 0, 3)
    train_steps(player, environment, 3, 5)
    assert "Unrepeatable does not repeat with the same seed" in caplog.text
    assert replayed(player).episode_start.tolist() == [0, 0, 0, 0, 4, 4, 4]
