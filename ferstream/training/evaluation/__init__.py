"""Measuring a finished classifier: scores, calibration, cost per face, and pictures of the results."""
