"""The ports of the embedded server: which are free, and whether it answers there.

A server has nine that are chosen, by the name of their option (``s3.port``, ``s3.port.grpc``,
``filer.port``, ...), and one that follows from another: see :func:`admin_grpc`.
"""

from __future__ import annotations

import socket

Ports = dict[str, int]

_GRPC_OFFSET = 10_000
_PAIRED = ("s3.port", "filer.port", "master.port", "volume.port")
PORT_NAMES = (*(f"{name}{suffix}" for name in _PAIRED for suffix in ("", ".grpc")), "admin.port")


def admin_grpc(ports: Ports) -> int:
    """The admin gRPC port: the server's own worker looks for it 10000 above the admin port."""
    return ports["admin.port"] + _GRPC_OFFSET


def port_numbers(ports: Ports) -> list[int]:
    """All ten of them."""
    return [*ports.values(), admin_grpc(ports)]


def choose_ports(preferred: Ports | None = None) -> Ports:
    """Ports for a server, by option: the preferred ones when all are free, else new ones.

    New ones lie below 32768, where Linux begins to hand out ports for outgoing connections:
    one that is remembered should still be free when the server comes back.
    """
    if preferred and _all_free(preferred):
        return preferred
    import secrets

    random = secrets.SystemRandom()
    while True:
        numbers = random.sample(range(12_000, 32_000), len(PORT_NAMES))
        ports = dict(zip(PORT_NAMES, numbers, strict=True))
        ports["admin.port"] = random.randrange(12_000, 22_000)
        if _all_free(ports):
            return ports


def _all_free(ports: Ports) -> bool:
    numbers = port_numbers(ports)
    return len(set(numbers)) == len(numbers) and all(map(_is_free, numbers))


def _is_free(port: int) -> bool:
    # The server refuses a port that is taken on any address, not only on 127.0.0.1.
    for address in ("127.0.0.1", ""):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((address, port))
                listener.listen(1)
            except (OSError, OverflowError):
                return False
    return True


def answers(port: int) -> bool:
    """Whether an S3 server on this port answers, and refuses a request without a signature."""
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    try:
        with socket.socket() as connection:
            connection.settimeout(1.0)
            connection.connect(("127.0.0.1", port))
            connection.sendall(request)
            return connection.recv(64).startswith(b"HTTP/1.1 403")
    except OSError:
        return False
