"""The label of a track: its probabilities smoothed over time."""
