"""The wire client: HTTP/1.1 at the speed of clients written in C.

    drive         the seam: a `Work` is done
    settings      where a target is and how to connect
    loop          rounds of waiting and handling, and the theory of operation
    sessions      what sessions ask for, done
    models        when sessions start
    visit         a session under way
    pool          the connections to one origin
    opening       connecting, and the TLS handshake
    connection    an open connection: requests out, responses in
    encode        requests as bytes
    heads         response heads that were seen before
    response      the general way of reading responses

and decode, cookies, redirects, errors, resolve, poller, deadlines, which say what they are.
"""

from flux.clients.wire.drive import drive
from flux.clients.wire.settings import Origin, WireSettings

__all__ = ["Origin", "WireSettings", "drive"]
