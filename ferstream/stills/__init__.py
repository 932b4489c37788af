"""Expressions of the faces in photographs."""
