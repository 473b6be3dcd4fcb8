"""The built-in stages, one per file, named as in TOML.

They register through the entry-point group `flux.stages` like any plug-in, and import only what a
plug-in may import.
"""
