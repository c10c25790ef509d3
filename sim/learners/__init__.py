"""The shelf of learners: ways to learn a distribution from counts; one file, one member."""
