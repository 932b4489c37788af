"""Labelled faces: reading, augmenting, batching."""
