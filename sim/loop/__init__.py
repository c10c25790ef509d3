"""The loop: which blocks are computed, by whom, and when there are enough."""
