#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""driver.py: usrpci net-driver between a TAP device and QEMU's card, in namespaces of the test's own.

The driver is killed, and stopped so that it does not answer: each time another one follows, and the
gateway of QEMU's user network answers pings through it. Another card has two queues, and leads to a
TAP device in another namespace: bytes go both ways, in frames that are longer than the MTU. Prints
TAP.

driver.py failures: no frame comes or goes, and each driver is killed: ten are enough. It takes half
a minute, in which others are waited for.
"""
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, TUNSETVNETHDRSZ = 0x400454ca, 0x400454d8
TAP, NO_PI, VNET_HDR, MULTI_QUEUE = 0x2, 0x1000, 0x4000, 0x100
ETH_P_ALL = 3
DEVICE = 'qemu:virtio-net-pci,netdev=n0 -netdev user,id=n0'
SILENT = 'qemu:virtio-net-pci,netdev=n0 -netdev hubport,id=n0,hubid=0'
QUEUES = ('qemu:virtio-net-pci,netdev=n0,mq=on,vectors=6 '
          '-netdev tap,id=n0,ifname=wire0,queues=2,script=no,downscript=no')
TRANSFER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../qemu/programs/transfer.py')


def skip(why):
    print(f'1..0 # SKIP {why}')
    sys.exit(0)


def open_queue(name, more=0):
    tap = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack('16sH22x', name, TAP | NO_PI | VNET_HDR | more))
    fcntl.ioctl(tap, TUNSETVNETHDRSZ, struct.pack('i', 12))
    return tap


def ip(*words):
    subprocess.check_call(['ip', *words])


def make_tap():
    tap = open_queue(b'tap0')
    ip('address', 'add', '10.0.2.15/24', 'dev', 'tap0')
    ip('link', 'set', 'tap0', 'up')
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


def make_queues():
    """A socket that has the two queues of a TAP device in its first message."""
    queues = [open_queue(b'tap1', MULTI_QUEUE) for _ in range(2)]
    ip('link', 'set', 'tap1', 'up')
    ip('address', 'add', '10.5.0.2/24', 'dev', 'tap1')
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.send_fds(ours, [b'2'], queues)
    return theirs


def wait_until(condition):
    end = time.monotonic() + 30
    while time.monotonic() < end and not condition():
        time.sleep(0.05)


def furnish_far_end(inside):
    """QEMU's TAP device moves to the other namespace and gets an address there."""
    wait_until(lambda: subprocess.run(['ip', 'link', 'show', 'wire0'], capture_output=True,
                                      check=False).returncode == 0)
    ip('link', 'set', 'wire0', 'netns', inside[2])
    for words in ('link set wire0 up', 'address add 10.5.0.1/24 dev wire0'):
        subprocess.check_call([*inside, 'ip', *words.split()])
    subprocess.run(['ping', '-n', '-q', '-c', '1', '-w', '30', '10.5.0.1'], check=False,
                   stdout=subprocess.DEVNULL)


def passes(sender, receiver, address):
    """Whether what is sent for two seconds arrives as it was sent."""
    with subprocess.Popen([*receiver, TRANSFER, 'receive', address], stdout=subprocess.PIPE) as end:
        time.sleep(0.5)
        sent = subprocess.run([*sender, TRANSFER, 'send', address, '2'], check=False,
                              stdout=subprocess.PIPE).stdout
        return sent == end.communicate()[0] and sent != b''


def capture(seconds):
    """Prints the length of the longest frame that any interface has received meanwhile."""
    longest = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as everything:
        everything.settimeout(0.2)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                frame, about = everything.recvfrom(1 << 17)
            except TimeoutError:
                continue
            if about[2] != socket.PACKET_OUTGOING:
                longest = max(longest, len(frame))
    print(longest)


def queues_in_use(driver):
    """How many threads that serve another queue than the first one have slept more than once."""
    count = 0
    for task in os.listdir(f'/proc/{driver}/task'):
        with open(f'/proc/{driver}/task/{task}/status', encoding='ascii') as status:
            text = status.read()
        switches = int(text.split('voluntary_ctxt_switches:')[1].split()[0])
        count += 'usrpci-queue' in text and switches > 2
    return count


def try_queues(usrpci):
    with subprocess.Popen(['unshare', '-n', 'sleep', '100']) as holder, \
            subprocess.Popen([usrpci, 'net-driver', QUEUES], stdin=make_queues(),
                             stderr=subprocess.DEVNULL) as driver:
        inside = ['nsenter', '-t', str(holder.pid), '-n']
        furnish_far_end(inside)
        watch = [sys.executable, os.path.abspath(__file__), 'capture', '4']
        with subprocess.Popen([*inside, *watch], stdout=subprocess.PIPE) as captured:
            yield 'bytes arrive that are sent to the card', passes([], inside, '10.5.0.1')
            yield ('the card cuts segments: frames are longer than the MTU at its other end',
                   int(captured.communicate()[0]) > 4000)
        with subprocess.Popen(watch, stdout=subprocess.PIPE) as captured:
            yield 'bytes arrive that come from the card', passes(inside, [], '10.5.0.2')
            yield ('received frames are longer than the MTU too',
                   int(captured.communicate()[0]) > 4000)
        for _ in range(20):
            subprocess.run(['ping', '-n', '-q', '-c', '1', '-w', '5', '10.5.0.1'], check=False,
                           stdout=subprocess.DEVNULL)
        yield 'a second queue is served', queues_in_use(driver.pid) == 1
        driver.send_signal(signal.SIGTERM)
        yield 'all its threads end', driver.wait(30) == 0
        holder.kill()


def refuses_too_many_queues(usrpci):
    """More queues than it can take arrive cut off; it does not go on with some of them."""
    ours, theirs = socket.socketpair()
    with open('/dev/null', 'rb') as null:
        socket.send_fds(ours, [b'x'], [null.fileno()] * 17)
    driver = subprocess.run([usrpci, 'net-driver', DEVICE], stdin=theirs, stderr=subprocess.PIPE,
                            timeout=60, check=False)
    return driver.returncode == 1 and b'Protocol error' in driver.stderr


def kills_until_it_ends(usrpci, how, tap):
    """Kills each driver once it serves. Returns how many times, and what was said."""
    kills, said = 0, []
    with subprocess.Popen([usrpci, 'net-driver', '--restart', SILENT], stdin=open_queue(tap),
                          stderr=subprocess.PIPE, text=True) as parent:
        time.sleep(5)  # the first driver does not say when it serves
        os.kill(child_of(parent.pid), how)
        for line in parent.stderr:
            said.append(line)
            if 'frames flow again' in line and kills < 20:
                kills += 1
                os.kill(child_of(parent.pid), how)
            elif 'frames flow again' in line:
                parent.terminate()
    return kills + 1, ''.join(said)


def try_ends(usrpci):
    """No start succeeds. The seventh failure is followed by 2.5 s without a driver."""
    said = []
    with subprocess.Popen([usrpci, 'net-driver', '--restart', DEVICE], stdin=open_queue(b'tap2'),
                          env={**os.environ, 'USRPCI_QEMU': '/nowhere'},
                          stderr=subprocess.PIPE, text=True) as parent:
        while len(said) < 7:
            said.append(parent.stderr.readline())
        time.sleep(0.1)
        parent.terminate()
        told = time.monotonic()
        status = parent.wait(30)
        yield ('a signal ends it at once while it waits for the next start',
               'follows' in said[6] and status == 0 and time.monotonic() - told < 1)
    gone = subprocess.run([usrpci, 'net-driver', '--restart', '0000:ff:1f.7'], timeout=60,
                          stdin=open_queue(b'tap3'), stderr=subprocess.PIPE, text=True, check=False)
    yield ('no other driver is started for a card that is gone', gone.returncode == 1 and
           'the card is gone' in gone.stderr and 'follows' not in gone.stderr)


def try_failures(usrpci):
    kills, said = kills_until_it_ends(usrpci, signal.SIGABRT, b'tap0')
    by_hand, said_of_kills = kills_until_it_ends(usrpci, signal.SIGKILL, b'tap1')
    print(said, said_of_kills, file=sys.stderr)
    return [('drivers that crash without a frame between them are ten at most', kills == 10 and
             'the driver failed 10 times in a row' in said),
            ('drivers that somebody kills may be more', by_hand == 21 and
             'in a row' not in said_of_kills)]


def try_drivers(usrpci):
    tap = make_tap()
    with subprocess.Popen([usrpci, 'net-driver', '--restart', DEVICE], stdin=tap,
                          stderr=subprocess.DEVNULL) as parent:
        results = [
            ('frames pass between the card and the TAP', answers()),
            ('another driver follows one that was killed', follows(parent.pid, signal.SIGKILL)),
            ('another driver follows one that does not answer', follows(parent.pid, signal.SIGSTOP)),
        ]
        parent.send_signal(signal.SIGTERM)
        results.append(('it ends when it is told to', parent.wait(30) == 0))
    results += try_ends(usrpci)
    results += try_queues(usrpci)
    results.append(('queues that arrive cut off are refused', refuses_too_many_queues(usrpci)))
    return results


def main():
    if os.environ.get('USRPCI_INSIDE') != 'yes':
        os.environ['USRPCI_INSIDE'] = 'yes'
        command = ['unshare', '-rn', sys.executable, os.path.abspath(__file__), *sys.argv[1:]]
        probe = subprocess.run(command[:2] + ['true'], capture_output=True, check=False)
        if probe.returncode or not os.access('/dev/net/tun', os.W_OK):
            skip('no network namespace with TAP devices can be had here')
        if subprocess.run(['which', 'qemu-system-x86_64'], capture_output=True, check=False).returncode:
            skip('QEMU is not installed; make check installs it')
        os.execvp(command[0], command)
    usrpci = os.path.join(os.environ['USRPCI_BUILD'], 'cli', 'usrpci')
    results = try_failures(usrpci) if sys.argv[1:2] == ['failures'] else try_drivers(usrpci)
    print(f'1..{len(results)}')
    for number, (name, good) in enumerate(results, 1):
        print(f'{"ok" if good else "not ok"} {number} - {name}')
    sys.exit(not all(good for _, good in results))


if sys.argv[1:2] == ['capture']:
    capture(float(sys.argv[2]))
else:
    main()
