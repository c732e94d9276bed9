#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""many.py: a host made of files with 10 000 network functions.

Each has a driver, an IOMMU group and an interface.

usage: bench/many.py DIRECTORY
"""
import os
import pathlib
import sys

FUNCTIONS = 10_000
HEADER = bytes.fromhex('8680ed10 07041000 01000002') + bytes(244)
UEVENT = 'PCI_CLASS=20000\nPCI_ID=8086:10ED\n'
RESOURCE = '0x0000000000000000 0x0000000000000000 0x0000000000000000\n' * 13


def make_function(devices, links, networks, number):
    bus, slot = divmod(number, 32)
    domain, bus = divmod(bus, 256)
    name = f'{domain:04x}:{bus:02x}:{slot:02x}.0'
    device = devices / f'pci{domain:04x}:{bus:02x}' / name
    interface = device / 'net' / f'eth{number}'
    interface.mkdir(parents=True)
    (device / 'config').write_bytes(HEADER)
    for path, text in ('uevent', UEVENT), ('resource', RESOURCE), ('numa_node', '0\n'):
        (device / path).write_text(text, encoding='ascii')
    os.symlink(links / 'drivers/ixgbevf', device / 'driver')
    os.symlink(f'../../../kernel/iommu_groups/{number}', device / 'iommu_group')
    os.symlink('../..', interface / 'device')
    os.symlink(os.path.relpath(device, links / 'devices'), links / 'devices' / name)
    os.symlink(os.path.relpath(interface, networks), networks / interface.name)


def main():
    sysfs = pathlib.Path(sys.argv[1]).absolute() / 'sys'
    links = sysfs / 'bus/pci'
    for directory in links / 'devices', links / 'drivers/ixgbevf', sysfs / 'class/net':
        directory.mkdir(parents=True)
    for number in range(FUNCTIONS):
        make_function(sysfs / 'devices', links, sysfs / 'class/net', number)


main()
