// SPDX-License-Identifier: BSD-2-Clause
/*
 * The common interface of network cards: finds the driver and calls it. A queue number that the
 * card does not have is the caller's error, and is caught here for all drivers.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <e1000/e1000.h>
#include <virtio/net.h>

#include "deadline.h"
#include "nic.h"

#define LINK_GAP_US 10000

static const char unknown[] = "no driver of libusrpci-net knows this card";

struct usrpci_nic {
	const struct nic_driver *driver;
	void *self;
	struct usrpci_pool *pool;
	struct usrpci_nic_info info;
};

static const struct nic_driver *find_driver(const struct usrpci_dev_info *info)
{
	static const struct nic_driver *const drivers[] = {&e1000_nic_driver, &virtio_nic_driver};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (drivers[i]->matches(info))
			return drivers[i];
	return NULL;
}

int usrpci_nic_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options,
		    struct usrpci_nic **result)
{
	const char *unheard;
	struct usrpci_nic_options own = {0};
	struct usrpci_nic *nic;
	int error;

	if (options)
		own = *options;
	if (!own.why)
		own.why = &unheard;
	*own.why = unknown;
	nic = calloc(1, sizeof(*nic));
	if (!nic)
		return -ENOMEM;
	nic->driver = find_driver(usrpci_dev_info(dev));
	error = -ENOTSUP;
	if (nic->driver) {
		*own.why = "its driver cannot take it";
		error = nic->driver->open(dev, &own, &nic->self, &nic->info, &nic->pool);
	}
	if (error) {
		free(nic);
		return error;
	}
	*result = nic;
	return 0;
}

int usrpci_nic_look(struct usrpci_dev *dev, unsigned int *mtu_max, const char **why)
{
	const struct nic_driver *driver = find_driver(usrpci_dev_info(dev));

	*why = unknown;
	if (!driver)
		return -ENOTSUP;
	*mtu_max = driver->mtu_max;
	return driver->look ? driver->look(dev, why) : 0;
}

void usrpci_nic_close(struct usrpci_nic *nic)
{
	if (!nic)
		return;
	nic->driver->close(nic->self);
	free(nic);
}

const struct usrpci_nic_info *usrpci_nic_info(const struct usrpci_nic *nic)
{
	return &nic->info;
}

int usrpci_nic_start(struct usrpci_nic *nic)
{
	return nic->driver->start(nic->self);
}

int usrpci_nic_stop(struct usrpci_nic *nic)
{
	return nic->driver->stop(nic->self);
}

void *usrpci_nic_get(struct usrpci_nic *nic)
{
	uint8_t *buffer = usrpci_pool_get(nic->pool);

	return buffer ? buffer + nic->info.headroom : NULL;
}

void usrpci_nic_put(struct usrpci_nic *nic, void *data)
{
	usrpci_pool_put(nic->pool, nic_buffer(data));
}

size_t usrpci_nic_available(const struct usrpci_nic *nic)
{
	return usrpci_pool_available(nic->pool);
}

unsigned int usrpci_nic_receive(struct usrpci_nic *nic, unsigned int queue,
				struct usrpci_nic_frame *frames, unsigned int n)
{
	if (queue >= nic->info.queues)
		return 0;
	return nic->driver->receive(nic->self, queue, frames, n);
}

unsigned int usrpci_nic_transmit(struct usrpci_nic *nic, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n)
{
	if (queue >= nic->info.queues)
		return 0;
	return nic->driver->transmit(nic->self, queue, frames, n);
}

unsigned int usrpci_nic_reclaim(struct usrpci_nic *nic, unsigned int queue)
{
	return queue < nic->info.queues ? nic->driver->reclaim(nic->self, queue) : 0;
}

int usrpci_nic_wait(struct usrpci_nic *nic, unsigned int queue, int timeout_ms)
{
	if (queue >= nic->info.queues)
		return -EINVAL;
	return nic->driver->wait(nic->self, queue, timeout_ms);
}

int usrpci_nic_irq_fd(struct usrpci_nic *nic, unsigned int queue)
{
	return queue < nic->info.queues ? nic->driver->irq_fd(nic->self, queue) : -EINVAL;
}

int usrpci_nic_link(struct usrpci_nic *nic, struct usrpci_nic_link *link)
{
	return nic->driver->link(nic->self, link);
}

int usrpci_nic_link_wait(struct usrpci_nic *nic, unsigned int timeout_ms)
{
	deadline_t deadline = deadline_in_ms(timeout_ms);
	struct usrpci_nic_link link;
	int error;

	for (;;) {
		error = usrpci_nic_link(nic, &link);
		if (error || link.up)
			return error;
		if (deadline_left_ms(deadline) == 0)
			return -ETIMEDOUT;
		nap_us(LINK_GAP_US);
	}
}

int usrpci_nic_stats(struct usrpci_nic *nic, struct usrpci_nic_stats *stats)
{
	return nic->driver->stats(nic->self, stats);
}
