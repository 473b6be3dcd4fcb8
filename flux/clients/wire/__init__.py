"""The wire client: HTTP/1.1 at the speed of clients written in C.

settings      where the target is and how to connect
drive         the seam: a `Work` is done
loop          the hot path, and the theory of operation
models        when sessions start
visit         a session under way
connection    a state machine per connection
pool          the connections to one origin
encode        requests as bytes
heads         response heads that were seen before
response      the general way of reading responses
decode, cookies, redirects, errors, resolve, poller, deadlines
"""

from flux.clients.wire.drive import drive
from flux.clients.wire.settings import Origin, WireSettings

__all__ = ["Origin", "WireSettings", "drive"]
