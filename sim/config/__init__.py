"""YAML text goes in; an Experiment comes out, or every problem with its place."""
