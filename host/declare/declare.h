/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_DECLARE_H
#define USRPCI_HOST_DECLARE_H

/*
 * What files say of a host: devices by what they are, and huge pages.
 */

#include "host.h"

#define DECLARE_DIR   "/etc/usrpci"
#define DRIVERCTL_DIR "/etc/driverctl.d"

/* Where something stands: "/etc/usrpci/50-nic.conf:7" in messages. */
struct place {
	char file[128];
	unsigned int line;
};

struct declared_device {
	struct place place; /* of its [Match] */

	bool has_addr, has_id;
	struct usrpci_addr addr;
	uint16_t vendor, device;
	char mac[18];    /* in small letters; "" any */
	char serial[64]; /* "" any */

	bool has_driver;
	char driver[NAME_SIZE]; /* "auto"; "" none */
	bool whole_group;
	char user[NAME_SIZE], group[NAME_SIZE]; /* "" as it is */
	bool has_vfs;
	unsigned int vfs;

	bool found;   /* and addr is its address */
	bool refused; /* what is there is not what is meant, which was said */
};

struct declared_pages {
	struct place place;
	size_t page_size, count;
	int node; /* -1: any */
};

struct declaration {
	struct declared_device *devices;
	size_t device_count;
	struct declared_pages *pages;
	size_t page_count;
};

/*
 * Reads all files of a directory, in the order of their names. Errors, each logged with file and
 * line: -EBADMSG (a file makes no sense, or two contradict each other); -ENOMEM; what open(2) says.
 */
int declare_read(struct usrpci_host *host, const char *directory, struct declaration *declaration);

/* Adds what driverctl's directory says: a file for each device, with the name of its driver. */
int declare_read_driverctl(struct usrpci_host *host, struct declaration *declaration);
void declare_free(struct declaration *declaration);

/* -EBADMSG, logged, where two of the devices that were found are the same and differ in a wish. */
int declare_check(struct usrpci_host *host, const struct declaration *declaration);

/*
 * Finds the devices that are there and were not found before. One that is not is left out, with a note; where what is there
 * is not what is meant, or is not one device alone, that is logged: -ENODEV, after the others.
 */
int declare_find(struct usrpci_host *host, struct declaration *declaration);

#endif
