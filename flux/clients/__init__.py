"""Clients: what turns a flow's requests into traffic, and the one seam they share.

A client is driven by `drive(work)`: it takes the due sessions from an inbox, keeps the limits, lets
each session's flow say what to do, and records one OUTCOME row per request. `flux.clients.tasks`
does so with one trio task per session over any `Exchange`; the wire client has a loop of its own.
"""
