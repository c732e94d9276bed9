#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# findings.sh: each finding of the check that is no "ok", and each kind of use, has a row in
# tests/unit/host/test_cures.c, where what its cure says is done and it is gone then. What files alone
# cannot show has a case in the virtual machine, named here.
#
. "$(dirname "$0")/tap.sh"

# without_row CHECKS HEADER ROWS: prints what has no row.
without_row()
{
	python3 - "$@" <<-'END'
		import pathlib, re, sys

		IN_THE_MACHINE = {'/sys is mounted read-only': ('check', 'check@a-read-only-sys-is-told')}
		checks, header, rows = map(pathlib.Path, sys.argv[1:])
		literal = r'"((?:[^"\\]|\\.)*)"'

		def join(text):
		    """The text with its neighbouring strings as one, and its macros and escapes as a reader sees them."""
		    return re.sub(r'"\s*(?:CARD|TWIN)?\s*"', '', text)

		def arguments(text):
		    """The arguments of a call whose text begins after its bracket."""
		    depth, quoted, found, start = 0, False, [], 0
		    for at, letter in enumerate(text):
		        if letter == '"' and text[at - 1] != '\\':
		            quoted = not quoted
		        elif quoted:
		            continue
		        elif letter in '([{':
		            depth += 1
		        elif letter in ')]}' and depth:
		            depth -= 1
		        elif letter in ',)' and not depth:
		            found.append(text[start:at].strip())
		            start = at + 1
		            if letter == ')':
		                return found
		    return found

		shown = [text for row in re.findall(r'\{"\w+",\s*(.*?)\}', join(rows.read_text()), re.S)
		         for text in re.findall(literal, row)[:1]]
		for path in sorted(checks.glob('*.c')):
		    for call in re.split(r'\bfinding_add\(', path.read_text())[1:]:
		        call = arguments(call)
		        if len(call) < 5 or 'USRPCI_CHECK_OK' == call[1] or not call[4].startswith('"'):
		            continue
		        text = ''.join(re.findall(literal, call[4]))
		        part = max(re.split(r'%[a-zA-Z]+', text), key=len).strip()
		        if not part or any(part in one or one in text for one in shown):
		            continue
		        suite, case = IN_THE_MACHINE.get(next((key for key in IN_THE_MACHINE if key in text), ''),
		                                         ('', ''))
		        suite = checks.parents[1] / 'tests/qemu/suites' / f'{suite}.sh'
		        if not case or case not in suite.read_text():
		            print(f'no row follows the cure of "{text}"')
		for kind in re.findall(r'\b(USRPCI_USE_\w+)[ ,]', header.read_text().split('enum usrpci_use_kind', 1)[1].split('}')[0]):
		    if not re.search(rf'\b(USE\({kind}|{kind}\}})', rows.read_text()):
		        print(f'no row follows the cure of {kind}')
	END
}

of_tree()
{
	without_row "$1/host/check" "$1/include/usrpci/host.h" "$1/tests/unit/host/test_cures.c"
}

# breach FILE SED: something is found in a tree that is changed so.
breach()
{
	local tree=$scratch/tree
	rm -rf "$tree"
	mkdir -p "$tree/host" "$tree/include/usrpci" "$tree/tests/unit/host" "$tree/tests/qemu"
	cp -r "$USRPCI_SOURCE/host/check" "$tree/host"
	cp "$USRPCI_SOURCE/include/usrpci/host.h" "$tree/include/usrpci"
	cp "$USRPCI_SOURCE/tests/unit/host/test_cures.c" "$tree/tests/unit/host"
	cp -r "$USRPCI_SOURCE/tests/qemu/suites" "$tree/tests/qemu"
	sed -i "$2" "$tree/$1"
	[ -n "$(of_tree "$tree")" ] || echo "it is not found"
}

check "a breach is found: a finding without a row" breach host/check/hardware.c 's/) has no address"/) is lost"/'
check "a breach is found: a kind of use without a row" breach tests/unit/host/test_cures.c '/USRPCI_USE_SWAP/d'
check "a breach is found: no case shows what files cannot" breach tests/qemu/suites/check.sh '/read-only-sys/d'
check "the cure of each finding and use is followed" of_tree "$USRPCI_SOURCE"
finish
