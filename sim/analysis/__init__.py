"""Trials go in, batch by batch; summary and convergence come out. Compute only: no figures."""
