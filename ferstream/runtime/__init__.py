"""Generic concurrency: channels, stages, supervision, waiting. Knows nothing of faces."""
