"""Runs that were made: finding them, what became of them, watching them, mending them.

folders    a run's folder, its files, and what became of the run
listing    a line about each run
following  a run that goes on, as it is written
repair     a result made from the rows of a run that was killed
"""
