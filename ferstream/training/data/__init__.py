"""Labelled faces: reading them, finding faulty ones, selecting splits, and making training batches."""
