"""Values that flow through the pipeline: no threads, no input or output, no vendor types."""
