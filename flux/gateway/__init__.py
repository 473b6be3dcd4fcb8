"""The demo target: an HTTP gateway that fans out over gRPC to three services, each a process.

This package imports nothing on its own, so that each of those processes loads only what it needs.
`process` opens a gateway for a run, `command` is `flux gateway`.
"""
