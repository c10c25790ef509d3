"""Multinomial counts in bulk: probabilities, sizes and a stream go in, counts come out."""

from sim.multinomial.tally import multinomial_tally, narrow_tally

__all__ = ["multinomial_tally", "narrow_tally"]
