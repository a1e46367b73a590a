"""The results of a command as JSON."""

import json
import math
from collections.abc import Mapping

from vaeseq.errors import UsageError


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
