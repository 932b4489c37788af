"""Classification of face crops: alignment, batching, model bundles and their backends."""
