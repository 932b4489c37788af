"""ferstream: real-time facial expression events from cameras and recordings."""

__version__ = "0.1.0"
