"""What the player has learned, to be seen: predictions beside the truth, dreams beside games."""

import io
from typing import Any

import numpy as np
import PIL.Image
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vaeseq.examples.play import imagination
from vaeseq.examples.play.episodes import Record
from vaeseq.examples.play.imagination import Start
from vaeseq.examples.play.player import Player
from vaeseq.model.base import State

_MOST_LINES = 4  # observations that are drawn
_DREAMS = 16  # of which the prediction is the mean
_MOVES = 100  # of a game, at most
_FRAMES = 50
_SECONDS = 5.0  # of an animation


def predict(player: Player, record: Record, begin: int, moves: int) -> np.ndarray:
    """What the world model makes of the actions of a game: observations [moves + 1, X].

    It sees the observation at `begin`, none after it: the mean of some dreams.
    """
    world = player.world
    first = np.repeat(record.observations[begin : begin + 1], _DREAMS, axis=0)
    actions = np.repeat(record.actions[None, begin : begin + moves], _DREAMS, axis=0)
    state = State(tf.constant(first), world.core.initial_state(_DREAMS))
    (changes, *_), _ = world.extend(state, _DREAMS, moves, actions)
    after = first[:, None] + np.cumsum(changes * world.units.change, axis=1)
    return np.concatenate([first[:, None], after], axis=1).mean(axis=0)


def dream(player: Player, record: Record) -> np.ndarray:
    """A game that the agent plays in the world model, from a real beginning: [moves + 1, X]."""
    state = State(tf.constant(record.observations[:1]), player.world.core.initial_state(1))
    start = Start(state, player.agent.initial_memory(1))
    moves = min(_MOVES, len(record.rewards))
    dreamt = imagination.imagine(player.world, player.agent, start, moves, tf.constant([0, 1]))
    return dreamt.observations[0].numpy()


def prediction(player: Player, record: Record) -> bytes:
    """A PNG: open-loop predictions from three places of a game, and how far off they are."""
    length = len(record.rewards)
    moves = max(1, min(_MOVES, length) // 3)
    begins = [i * moves for i in range(3) if (i + 1) * moves <= length]
    predicted = [predict(player, record, begin, moves) for begin in begins]
    lines = min(_MOST_LINES, record.observations.shape[1])
    figure = Figure(figsize=(10, 1.6 * lines + 2.2), layout="constrained")
    *parts, last = figure.subplots(lines + 1, 1)
    for i, axes in enumerate(parts):
        axes.plot(record.observations[: 3 * moves + 1, i], "k", label="game")
        for begin, seen in zip(begins, predicted, strict=True):
            label = None if begin else "prediction"
            axes.plot(np.arange(begin, begin + moves + 1), seen[:, i], "C1", label=label)
        axes.set(ylabel=f"observation {i + 1}")
    parts[0].legend(loc="upper left")
    truths = [record.observations[begin : begin + moves + 1] for begin in begins]
    scale = player.world.units.scale.numpy()

    def error(guesses: list[np.ndarray]) -> np.ndarray:
        pairs = zip(guesses, truths, strict=True)
        squares = [np.mean(((guess - truth) / scale) ** 2, axis=-1) for guess, truth in pairs]
        return np.sqrt(np.mean(squares, axis=0))

    last.plot(error(predicted), "C1", label="prediction")
    last.plot(error([np.repeat(x[:1], len(x), axis=0) for x in truths]), "C7", label="no change")
    last.set(xlabel="moves ahead", ylabel="error, deviations")
    last.legend(loc="upper left")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()


def reality_beside_dream(player: Player, record: Record) -> bytes:
    """A GIF: a real game, and one that is dreamt from the same beginning."""
    both = {"game": record.observations[: _MOVES + 1], "dream": dream(player, record)}
    figure = Figure(figsize=(8, 3), layout="constrained")
    lines: list[tuple[Any, np.ndarray]] = []
    low, high = (f([f(x) for x in both.values()]) for f in (np.min, np.max))
    for axes, (title, seen) in zip(figure.subplots(1, 2), both.items(), strict=True):
        axes.set(title=title, xlabel="moves", xlim=(0, len(both["game"])), ylim=(low, high))
        for values in seen.T[:_MOST_LINES]:
            lines.append((axes.plot([], [])[0], values))
    canvas, frames = FigureCanvasAgg(figure), []
    for end in np.linspace(1, len(both["game"]), _FRAMES).astype(int):
        for line, values in lines:
            line.set_data(np.arange(min(end, len(values))), values[:end])
        canvas.draw()
        frames.append(np.array(canvas.buffer_rgba())[..., :3])  # a copy
    return gif(frames, _SECONDS)


def gif(frames: list[np.ndarray], seconds: float) -> bytes:
    """An animation of pictures uint8 [height, width, 3]."""
    images = [PIL.Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    file = io.BytesIO()
    duration = max(20, round(1000 * seconds / len(images)))
    images[0].save(
        file, format="GIF", save_all=True, append_images=images[1:], duration=duration, loop=0
    )
    return file.getvalue()
