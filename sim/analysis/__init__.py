"""Trials go in, batch by batch; the tables of the analysis come out. Compute only: no figures."""
