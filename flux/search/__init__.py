"""The search for capacity: the highest load at which a target still keeps what is asked of it.

bracket     which load to try next, and when to stop; pure
knob        which key of a pipeline sets its load
tries       what was tried, and how it went, in words
"""
