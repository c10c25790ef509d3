"""Answers at once: how much is noise, and how many draws are enough."""
