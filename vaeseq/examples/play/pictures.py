"""Pictures of what a player has learned: predictions beside the truth, dreams beside episodes."""

import io
from collections.abc import Sequence

import numpy as np
import PIL.Image
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vaeseq.examples.play import imagination
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.episodes import Episode
from vaeseq.examples.play.imagination import Start, Trajectories
from vaeseq.examples.play.player import Player
from vaeseq.model.wiring import State

_MAX_VARIABLES = 4  # components of the observation that are plotted
_DREAMS = 16  # a prediction is the mean of these
_MAX_STEPS = 100  # of an episode that are plotted
_PREDICTIONS = 3
_FRAMES = 50
_SECONDS = 5.0  # duration of an animation


def predict(player: Player, episode: Episode, begin: int, steps: int) -> np.ndarray:
    """Predicts the observations that follow the actions of an episode.

    Args:
      player: predicts by the mean of samples from its world model.
      episode: gives the actions, and the observation at `begin`; no later one is used.
      begin: the first step.
      steps: the number of steps.

    Returns:
      Observations, [steps + 1, X].
    """
    world = player.world
    first = np.repeat(episode.observations[begin : begin + 1], _DREAMS, axis=0)
    actions = np.repeat(episode.actions[None, begin : begin + steps], _DREAMS, axis=0)
    state = State(tf.constant(first), world.core.initial_state(_DREAMS))
    (changes, *_), _ = world.extend(state, _DREAMS, steps, actions)
    after = first[:, None] + np.cumsum(changes * world.statistics.change_scale, axis=1)
    predicted: np.ndarray = np.concatenate([first[:, None], after], axis=1).mean(axis=0)
    return predicted


def dream(player: Player, episode: Episode) -> np.ndarray:
    """Returns observations [steps + 1, X] imagined from the first one of an episode."""
    steps = min(_MAX_STEPS, len(episode.rewards))

    @tf.function(autograph=False)
    def imagine(first: tf.Tensor) -> Trajectories:
        state = State(first, player.world.core.initial_state(1))
        start = Start(state, player.agent.initial_memory(1))
        return imagination.imagine(player.world, player.agent, start, steps, tf.constant([0, 1]))

    imagined: np.ndarray = imagine(tf.constant(episode.observations[:1])).observations[0].numpy()
    return imagined


def prediction(player: Player, episode: Episode) -> bytes:
    """Plots open-loop predictions from three steps of an episode, and their errors, as a PNG."""
    length = len(episode.rewards)
    steps = max(1, min(_MAX_STEPS, length) // _PREDICTIONS)
    begins = [i * steps for i in range(_PREDICTIONS) if (i + 1) * steps <= length]
    predicted = [predict(player, episode, begin, steps) for begin in begins]
    variables = min(_MAX_VARIABLES, episode.observations.shape[1])
    figure = Figure(figsize=(10, 1.6 * variables + 2.2), layout="constrained")
    *parts, last = figure.subplots(variables + 1, 1)
    for i, axes in enumerate(parts):
        axes.plot(episode.observations[: _PREDICTIONS * steps + 1, i], "k", label="game")
        for begin, observations in zip(begins, predicted, strict=True):
            label = None if begin else "prediction"
            ahead = np.arange(begin, begin + steps + 1)
            axes.plot(ahead, observations[:, i], "C1", label=label)
        axes.set(ylabel=f"observation {i + 1}")
    parts[0].legend(loc="upper left")
    truths = [episode.observations[begin : begin + steps + 1] for begin in begins]
    _plot_errors(last, predicted, truths, player.world.statistics.scale.numpy())
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return file.getvalue()


def _plot_errors(
    axes: Axes, predicted: Sequence[np.ndarray], truths: Sequence[np.ndarray], scale: np.ndarray
) -> None:
    """Plots the errors by steps ahead, beside those of predicting no change."""
    unchanged = [np.repeat(truth[:1], len(truth), axis=0) for truth in truths]
    for label, colour, guesses in (
        ("prediction", "C1", predicted),
        ("no change", "C7", unchanged),
    ):
        error = (np.asarray(guesses) - np.asarray(truths)) / scale
        axes.plot(np.sqrt(np.mean(error**2, axis=(0, 2))), colour, label=label)
    axes.set(xlabel="moves ahead", ylabel="error / std. dev.")
    axes.legend(loc="upper left")


def reality_beside_dream(player: Player, episode: Episode) -> bytes:
    """Renders an episode and one imagined from the same first observation as a GIF."""
    both = {"game": episode.observations[: _MAX_STEPS + 1], "dream": dream(player, episode)}
    both = {title: observations[:, :_MAX_VARIABLES] for title, observations in both.items()}
    steps = len(both["game"])
    figure = Figure(figsize=(8, 3), layout="constrained")
    finite = np.concatenate([x[np.isfinite(x)] for x in both.values()])
    low, high = finite.min(), finite.max()
    lines = []
    for axes, (title, observations) in zip(figure.subplots(1, 2), both.items(), strict=True):
        axes.set(title=title, xlabel="moves", xlim=(0, steps), ylim=(low, high))
        lines += [(axes.plot([], [])[0], values) for values in observations.T]
    canvas, frames = FigureCanvasAgg(figure), []
    canvas.draw()
    figure.set_layout_engine("none")  # the layout is the same in all frames
    for end in np.linspace(1, steps, _FRAMES).astype(int):
        for line, values in lines:
            line.set_data(np.arange(min(end, len(values))), values[:end])
        canvas.draw()
        frames.append(np.array(canvas.buffer_rgba())[..., :3])  # a copy
    return gif(frames, _SECONDS)


class Film:
    """The pictures of a game. Those of a long game are every second, fourth, ... frame.

    Args:
      max_frames: the most pictures that it keeps; the default takes 0.7 GB at 600 x 400 pixels.
    """

    def __init__(self, max_frames: int = 1000):
        self._max_frames, self._every, self._steps = max_frames, 1, 0
        self._frames: list[np.ndarray] = []

    def record(self, environment: Environment) -> None:
        """Renders the current state, if it is one of those that the film shows."""
        if self._steps % self._every == 0:
            self._frames.append(environment.render())
        self._steps += 1
        if len(self._frames) > self._max_frames:
            del self._frames[1::2]
            self._every *= 2

    def gif(self, frames_per_second: float) -> bytes:
        """Returns a GIF that lasts as long as the game, whatever it leaves out."""
        return gif(self._frames, self._steps / frames_per_second)


def gif(frames: Sequence[np.ndarray], seconds: float) -> bytes:
    """Returns frames, uint8 [height, width, 3], as an animated GIF of the given duration."""
    images = (PIL.Image.fromarray(np.ascontiguousarray(frame)) for frame in frames)  # one at a time
    file = io.BytesIO()
    duration = max(20, round(1000 * seconds / len(frames)))
    next(images).save(
        file, format="GIF", save_all=True, append_images=images, duration=duration, loop=0
    )
    return file.getvalue()
