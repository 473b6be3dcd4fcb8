"""Listening sockets of a target on several cores: each connection is served where it was made.

By default the kernel shares connections out by a hash, so that half of all packets wake a worker on
another core. A target on a machine of its own costs a generator nothing of the kind. With a filter
on the group of sockets (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5) the core that a connection comes from
decides which socket gets it, and so which worker.
"""

import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterator

_SO_ATTACH_REUSEPORT_CBPF = 51  # asm-generic/socket.h; the socket module has no name for it
_BACKLOG = 16384

# Classic BPF (linux/filter.h): operation, jump if true, jump if not, operand.
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_CURRENT_CPU = 0xFFFFF000 + 36  # SKF_AD_OFF + SKF_AD_CPU


@contextlib.contextmanager
def open_listeners(cores: tuple[int, ...]) -> Iterator[list[socket.socket]]:
    """A socket per core on one free loopback port, listening; the k-th is for the k-th core.

    Raises:
        OSError: the kernel does not take the filter.
    """
    with contextlib.ExitStack() as stack:
        listeners: list[socket.socket] = []
        for _ in cores:
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(listeners[0].getsockname() if listeners else ("127.0.0.1", 0))
            one.setblocking(False)  # else a target that takes one connection too many would hang
            one.listen(_BACKLOG)
            listeners.append(one)
        _attach(listeners[0], _by_core(cores))
        yield listeners


def _by_core(cores: tuple[int, ...]) -> bytes:
    """A filter that returns the place of the current core in `cores`, 0 for any other."""
    program = _INSTRUCTION.pack(_LOAD_WORD, 0, 0, _CURRENT_CPU)
    for place, core in enumerate(cores):
        program += _INSTRUCTION.pack(_JUMP_IF_EQUAL, 0, 1, core)
        program += _INSTRUCTION.pack(_RETURN, 0, 0, place)
    return program + _INSTRUCTION.pack(_RETURN, 0, 0, 0)


def _attach(listener: socket.socket, program: bytes) -> None:
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are.
    described = struct.pack(
        "@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(instructions)
    )
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, described)
