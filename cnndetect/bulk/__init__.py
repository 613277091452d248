"""Bulk scoring: folders, tars, Parquet files and object stores, on one machine or on a Ray cluster, into Parquet files."""
