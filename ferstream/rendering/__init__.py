"""Recordings as videos with what was found in them drawn in, or with their faces hidden."""
