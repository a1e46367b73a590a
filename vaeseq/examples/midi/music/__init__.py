"""Music without TensorFlow."""
