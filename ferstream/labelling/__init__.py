"""Labels of faces and tracks: probabilities averaged over media time."""
