#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""many.py: a host made of files with many network functions.

Each has a driver, an IOMMU group and an interface. The files in etc/auto and etc/named declare all of
them, with Driver=auto and with Driver=vfio-pci.

usage: bench/many.py DIRECTORY FUNCTIONS
"""
import os
import pathlib
import sys

PIN = bytes.fromhex('0a010000')
HEADER = bytes.fromhex('8680ed10 07041000 01000002') + bytes(48) + PIN + bytes(192)
UEVENT = 'PCI_CLASS=20000\nPCI_ID=8086:10ED\n'
RESOURCE = '0x0000000000000000 0x0000000000000000 0x0000000000000000\n' * 13
ATTRIBUTES = {
    'uevent': UEVENT,
    'resource': RESOURCE,
    'numa_node': '0\n',
    'irq': '11\n',
    'driver_override': '(null)\n',
    'power/runtime_status': 'active\n',
}
DIRECTORIES = (
    'bus/pci/devices', 'bus/pci/drivers/ixgbevf', 'bus/pci/drivers/vfio-pci', 'class/net',
    'class/iommu/dmar0', 'module/vfio_pci', 'module/vfio_iommu_type1',
)
ROUTES = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n'


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='ascii')


def make_function(sysfs, number):
    links, networks = sysfs / 'bus/pci', sysfs / 'class/net'
    bus, slot = divmod(number, 32)
    domain, bus = divmod(bus, 256)
    name = f'{domain:04x}:{bus:02x}:{slot:02x}.0'
    device = sysfs / 'devices' / f'pci{domain:04x}:{bus:02x}' / name
    interface = device / 'net' / f'eth{number}'
    group = sysfs / f'kernel/iommu_groups/{number}'
    interface.mkdir(parents=True)
    (group / 'devices').mkdir(parents=True)
    (device / 'config').write_bytes(HEADER)
    for attribute, text in ATTRIBUTES.items():
        write(device / attribute, text)
    write(group / 'type', 'DMA\n')
    os.symlink(links / 'drivers/ixgbevf', device / 'driver')
    os.symlink(f'../../../kernel/iommu_groups/{number}', device / 'iommu_group')
    write(interface / 'ifindex', f'{number + 2}\n')
    os.symlink('../..', interface / 'device')
    os.symlink(os.path.relpath(device, group / 'devices'), group / 'devices' / name)
    os.symlink(os.path.relpath(device, links / 'devices'), links / 'devices' / name)
    os.symlink(os.path.relpath(interface, networks), networks / interface.name)
    return name


def main():
    root = pathlib.Path(sys.argv[1]).absolute()
    sysfs = root / 'sys'
    for directory in DIRECTORIES:
        (sysfs / directory).mkdir(parents=True)
    write(root / 'proc/self/mountinfo', '22 1 0:1 / / rw - tmpfs none rw\n')
    write(root / 'proc/net/route', ROUTES)
    write(root / 'proc/net/if_inet6', '')
    names = [make_function(sysfs, number) for number in range(int(sys.argv[2]))]
    for directory, driver in ('auto', 'auto'), ('named', 'vfio-pci'):
        write(root / f'etc/{directory}/many.conf', ''.join(
            f'[Match]\nAddress={name}\nId=8086:10ed\n[Device]\nDriver={driver}\n'
            for name in names))


main()
