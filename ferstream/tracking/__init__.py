"""Which face is which over time, and what it resembles over time."""
