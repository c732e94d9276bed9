#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""transfer.py: bytes over one TCP connection, every one of which is checked at its end.

usage: transfer.py receive ADDRESS [unchecked]
       transfer.py send ADDRESS SECONDS [unchecked]

Both print how many bytes there were, and their hash, unless they are not to be checked: a hash takes
most of a slow processor's time.
"""
import hashlib
import socket
import sys
import time

PORT = 7777


class NoHash:
    """Stands for a hash where nothing is checked."""

    def update(self, data):
        pass

    @staticmethod
    def hexdigest():
        return 'unchecked'


def receive(address, digest):
    listener = socket.create_server((address, PORT))
    listener.settimeout(60)
    connection = listener.accept()[0]
    connection.settimeout(60)
    size, buffer = 0, memoryview(bytearray(1 << 18))
    while True:
        count = connection.recv_into(buffer)
        if count == 0:
            return size
        digest.update(buffer[:count])
        size += count


def send(address, seconds, digest):
    connection = socket.create_connection((address, PORT), timeout=60)
    size, number = 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = number.to_bytes(8, 'little') * 8192
        connection.sendall(data)
        digest.update(data)
        size += len(data)
        number += 1
    connection.close()
    return size


if __name__ == '__main__':
    sha = NoHash() if sys.argv[-1] == 'unchecked' else hashlib.sha256()
    if sys.argv[1] == 'receive':
        total = receive(sys.argv[2], sha)
    else:
        total = send(sys.argv[2], float(sys.argv[3]), sha)
    print(f'{total} bytes {sha.hexdigest()}')
