"""What a batch may be."""

from typing import Any


def unpack(data: Any) -> tuple[Any, ...]:
    """A batch as Keras hands it over to (observed, inputs, lengths, state)."""
    if isinstance(data, tuple):  # (x,), or (x, None, None) from `train_on_batch`
        data = tuple(x for x in data if x is not None)
        data = data[0] if len(data) == 1 else data
    if not isinstance(data, dict) or "observed" not in data:
        return data, None, None, None
    names = ("observed", "inputs", "lengths", "state")
    unknown = data.keys() - set(names)
    if unknown:
        raise ValueError(f"a batch has {', '.join(names)}, not {sorted(unknown)}")
    return tuple(data.get(name) for name in names)
