"""What the commands `evaluate` share: a check of their size, and results as JSON."""

import json
import math
from collections.abc import Mapping

from vaeseq.errors import UsageError
from vaeseq.training import memory


def print_json(result: Mapping[str, object]) -> None:
    """Prints a result as one JSON object.

    Raises:
      UsageError: if a number is not finite, which JSON cannot represent.
    """
    for name, value in result.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(
                f"--log-dir: {name} is {value}: the weights of the run are so large that they "
                "overflow; train it again with a smaller learning_rate"
            )
    print(json.dumps(result, indent=2))


def check_particles(num_samples: int, time_steps: int, latent_size: int) -> None:
    """Checks that the latents of all particles fit into memory.

    Args:
      num_samples: the number of particles of each sequence.
      time_steps: the number of time steps that are scored together, of all sequences.
      latent_size: the number of latent units.

    Raises:
      UsageError: if they do not.
    """
    needed = 4.0 * num_samples * time_steps * latent_size
    memory.require(
        needed, f"--log-prob-samples: {num_samples} of {time_steps} time steps", "use fewer"
    )
