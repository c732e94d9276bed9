/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_HOST_DECLARE_H
#define USRPCI_HOST_DECLARE_H

/* What files declare about a host: devices, found by their properties, and huge pages. */

#include "host.h"

#define DECLARE_DIR   "/etc/usrpci"
#define DRIVERCTL_DIR "/etc/driverctl.d"

/* A place in a file: "/etc/usrpci/50-nic.conf:7" in messages. */
struct place {
	char file[128];
	unsigned int line;
};

struct declared_device {
	struct place place; /* the place of its [Match] */

	bool has_addr, has_id;
	struct usrpci_addr addr;
	uint16_t vendor, device;
	char mac[18];    /* in lower case; "": any */
	char serial[64]; /* "": any */

	bool has_driver;
	char driver[NAME_SIZE]; /* a name, or "auto"; "": none */
	bool whole_group;
	char user[NAME_SIZE], group[NAME_SIZE]; /* "": as it is */
	bool has_vfs;
	unsigned int vfs;

	bool found;   /* the device was found, and addr is its address */
	bool refused; /* the device there is not the one that is meant, as was reported */
};

struct declared_pages {
	struct place place;
	size_t page_size, count;
	int node; /* -1: any */
};

struct declaration {
	struct declared_device *devices;
	size_t device_count;
	struct usrpci_dev_info *there; /* the devices of the host, as declare_find() read them */
	int there_count;
	struct declared_pages *pages;
	size_t page_count;
};

/*
 * Reads all files of a directory, in the order of their names. Errors, each logged with file and
 * line: -EBADMSG (a file is wrong, or two contradict each other); -ENOMEM; those of open(2).
 */
int declare_read(struct usrpci_host *host, const char *directory, struct declaration *declaration);

/*
 * Adds what driverctl's directory declares: it has a file for each device with its driver's name.
 */
int declare_read_driverctl(struct usrpci_host *host, struct declaration *declaration);
void declare_free(struct declaration *declaration);

/*
 * Returns -EBADMSG, logged, when two declarations found the same device but want different things.
 */
int declare_check(struct usrpci_host *host, const struct declaration *declaration);

/*
 * Finds the devices that are present and were not found before. A missing device is skipped, with a
 * note. When the device there is not the one that is meant, or there are several, this is logged,
 * and the result is -ENODEV after all others were handled. With options->only, that counts for
 * this device.
 */
int declare_find(struct usrpci_host *host, struct declaration *declaration,
		 const struct usrpci_declare_options *options);

#endif
