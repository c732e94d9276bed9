#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""transfer.py: bytes over one TCP connection, every one of which is checked at its end.

usage: transfer.py receive ADDRESS
       transfer.py send ADDRESS SECONDS

Both print how many bytes there were, and their hash.
"""
import hashlib
import socket
import sys
import time

PORT = 7777


def receive(address):
    listener = socket.create_server((address, PORT))
    listener.settimeout(60)
    connection = listener.accept()[0]
    connection.settimeout(60)
    digest, size = hashlib.sha256(), 0
    while True:
        data = connection.recv(1 << 16)
        if not data:
            return size, digest
        digest.update(data)
        size += len(data)


def send(address, seconds):
    connection = socket.create_connection((address, PORT), timeout=60)
    digest, size, number = hashlib.sha256(), 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = number.to_bytes(8, 'little') * 2048
        connection.sendall(data)
        digest.update(data)
        size += len(data)
        number += 1
    connection.close()
    return size, digest


if __name__ == '__main__':
    if sys.argv[1] == 'receive':
        total, sha = receive(sys.argv[2])
    else:
        total, sha = send(sys.argv[2], float(sys.argv[3]))
    print(f'{total} bytes {sha.hexdigest()}')
