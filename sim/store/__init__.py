"""Rows to Parquet parts and back; a run's directory, its lock and its integrity."""
