"""Runs a program as systemd would with the unit's filters: sandbox.py ALLOWED FAMILIES UID COMMAND...

ALLOWED is a file with a system call a line (SystemCallFilter), FAMILIES a list such as AF_INET,AF_UNIX
(RestrictAddressFamilies). What is refused gets EPERM, as SystemCallErrorNumber says. New namespaces
are refused as RestrictNamespaces does: clone3, whose flags a filter cannot see, is not there.
"""

import errno
import os
import socket
import sys

import pyseccomp as seccomp

NAMESPACES = [0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]

allowed_file, families, uid, *command = sys.argv[1:]
with open(allowed_file) as lines:
    allowed = {line.strip() for line in lines}

sandbox = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
for name in sorted(allowed - {"socket", "clone", "clone3", "unshare", "setns"}):
    try:
        sandbox.add_rule(seccomp.ALLOW, name)
    except (RuntimeError, OSError, ValueError):
        pass  # A call of another machine.
for family in families.split(","):
    sandbox.add_rule(seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, getattr(socket, family)))
every = 0
for flag in NAMESPACES:
    every |= flag
sandbox.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, every, 0))
sandbox.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")

os.setgroups([])
os.setgid(int(uid))
os.setuid(int(uid))
sandbox.load()  # Sets no-new-privileges too.
os.execvp(command[0], command)
