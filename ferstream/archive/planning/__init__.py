"""Which recordings an archive has, and where they are cut."""
