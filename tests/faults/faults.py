# SPDX-License-Identifier: BSD-2-Clause
"""What injections of faults share: points, how a command is run at one, and the count at the end."""
import collections
import errno
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get('USRPCI_BUILD', HERE.parent.parent / 'build')).resolve()
COMMAND = str(BUILD / 'cli/usrpci')
SHIM = str(BUILD / 'tests/faults/liballocations.so')
INJECT = str(BUILD / 'tests/faults/inject')
DEADLINE = int(os.environ.get('FAULTS_DEADLINE', '60'))  # seconds; a command that takes longer hangs

# What each call may fail with; others fail with EIO.
ERRORS = {'openat': 'EMFILE ENOMEM EIO', 'open': 'EMFILE ENOMEM EIO', 'write': 'ENOSPC EIO EINTR',
          'pwrite64': 'EIO ENOSPC', 'rename': 'ENOSPC EIO', 'mkdir': 'ENOSPC EIO', 'flock': 'EINTR EIO ENOMEM',
          'mmap': 'ENOMEM', 'brk': 'ENOMEM', 'clone': 'EAGAIN', 'clone3': 'EAGAIN', 'vfork': 'EAGAIN',
          'socket': 'EMFILE', 'socketpair': 'EMFILE', 'poll': 'EINTR', 'read': 'EIO EINTR'}
NEVER_FAIL = {'exit_group', 'exit', 'close', 'munmap', 'execve', 'rt_sigreturn', 'futex', 'getpid', 'gettid', 'getuid',
              'geteuid', 'getgid', 'getegid', 'rt_sigaction', 'rt_sigprocmask', 'sched_yield', 'umask'}

# Of such calls nobody else sees anything: who is killed before one might as well be killed before the next
# other call. "openat" is one that neither makes a file nor empties it, see inject.
LOOKS = {'read', 'pread64', 'readlink', 'readlinkat', 'newfstatat', 'fstat', 'stat', 'lstat', 'statx', 'faccessat',
         'faccessat2', 'access', 'getdents64', 'lseek', 'openat', 'close', 'mmap', 'mprotect', 'munmap', 'brk',
         'madvise', 'getpid', 'gettid', 'getuid', 'geteuid', 'getgid', 'getegid', 'getppid', 'getrandom', 'umask',
         'rt_sigaction', 'rt_sigprocmask', 'futex', 'fcntl', 'statfs', 'fstatfs', 'getsockopt', 'getsockname',
         'sched_getaffinity', 'sched_yield', 'clock_nanosleep', 'nanosleep', 'prlimit64', 'sysinfo', 'uname',
         'set_robust_list', 'rseq'}


Point = collections.namedtuple('Point', 'kind name number error')
Result = collections.namedtuple('Result', 'status output errors')

OUTLIVED = 124  # of inject: processes of the command do not end

# Options of inject with which it plays the kernel; filled by those whose host is made of files.
PLAYED = []


def clean_environment(**more):
    keep = {k: v for k, v in os.environ.items() if not k.startswith('FAULT_')}
    return dict(keep, LC_ALL='C.UTF-8', **more)


def run(command, environment=None, deadline=None):
    """Result; a status of None means that it did not end in time."""
    try:
        done = subprocess.run(command, env=environment or clean_environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=deadline or DEADLINE)
    except subprocess.TimeoutExpired as late:
        return Result(None, late.stdout or b'', late.stderr or b'')
    return Result(done.returncode, done.stdout, done.stderr)


def inject(command, *options):
    return run([INJECT, *options, *PLAYED, '--'] + command)


def calls_of(command):
    """The names of the system calls that the command makes itself; "!" behind one that makes a file."""
    with tempfile.NamedTemporaryFile(mode='r', suffix='.calls') as calls:
        inject(command, '-c', calls.name)
        return calls.read().split()


def is_point(call, kind):
    return call.rstrip('!') not in NEVER_FAIL if kind == 'error' else call not in LOOKS


def call_points(command, kind):
    """A point for each call from the loader's end on: the Nth of its name."""
    names, seen, points, started = calls_of(command), collections.Counter(), [], False
    for call in names:
        name = call.rstrip('!')
        seen[name] += 1
        if started and is_point(call, kind):
            errors = ERRORS.get(name, 'EIO').split()
            points.append(Point(kind, name, seen[name],
                                errors[len(points) % len(errors)] if kind == 'error' else ''))
        started = started or name == 'prlimit64'  # the loader's last but one
    return points


def with_allocations(command, variable, value):
    return inject(command, '-e', f'LD_PRELOAD={SHIM}', '-e', f'{variable}={value}')


def allocation_points(command):
    with tempfile.NamedTemporaryFile(mode='r') as count:
        with_allocations(command, 'FAULT_COUNT', count.name)
        number = int(count.read() or '0')
    return [Point('allocation', 'malloc', i, '') for i in range(1, number + 1)]


def points_of(command, kind):
    return allocation_points(command) if kind == 'allocation' else call_points(command, kind)


def run_at(command, point):
    """Runs the command with the fault at the point."""
    if point.kind == 'allocation':
        return with_allocations(command, 'FAULT_ALLOCATION', point.number)
    fault = getattr(errno, point.error) if point.kind == 'error' else 'term' if point.kind == 'signal' else 'kill'
    return inject(command, '-f', f'{point.name}:{point.number}:{fault}')


def parse(text):
    """The point that words name: "kill write 5", "twice unlink 1", "signal write 3", "EIO write 6", "allocation 250"."""
    what, *rest = text.split()
    if what == 'allocation':
        return Point(what, 'malloc', int(rest[0]), '')
    kind = what if what in ('kill', 'twice', 'signal') else 'error'
    return Point(kind, rest[0], int(rest[1]), what if kind == 'error' else '')


def describe(point):
    if point.kind == 'allocation':
        return f'allocation {point.number} fails'
    what = f'{point.error} from' if point.kind == 'error' else 'SIGTERM at' if point.kind == 'signal' else 'killed at'
    return f'{what} {point.name} {point.number}'


def crashed(result, point):
    if result.status is None:
        return 'it hangs'
    if result.status == OUTLIVED:
        return f'processes of it do not end: {result.errors.decode(errors="replace")}'
    if point.kind == 'signal' and result.status == 128 + signal.SIGTERM:
        return ''
    if point.kind != 'kill' and (result.status < 0 or result.status >= 128):
        return f'it died: status {result.status}: {result.errors[-200:].decode(errors="replace")}'
    return ''


class Tally:
    """Counts points by verb and kind; prints each verb's case as a line of TAP."""

    def __init__(self, announced):
        self.cases = self.failed = self.points = self.lost = 0
        print(f'1..{announced}', flush=True)

    def case(self, title, points, complaints):
        self.cases += 1
        self.points += points
        self.lost += len(complaints)
        self.failed += bool(complaints)
        print(f'{"not ok" if complaints else "ok"} {self.cases} - {title}', flush=True)
        print(f'# points: {points}, not held: {len(complaints)}')
        for complaint in complaints[:int(os.environ.get('FAULTS_SHOWN', '10'))]:
            print(f'#   {complaint}')
        sys.stdout.flush()

    def end(self):
        sys.exit(self.failed > 0)
