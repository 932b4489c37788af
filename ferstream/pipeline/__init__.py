"""The stages joined into one pipeline."""
