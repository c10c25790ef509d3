"""The shelf of bags: every way that balls leave a bag; one file, one member."""
