"""Live control of a running pipeline from another terminal, over a Unix socket in its folder.

protocol    the lines that go to and fro
desk        what the run answers, and does when it is told
server      the socket
client      the other end, which `flux live` uses
"""
