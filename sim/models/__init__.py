"""The shelf of models: distributions Q that a bag is compared with; one file, one member."""
