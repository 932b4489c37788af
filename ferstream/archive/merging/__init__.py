"""Results become events, tables and a summary, in order."""
