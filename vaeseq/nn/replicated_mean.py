"""A metric that several replicas update with equal values."""

import keras


class ReplicatedMean(keras.metrics.Mean):
    """A mean of values that are equal on all replicas, each of which keeps its own copy."""

    def add_variable(
        self,
        shape: tuple[int, ...],
        initializer: keras.initializers.Initializer | str,
        dtype: str | None = None,
        aggregation: str = "only_first_replica",
        name: str | None = None,
    ) -> keras.Variable:
        """Adds a variable as Keras does, but never sums it over the replicas."""
        return super().add_variable(shape, initializer, dtype, "only_first_replica", name)
