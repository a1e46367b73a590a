"""Tiny players from the pool, and steps of their training."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from vaeseq.examples.play import pictures
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.player import Player
from vaeseq.examples.play.replay import Transitions
from vaeseq.training.loop import batches_by_step

TINY = PlayHParams(
    rnn_hidden_sizes=(8,),
    obs_encoder_fc_layers=(8,),
    obs_decoder_fc_hidden_layers=(8,),
    latent_decoder_fc_layers=(8,),
    latent_size=2,
    policy_fc_layers=(8,),
    batch_size=6,
    sequence_size=5,
    random_steps=8,
    replay_steps=64,
    imagined_games=16,
    horizon=4,
    evaluate_games=3,
    confirm_games=4,
    evaluate_every=10,
    update_every=1000,  # most tests only collect: tracing the updates takes seconds
)
LEARNING = TINY.replace(update_every=1)


@pytest.fixture
def without_pictures(monkeypatch):
    """Replaces the pictures, which take seconds, by one pixel."""
    file = io.BytesIO()
    PIL.Image.new("RGB", (1, 1)).save(file, "png")
    for name in ("prediction", "reality_beside_dream"):
        monkeypatch.setattr(pictures, name, lambda player, episode: file.getvalue())


@pytest.fixture
def player_for(pooled):
    """Returns a compiled player for an environment."""

    def take(environment, hparams=TINY, seed=1):
        sizes = environment.observation_size, environment.action_size
        return pooled(Player, hparams, *sizes, environment.discrete, seed=seed)

    return take


def train_steps(player, environment, start, stop):
    """Trains for the steps start + 1 to stop; returns the rows of the replay buffer."""
    player.train_in(environment)
    player.fit(
        batches_by_step(lambda step: np.asarray([step]), start, stop), shuffle=False, verbose=0
    )
    return replayed(player)


def replayed(player):
    """Returns the rows of the replay buffer as arrays."""
    count = int(player.replay.count.numpy())
    numbers = np.arange(max(0, count - player.replay.capacity), count)
    return Transitions(*(x.numpy() for x in player.replay.gather(tf.constant(numbers))))
