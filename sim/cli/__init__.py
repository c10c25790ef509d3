"""The command `klsim`: one verb a file; the only place that prints."""
