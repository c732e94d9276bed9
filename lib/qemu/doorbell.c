// SPDX-License-Identifier: BSD-2-Clause
/*
 * The doorbell: how a message interrupt becomes a readable descriptor.
 *
 * MSI and MSI-X are writes of a number to an address. That address is the doorbell register of an
 * ivshmem device, whose server, by its protocol, is this program: a write to it makes QEMU write
 * to an eventfd that the server handed out. So a message arrives with no thread and no polling
 * between. Follows QEMU's "Device Specification for Inter-VM shared memory device".
 */

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

/* Identifiers of the peer that the vectors belong to, and of the device itself. */
#define PEER_VECTORS   0
#define PEER_DEVICE    1
#define IVSHMEM_MEMORY (-1)

#define TRIES 1000 /* of a millisecond, until QEMU has seen a new vector */

static void drain(int fd)
{
	eventfd_t count;

	while (eventfd_read(fd, &count) < 0 && errno == EINTR)
		;
}

/* Sends a message of ivshmem's server: a number, and a descriptor unless fd is -1. */
static int tell_doorbell(struct qemu *qemu, int64_t number, int fd)
{
	uint64_t little = htole64((uint64_t)number);

	return broker_send(qemu->process.doorbell, &little, sizeof(little), fd);
}

/* Sends what a server sends first. The device wants memory of its own, which nobody uses. */
static int introduce_doorbell(struct qemu *qemu)
{
	int memory = memfd_create("usrpci-ivshmem", MFD_CLOEXEC), error;

	if (memory < 0)
		return -errno;
	error = ftruncate(memory, sysconf(_SC_PAGESIZE)) ? -errno : 0;
	if (!error)
		error = tell_doorbell(qemu, 0, -1); /* version of the protocol */
	if (!error)
		error = tell_doorbell(qemu, PEER_DEVICE, -1);
	if (!error)
		error = tell_doorbell(qemu, IVSHMEM_MEMORY, memory);
	close(memory);
	return error;
}

static int place_doorbell(struct qemu *qemu)
{
	unsigned int bus = qemu_slot_bus(QEMU_DOORBELL);

	return qemu_bus_write(qemu, bus, 0, PCI_BASE_ADDRESS_0, 4, QEMU_DOORBELL_BAR)
		       ?: qemu_bus_write(qemu, bus, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

/* The doorbell is plugged in when a device needs it, since QEMU can be built without ivshmem. */
static int plug_doorbell(struct qemu *qemu, const char *object)
{
	char what[64];
	int error;

	if (qemu->doorbell_ready)
		return 0;
	error = introduce_doorbell(qemu);
	if (error)
		return report(qemu->domain.ctx, error, object, NULL,
			      "cannot prepare message interrupts");
	snprintf(what, sizeof(what), "ivshmem-doorbell,chardev=doorbell,vectors=%d", QEMU_VECTORS);
	error = qemu_plug(qemu, QEMU_DOORBELL, object, what) ?: place_doorbell(qemu);
	qemu->doorbell_ready = !error;
	return error;
}

static int add_vector(struct qemu *qemu)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), error;

	if (fd < 0)
		return -errno;
	error = tell_doorbell(qemu, PEER_VECTORS, fd);
	if (error)
		close(fd);
	else
		qemu->vectors[qemu->vectors_made++] = fd;
	return error;
}

/* QEMU reads the server's messages some time later: this rings until the bell is heard. */
static int test_vector(struct qemu *qemu, unsigned int vector)
{
	struct pollfd poller = {.fd = qemu->vectors[vector], .events = POLLIN};
	int error;

	for (unsigned int i = 0; i < TRIES; i++) {
		error = qemu_write(qemu, QTEST_MEMORY, QEMU_DOORBELL_ADDRESS, 4,
				   PEER_VECTORS << 16 | vector);
		if (error)
			return error;
		if (poll(&poller, 1, i ? 1 : 0) == 1) {
			drain(qemu->vectors[vector]);
			return 0;
		}
	}
	return -ETIMEDOUT;
}

static int make_vectors(struct qemu *qemu, unsigned int count)
{
	int error = 0;

	if (count <= qemu->vectors_made)
		return 0;
	while (qemu->vectors_made < count && !error)
		error = add_vector(qemu);
	return error ?: test_vector(qemu, count - 1);
}

static bool vectors_free(const struct qemu *qemu, unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < first + count; i++)
		if (qemu->vectors_used[i])
			return false;
	return true;
}

static int find_vectors(const struct qemu *qemu, unsigned int count, unsigned int align,
			unsigned int *first)
{
	for (*first = 0; *first + count <= QEMU_VECTORS; *first += align)
		if (vectors_free(qemu, *first, count))
			return 0;
	return -ENOSPC;
}

int qemu_reserve_vectors(struct qemu_dev *qdev, unsigned int count, unsigned int align,
			 struct qemu_vectors *vectors)
{
	struct usrpci_dev *dev = qdev->dev;
	struct qemu *qemu = qdev->qemu;
	unsigned int first;
	int error = plug_doorbell(qemu, dev->name);

	if (error)
		return error;
	error = find_vectors(qemu, count, align, &first) ?: make_vectors(qemu, first + count);
	if (error)
		return report(dev->ctx, error, dev->name, NULL,
			      "cannot get %u of this QEMU's %d message interrupts", count,
			      QEMU_VECTORS);
	for (unsigned int i = first; i < first + count; i++)
		drain(qemu->vectors[i]);
	memset(qemu->vectors_used + first, 1, count);
	*vectors = (struct qemu_vectors){first, count};
	return 0;
}

void qemu_release_vectors(struct qemu_dev *qdev, struct qemu_vectors *vectors)
{
	memset(qdev->qemu->vectors_used + vectors->first, 0, vectors->count);
	vectors->count = 0;
}

void qemu_doorbell_free(struct qemu *qemu)
{
	for (unsigned int i = 0; i < qemu->vectors_made; i++)
		close(qemu->vectors[i]);
}
