"""Fitting a network to labelled faces: architectures, recipes, the training loop and its checkpoints."""
