/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The files of devices that processes have open or mapped, as /proc shows them. A host has
 * thousands of processes, so a program that asks about several devices reads them once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct usrpci_host;

struct open_file {
	char pid[12];
	mode_t type;  /* S_IFCHR, S_IFBLK; 0: the file of a register, or not known */
	dev_t number; /* of the device */
	char *path;   /* as the process knows it */
};

/*
 * A file below /proc by which a network namespace can be entered: a descriptor that keeps it,
 * "812/fd/7", or what a process or thread is in, "812/ns/net", of each namespace once.
 */
struct open_namespace {
	char file[48];
	ino_t number; /* of the namespace; 0: a descriptor, which was not asked */
};

/* A descriptor of a socket. */
struct open_socket {
	uint64_t inode;
	int pid, fd;
};

/* The files of one process follow each other. All members are zero before the first read. */
struct open_files {
	struct open_file *list;
	size_t count;
	struct open_namespace *namespaces;
	size_t namespace_count;
	struct open_socket *sockets;
	size_t socket_count;
	bool read;
	bool hidden;   /* those of some processes cannot be seen */
	bool too_few;  /* the same, because this program may not open as many files as it takes */
	char ring[12]; /* a process whose files of an io_uring cannot be seen; "": none */
	char maps[12]; /* one that lets nobody see in time what it has mapped */
	const char *blindness; /* what helps this program to see them all, or NULL */
	int error;             /* why there is no /proc, and then the list is empty */
};

/* Reads the open files. Returns 0 or -ENOMEM. */
int open_files_read(struct usrpci_host *host, struct open_files *files);
void open_files_free(struct open_files *files);
