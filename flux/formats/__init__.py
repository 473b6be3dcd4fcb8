"""The formats of other tools: writing them from a run, and reading them into one structure."""
