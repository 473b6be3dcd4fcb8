"""The search for capacity: the highest rate at which a target still keeps what is asked of it.

bracket     which rate to try next, and when to stop; pure
"""
