"""Runs of flux under faults: targets that are killed, restarted and frozen, and runs that are cut.

server    the target, a process that can be killed: started fast, answers in many ways
target    starts, kills, freezes it
case      a random pipeline and random faults, from a seed: pure
laws      what must hold of every run, whatever happened: pure, from the files it left
running   runs cases, several at once
"""
