/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A namespace that several threads use at the same time, each with its own lane. */

#include <stdbool.h>
#include <stdint.h>

#include <usrpci/nvme.h>
#include <usrpci/usrpci.h>

#define DISK_LANES_MAX 64

struct disk_options {
	const char *device;
	const char *rump; /* a driver of NetBSD's; NULL: one of ours */
	unsigned int nsid;
	unsigned int lanes; /* how many lanes there are at most, 1..DISK_LANES_MAX */
	bool poll;
};

/* What a client may know. It has no pointers, because processes share it. */
struct disk_about {
	char name[32]; /* the name that messages use, without QEMU's arguments */
	struct usrpci_nvme_ns ns;
	uint32_t features; /* enum usrpci_nvme_feature */
	uint32_t buffer;   /* bytes that a request can have */
	unsigned int lanes;
};

/* A request, and the result of whoever does it. */
struct disk_request {
	uint8_t op, flags; /* as struct usrpci_nvme_io has them */
	uint16_t status;
	int error;
	uint32_t blocks;
	uint64_t lba;
};

struct disk;

/*
 * Does what is possible while another process has the disk. The options must outlive it. Returns 0
 * or a negative errno; messages go to nbdkit.
 */
int disk_prepare(const struct disk_options *options, struct disk **disk);

/*
 * Prepares a disk that the kernel resets each time that it is opened or closed, as vfio does, which
 * takes 100 ms each. The device is open and has all memory that it will need. Processes that are
 * forked afterwards call disk_open() for it, the next one when the last one has ended. For any
 * other disk stores NULL: each process prepares it for itself. The options must outlive it. Returns
 * 0 or a negative errno, after a message.
 */
int disk_hold(const struct disk_options *options, struct disk **disk);

/* Opens the disk. Returns 0 or a negative errno, after a message. */
int disk_open(struct disk *disk);

/* Tells the disk of a shutdown, if it is open. */
void disk_close(struct disk *disk);

const struct disk_about *disk_about(const struct disk *disk);

/* Does a request and waits for it. Its data, if it has any, is read from memory or stored there. */
void disk_do(struct disk *disk, unsigned int lane, struct disk_request *request, void *data);
