"""Music: piano rolls of MIDI files."""
