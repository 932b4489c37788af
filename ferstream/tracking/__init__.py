"""Tracking: the same face in consecutive frames gets the same id."""
