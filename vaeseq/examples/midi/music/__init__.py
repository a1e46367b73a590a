"""Music without TensorFlow: MIDI files, piano rolls, melodies, pictures and sound."""
