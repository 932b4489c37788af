"""Model files: the form that is served, bundles, other formats, and networks imported from other projects."""
