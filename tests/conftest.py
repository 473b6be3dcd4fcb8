"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says something about the machine, and nothing about flux.
settings.register_profile("flux", deadline=None)
settings.load_profile("flux")
