"""Which worker does what next, and what is done again. Values and pure state: no threads, no clock, no files."""
