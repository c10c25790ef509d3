"""How fast klsim is, as a ratio to what one would write instead; see README.md."""
