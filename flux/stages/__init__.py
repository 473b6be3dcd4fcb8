"""The built-in stages, one per file, named as in TOML.

They register through the entry-point group `flux.stages` like any plug-in, and are loaded, checked
and blamed as one is.
"""
