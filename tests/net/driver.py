#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""driver.py: usrpci net-driver between a TAP device and QEMU's card, in namespaces of the test's own.

The driver is killed, and stopped so that it does not answer: each time another one follows, and the
gateway of QEMU's user network answers pings through it. Prints TAP.
"""
import fcntl
import os
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF, TUNSETVNETHDRSZ = 0x400454ca, 0x400454d8
TAP, NO_PI, VNET_HDR = 0x2, 0x1000, 0x4000
DEVICE = 'qemu:virtio-net-pci,netdev=n0 -netdev user,id=n0'


def skip(why):
    print(f'1..0 # SKIP {why}')
    sys.exit(0)


def make_tap():
    tap = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack('16sH22x', b'tap0', TAP | NO_PI | VNET_HDR))
    fcntl.ioctl(tap, TUNSETVNETHDRSZ, struct.pack('i', 12))
    subprocess.check_call(['ip', 'address', 'add', '10.0.2.15/24', 'dev', 'tap0'])
    subprocess.check_call(['ip', 'link', 'set', 'tap0', 'up'])
    return tap


def answers():
    """Whether three requests, one after the other, are answered within half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        command = ['ping', '-n', '-q', '-c', '3', '-i', '0.2', '-W', '2', '10.0.2.2']
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0:
            return True
    return False


def child_of(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as children:
        return int(children.read().split()[0])


def follows(parent, number):
    """Sends the driver a signal, and waits until another one is there."""
    before = child_of(parent)
    os.kill(before, number)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if child_of(parent) != before:
                return answers()
        except (OSError, IndexError):
            pass
        time.sleep(0.05)
    return False


def main():
    if os.environ.get('USRPCI_INSIDE') != 'yes':
        os.environ['USRPCI_INSIDE'] = 'yes'
        command = ['unshare', '-rn', sys.executable, os.path.abspath(__file__)]
        probe = subprocess.run(command[:2] + ['true'], capture_output=True, check=False)
        if probe.returncode or not os.access('/dev/net/tun', os.W_OK):
            skip('no network namespace with TAP devices can be had here')
        if subprocess.run(['which', 'qemu-system-x86_64'], capture_output=True, check=False).returncode:
            skip('QEMU is not installed; make check installs it')
        os.execvp(command[0], command)
    tap = make_tap()
    usrpci = os.path.join(os.environ['USRPCI_BUILD'], 'cli', 'usrpci')
    with subprocess.Popen([usrpci, 'net-driver', '--restart', DEVICE], stdin=tap,
                          stderr=subprocess.DEVNULL) as parent:
        results = [
            ('frames pass between the card and the TAP', answers()),
            ('another driver follows one that was killed', follows(parent.pid, signal.SIGKILL)),
            ('another driver follows one that does not answer', follows(parent.pid, signal.SIGSTOP)),
        ]
        parent.send_signal(signal.SIGTERM)
        results.append(('it ends when it is told to', parent.wait(30) == 0))
    print(f'1..{len(results)}')
    for number, (name, good) in enumerate(results, 1):
        print(f'{"ok" if good else "not ok"} {number} - {name}')
    sys.exit(not all(good for _, good in results))


main()
