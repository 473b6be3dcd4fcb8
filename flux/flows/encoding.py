"""How the text of a value is written where it stands: in JSON, in a URL, in a form, in a header.

Every encoder but that of literal targets works character by character, so the encoding of a
concatenation is the concatenation of the encodings. That is what lets constant text be encoded
once and values be filled in afterwards.
"""

import json
import re
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import quote, quote_plus

Encode: TypeAlias = Callable[[str], bytes]

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET_SAFE = "!$&'()*+,;=:@/?%[]|"
"""What may stand in a path or query as it is; `%` because the author may have encoded already.
`[]|` are not in RFC 3986's list, but servers take them and people write them."""


def plain(text: str) -> bytes:
    """As it is, in UTF-8."""
    return text.encode()


def json_string(text: str) -> bytes:
    """The inside of a JSON string, without its quotes. Source: RFC 8259, section 7."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


def percent(text: str) -> bytes:
    """A part of a path or query: all but unreserved characters are percent-encoded.

    Source: RFC 3986, section 2.
    """
    return quote(text, safe="").encode()


def form(text: str) -> bytes:
    """A part of application/x-www-form-urlencoded. Source: WHATWG URL, section 5.2."""
    return quote_plus(text, safe="*").replace("~", "%7E").encode()


def target(text: str) -> bytes:
    """A path and query that a person wrote: only what cannot stand there is percent-encoded."""
    return quote(text, safe=_TARGET_SAFE).encode()


def fits_header(text: str) -> bool:
    """True when nothing in it would end the header line. Source: RFC 9110, section 5.5."""
    return _CONTROL.search(text) is None


def is_header_name(text: str) -> bool:
    """True for a token. Source: RFC 9110, section 5.6.2."""
    return _TOKEN.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """True when JSON may have it without quotes. Source: RFC 8259, section 6."""
    return _NUMBER.fullmatch(text) is not None


def is_encodable(text: str) -> bool:
    """False for a lone half of a surrogate pair, which JSON can name and UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
