"""Neural network parts without a model: layers, recurrences, operations on nests of sequences."""
