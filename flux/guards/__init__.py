"""Guards: what keeps a run from doing harm, or from going on when there is no use in it.

    breaker     [breaker]: what it looks at, and what it does; the keys
    circuit     its state machine: closed, open, half open, and back
    window      what ended in the last seconds
    budget      [budget]: what a run may spend
    watch       the stage that shows each request to breaker and budget, and acts on their word
    webhook     tells somebody else what the breaker does
    hosts       which hosts a run may talk to
    contacts    the same before a run: what stages say they talk to, and their names resolved
    drops       warns of arrivals that find no place
    manners     what all requests of a run have to keep to

All but `watch`, `webhook` and the resolving in `contacts` is arithmetic: no clock, no network.
"""
