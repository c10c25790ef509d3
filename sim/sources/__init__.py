"""The shelf of sources: real-valued distributions; one file, one member."""
