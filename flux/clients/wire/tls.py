"""TLS: the context of an https target from what the user says about trust."""

import ssl

import attrs


@attrs.frozen(kw_only=True)
class TlsOptions:
    """Whom to trust, and who we are."""

    verify: bool = True
    """Whether the certificate must be valid and for the right name."""
    ca_file: str | None = None
    """PEM file of the authorities to trust; None: the system's."""
    certificate_file: str | None = None
    """PEM file of our own certificate, when the server asks for one; may hold the key, too."""
    key_file: str | None = None
    """PEM file of our own key."""
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    resume: bool = True
    """Whether later connections resume the first one's TLS session."""


def make_context(options: TlsOptions) -> ssl.SSLContext:
    """A client context for HTTP/1.1.

    Raises:
        OSError: if a file cannot be read.
        ssl.SSLError: if a file is not PEM, or key and certificate do not match.
    """
    context = ssl.create_default_context(cafile=options.ca_file)
    context.minimum_version = options.minimum_version
    context.set_alpn_protocols(["http/1.1"])
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.certificate_file is not None:
        context.load_cert_chain(options.certificate_file, options.key_file)
    return context
