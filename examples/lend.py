#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""lend.py: how a program has usrpci prepare a device for it, and gives it back.

usage: lend.py ADDR...

The command does the work, this looks at the one object that it prints: what became of it, who had
each device and who has it now, and its messages. See usrpci-json(7).
"""
import json
import os
import subprocess
import sys

# What is in the way may end soon: a program that lets go of the device at this very moment.
PATIENCE = os.environ.get('PATIENCE', '10')


class Failed(Exception):
    """The command did not do it, and said why."""


def usrpci(*arguments):
    """Runs a command and returns its object."""
    command = [os.environ.get('USRPCI', 'usrpci'), '--json', *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    answer = json.loads(done.stdout)
    if answer['schema'] != 1:
        raise Failed(f'schema {answer["schema"]} is not known here')
    if answer['result'] not in ('done', 'changed', 'unchanged'):
        said = '; '.join(f'{one["object"]}: {one["text"]}' for one in answer['messages'])
        raise Failed(f'{answer["result"]}: {said}')
    return answer


def main():
    addresses = sys.argv[1:]
    try:
        answer = usrpci('bind', '--wait', PATIENCE, *addresses)
        for device in answer['devices']:
            print(f'{device["addr"]}: {device["was"]} -> {device["driver"]} ({answer["result"]})')
        # Here the devices are this program's. Whatever happens, they are given back.
        answer = usrpci('restore', '--wait', PATIENCE, *(device['addr'] for device in answer['devices']))
        print(f'given back: {answer["result"]}')
    except Failed as reason:
        print(f'lend.py: {reason}', file=sys.stderr)
        return 1
    return 0


sys.exit(main())
