"""Where events go: one file or folder a sink."""
