// SPDX-License-Identifier: BSD-2-Clause
/*
 * What ends each kind of use: the one place that says so, for bind's hints and the check's cures.
 * Where a part of the guard knows better (use_cure()), it says so itself.
 */

#include <stdio.h>
#include <string.h>

#include "array.h"
#include "guard/guard.h"
#include "shell.h"

static const struct {
	const char *before, *behind; /* the object of the use */
	bool force;
	bool interface; /* the object is one, whose name may be anything but a path */
} cures[] = {
	[USRPCI_USE_ADDRESS] = {"ip address flush dev ", "", true, true},
	[USRPCI_USE_ROUTE] = {"ip link set dev ", " down", true, true},
	[USRPCI_USE_UPPER] = {"ip link set dev ", " nomaster", true, true},
	[USRPCI_USE_MOUNT] = {"findmnt -S /dev/", " # then umount its places", true},
	[USRPCI_USE_SWAP] = {"swapoff /dev/", "", true},
	[USRPCI_USE_HOLDER] = {"stop what lsblk shows above /dev/", "", true},
	[USRPCI_USE_DISPLAY] = {"usrpci bind --force ", " # if nobody looks at it", true},
	[USRPCI_USE_OPEN] = {"end ", "", true},
	[USRPCI_USE_GROUP] = {"usrpci bind --whole-group ", "", false},
	[USRPCI_USE_BRIDGE] = {"choose another device than ", "", false},
	[USRPCI_USE_FUNCTIONS] = {"echo 0 > " PCI_DEVICES "/", "/sriov_numvfs", true},
	[USRPCI_USE_NAMESPACE] = {"end the container that has the interface of ", "", true},
	[USRPCI_USE_SHARE] = {"choose another device than ", "", true},
	[USRPCI_USE_CONSOLE] = {"boot without console=", "", true},
	[USRPCI_USE_BELOW] = {"usrpci bind --force # once nothing uses ", "", true},
	[USRPCI_USE_FRAMES] = {"end what uses ", "", true},
	[USRPCI_USE_EXPORT] = {"end the export of ", "", true},
	[USRPCI_USE_GUEST] = {"take it from the virtual machine: ", "", true},
	[USRPCI_USE_MEMORY] = {"choose another device: the system's memory is on ", "", true},
	[USRPCI_USE_LENT] = {"end ", "; usrpci ps lists it", false},
	[USRPCI_USE_UNKNOWN] = {"run as root on the host itself", "", true},
};

_Static_assert(ARRAY_SIZE(cures) == USRPCI_USE_UNKNOWN + 1,
	       "each kind of use has a cure, and USRPCI_USE_UNKNOWN is the last kind");

/* A word in quotes is a path as it is, and not the kernel's name of a disk. */
void cure_name_files(char *cure)
{
	static const char directory[] = " /dev/";
	bool quoted = false, disk = false;

	for (char *at = cure; *at; at++) {
		quoted ^= *at == '\'';
		if (*at == ' ')
			disk = !quoted && !strncmp(at, directory, strlen(directory));
		else if (disk && *at == '!')
			*at = '/';
	}
}

void cure_usual(enum usrpci_use_kind kind, const char *object, char *cure, size_t size)
{
	char word[INTERFACE_WORD];

	if (cures[kind].interface)
		object = shell_word(object, word, sizeof(word));
	snprintf(cure, size, "%s%s%s", cures[kind].before, kind == USRPCI_USE_UNKNOWN ? "" : object,
		 cures[kind].behind);
	cure_name_files(cure);
}

bool cure_is_force(enum usrpci_use_kind kind)
{
	return cures[kind].force;
}
