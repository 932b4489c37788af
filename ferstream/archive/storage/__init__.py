"""Where the files of an archive and its recordings are: folders, and objects of a store such as S3."""
