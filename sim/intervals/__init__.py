"""The shelf of intervals: what an estimate says of its own error; one file, one member."""
