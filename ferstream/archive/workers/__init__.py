"""Who analyses chunks: the pipeline of ``replay`` with a recorder, in processes of this machine or of a Ray cluster."""
