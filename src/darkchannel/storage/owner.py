"""Who holds a lease, and whether that process can still be alive."""

from __future__ import annotations

import os
import secrets
import socket
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


def new_owner() -> str:
    """A name for a lease of this process, unlike any other.

    ``host/boot/pid-namespace/pid/start/nonce``; the middle parts are ``-`` where the system
    does not tell them, and then nobody can judge from outside whether the process is alive.
    """
    pid = os.getpid()
    start = _started(pid)
    parts = (_host(), *_realm(), str(pid), start or "-", secrets.token_hex(6))
    return "/".join(parts)


def is_gone(owner: str) -> bool:
    """Whether the owner is a process of this very machine, boot and namespace that has ended.

    False whenever that cannot be known: its lease then has to expire.
    """
    parts = owner.split("/")
    if len(parts) != 6 or "-" in parts:
        return False
    host, boot, namespace, pid, start, _ = parts
    if (host, boot, namespace) != (_host(), *_realm()) or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    now_started = _started(int(pid))
    # None: alive by kill(), but its entry is hidden from us (hidepid).
    return now_started is not None and now_started != start


def _host() -> str:
    return socket.gethostname().replace("/", "_") or "-"


@cache
def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "-"


def _realm() -> tuple[str, str]:
    try:
        namespace = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        namespace = "-"
    return _boot(), namespace.replace("/", "_") or "-"


def _started(pid: int) -> str | None:
    """Start time in clock ticks since boot; "dead" for a zombie; None where unknown."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # proc_pid_stat(5): the name in parentheses may hold anything; state is field 3, start 22.
    fields = stat.rpartition(")")[2].split()
    return "dead" if fields[0] in {"Z", "X", "x"} else fields[19]
