"""Parts of networks: layers, recurrences, nests of sequences."""
