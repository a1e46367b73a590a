"""Results of several random seeds as text."""

import statistics


def mean_and_range(values):
    """Returns text: the mean, and the least and the greatest value."""
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
