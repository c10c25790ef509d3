"""The shelf of estimators: ways to estimate a divergence from counts; one file, one member."""
