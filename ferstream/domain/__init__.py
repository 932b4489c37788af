"""Values that flow through the pipeline, and the Protocols that rooms share. No threads, no input or output, no vendor types."""
