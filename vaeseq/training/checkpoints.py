"""The checkpoints of a run.

checkpoints/step-*.safetensors    the newest, for resuming: weights, optimizer, metrics, step
checkpoints/best.safetensors      the weights with the best validation metric
checkpoints/final.safetensors     the weights at the end of training, if they are better than those
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from absl import logging

from vaeseq.errors import UsageError
from vaeseq.training import checkpoint_file, private_api
from vaeseq.training.files import Folder
from vaeseq.training.trainable import Trainable, Variable

_BEST, _FINAL = "checkpoints/best.safetensors", "checkpoints/final.safetensors"
_NUMBERED = re.compile(r"checkpoints/step-(\d{9,15})\.safetensors")
_CLOCK: checkpoint_file.Shapes = {"run/step": ((), "int64"), "run/seconds": ((), "float64")}

Variables: TypeAlias = Mapping[str, Variable]
"""Variables by their names in a checkpoint."""


class CheckpointStore:
    """Saves and restores a model in the directory of a run.

    A checkpoint is the state right after a step, before any report on it.

    Attributes:
      keep: the number of newest checkpoints to keep, beside the best.
      seconds: the training time so far, which checkpoints store.

    Raises:
      ValueError: if none would be kept.
    """

    def __init__(self, folder: Folder, keep: int):
        if keep < 1:
            raise ValueError(f"keep must be at least 1, but is {keep}")
        self._folder, self.keep, self.seconds = folder, keep, 0.0

    def save(self, model: Trainable) -> None:
        """Writes a checkpoint of the model's step, and removes all but the newest."""
        self._save(_numbered(model.trained_steps), training_variables(model), model)
        for step in self._steps()[self.keep :]:
            self._folder.file(_numbered(step)).unlink()

    def save_best(self, model: Trainable, final: bool = False) -> None:
        """Writes the weights as the best ones.

        Args:
          model: the model.
          final: whether to keep them apart, because this report is made only at the end of
            training and is taken back on resuming; see `remove_final`.
        """
        self._save(_FINAL if final else _BEST, weights(model), model)

    def remove_final(self) -> None:
        """Removes weights that were the best only because the training ended there."""
        self._folder.file(_FINAL).unlink(missing_ok=True)

    def restore_latest(self, model: Trainable) -> int:
        """Restores a compiled model from the newest valid checkpoint.

        Invalid checkpoints that are newer are renamed, so that a later call does not read them.

        Returns:
          The step of the checkpoint, 0 if there is none.

        Raises:
          UsageError: if there are checkpoints, but none is valid.
        """
        self._warn_of_foreign_files()
        invalid: dict[Path, checkpoint_file.Invalid] = {}
        for step in self._steps():
            path = self._folder.file(_numbered(step))
            try:
                self.seconds = _load_numbered(path, step, training_variables(model))
            except checkpoint_file.Invalid as error:
                logging.warning("passed over %s: %s", path, error)
                invalid[path] = error
                continue
            for other in invalid:
                other.replace(other.with_suffix(".invalid"))
            return step
        if invalid:
            raise UsageError(
                f"--log-dir: no checkpoint in {self._folder.path} is valid: "
                f"{next(iter(invalid.values()))}; remove its folder `checkpoints` to start again"
            )
        return 0

    def restore(self, model: Trainable, step: int) -> None:
        """Restores a compiled model from the checkpoint of a step; step 0 changes nothing.

        Raises:
          UsageError: if the checkpoint is not valid.
        """
        if step:
            path = self._folder.file(_numbered(step))
            try:
                _load(path, training_variables(model))
            except checkpoint_file.Invalid as error:
                raise UsageError(f"--log-dir: cannot read {path}: {error}") from error

    def restore_best(self, model: Trainable) -> int:
        """Restores the best weights, or the newest if those are missing or damaged.

        Returns:
          The step of the weights.

        Raises:
          UsageError: if there is no valid checkpoint.
        """
        for name in (_FINAL, _BEST, *map(_numbered, self._steps())):
            path = self._folder.file(name)
            try:
                if path.exists():
                    return int(_load(path, weights(model))["run/step"])
            except checkpoint_file.Invalid as error:
                logging.warning("passed over %s: %s", path, error)
        raise UsageError(f"--log-dir: {self._folder.path} has no valid checkpoint; train it first")

    def best_is_valid(self, model: Trainable) -> bool:
        """Returns whether the best checkpoint exists and can be read."""
        try:
            checkpoint_file.load(self._folder.file(_BEST), _shapes(weights(model)))
        except checkpoint_file.Invalid:
            return False
        return True

    def newest_step(self) -> int:
        """Returns the step of the newest checkpoint, 0 if there is none."""
        return max(self._steps(), default=0)

    def _save(self, name: str, variables: Variables, model: Trainable) -> None:
        arrays = {key: np.asarray(x.numpy()) for key, x in variables.items()}
        clock = {
            "run/step": np.asarray(model.trained_steps, np.int64),
            "run/seconds": np.asarray(self.seconds, np.float64),
        }
        checkpoint_file.save(self._folder.file(name), arrays | clock)

    def _steps(self) -> list[int]:
        """Returns the steps of the checkpoints, newest first."""
        matches = [_NUMBERED.fullmatch(name) for name in self._names()]
        return sorted((int(match[1]) for match in matches if match), reverse=True)

    def _names(self) -> list[str]:
        folder = self._folder.path / "checkpoints"
        return sorted(f"checkpoints/{path.name}" for path in folder.glob("*"))

    def _warn_of_foreign_files(self) -> None:
        for name in self._names():
            own = _NUMBERED.fullmatch(name) or name in (_BEST, _FINAL) or name.endswith(".invalid")
            if not own:
                path = self._folder.path / name
                logging.warning("passed over %s: not the name of a checkpoint", path)


def weights(model: Trainable) -> dict[str, Variable]:
    """Returns the weights by number and name: Keras's names alone are not unique."""
    return {f"model/{i:03d}/{weight.name}": weight for i, weight in enumerate(model.weights)}


def training_variables(model: Trainable) -> dict[str, Variable]:
    """Returns all variables that a training step changes."""
    groups: Mapping[str, Sequence[Variable]] = model.training_state
    return weights(model) | {
        f"{group}/{i:03d}": x for group, members in groups.items() for i, x in enumerate(members)
    }


def upgrades(variables: Variables) -> checkpoint_file.Upgrades:
    """Returns the conversions of arrays of format 1.

    A variable declares its conversion by the attribute `from_format_1`. The conversion also applies
    to the variables that an optimizer keeps for it.
    """
    found = {}
    for name, variable in variables.items():
        convert = getattr(variable, "from_format_1", None)
        if convert is None:
            owner = private_api.slot_owner(variable, variables.values())
            convert = getattr(owner, "from_format_1", None)
        if convert is not None:
            found[name] = convert
    return found


def _numbered(step: int) -> str:
    return f"checkpoints/step-{step:09d}.safetensors"


def _shapes(variables: Variables) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (tuple(x.shape), x.dtype) for name, x in variables.items()}


def _load_numbered(path: Path, step: int, variables: Variables) -> float:
    """Loads a checkpoint for resuming; returns the training time it stores, in seconds."""
    clock = _load(path, variables)
    if clock["run/step"] != step:
        raise checkpoint_file.Invalid(f"it is of step {clock['run/step']}")
    return float(clock["run/seconds"])


def _load(path: Path, variables: Variables) -> dict[str, np.ndarray]:
    """Assigns the values in a checkpoint to variables, all or none; returns its clock."""
    shapes = {**_shapes(variables), **_CLOCK}
    arrays = checkpoint_file.load(path, shapes, upgrades(variables))
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return {name: arrays[name] for name in _CLOCK}
