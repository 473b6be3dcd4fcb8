"""Flows: what a session does, knowing nothing of sockets.

A flow is compiled once into request plans; each session is a generator that yields what to do next
(`Send`, `Pause`, `End`) and is told what came of it. Clients drive it (`flux.clients`).
"""
