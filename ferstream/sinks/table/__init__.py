"""Events as flat tables: CSV and Parquet files with one row for each face event, and a second file for the changes of tracks."""
