"""The run of an archive: from its plan to results that are complete and fit together."""
