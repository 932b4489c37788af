"""The composition root: settings become adapters, adapters become a pipeline; signals end it.

The only package that knows both the settings and the adapters.
"""
