"""From a pipeline file to checked settings: read, locate, convert, report every problem at once."""
