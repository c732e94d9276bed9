// SPDX-License-Identifier: BSD-2-Clause
/*
 * Confirms changes, or brings everything back as the record has it. The last device that was
 * changed goes back first, because virtual functions come after the device that has them.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "confirm/confirm.h"
#include "file.h"
#include "state.h"
#include "target.h"
#include "vfio_node.h"

#define LOG_SUBJECT "confirm"
#include "log.h"

/* Returns the first failure, but a use, which is tried again, before all others. */
static int worse(int error, int last)
{
	return last == -EBUSY || !error ? last : error;
}

/*
 * A kernel driver's users have the device because of the change; a program's data is worth a wait.
 */
static int is_free(struct usrpci_host *host, const struct usrpci_dev_info *now)
{
	struct target target;

	if (now->driver_kind == USRPCI_DRIVER_KERNEL)
		return 0;
	return target_init(host, &now->addr, &target) ?: target_is_free(host, &target, NULL, false);
}

static int rebind(struct usrpci_host *host, const struct confirm_device *device,
		  const struct usrpci_dev_info *now)
{
	const struct usrpci_bind_options bind = {.driver = device->driver, .force = true};

	if (!strcmp(now->driver, device->driver))
		return 0;
	return is_free(host, now) ?: usrpci_host_bind(host, &device->addr, 1, &bind);
}

static int set_functions(struct usrpci_host *host, const struct confirm_device *device)
{
	const struct usrpci_vfs_options vfs = {.force = true};
	uint64_t functions = device->functions;
	char name[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(&device->addr, name);
	file_read_u64(host->ctx, &functions, PCI_DEVICES "/%s/sriov_numvfs", name);
	if (functions == device->functions)
		return 0;
	return usrpci_host_vfs_set(host, &device->addr, device->functions, &vfs);
}

/* A device that usrpci had already goes back to what it was then, not to what the journal says. */
static int give_back(struct usrpci_host *host, const struct confirm_device *device,
		     const struct usrpci_dev_info *now)
{
	int error;

	if (!device->was_usrpcis)
		return journal_has(host, &device->addr) ? usrpci_host_restore(host, &device->addr)
							: 0;
	error = rebind(host, device, now) ?: set_functions(host, device);
	if (!error && device->node.path[0])
		error = vfio_node_set(host, &device->node);
	return error;
}

static bool is_changed(const struct confirm_device *device, const struct usrpci_dev_info *now)
{
	return strcmp(now->driver, device->driver) != 0;
}

static int undo_device(struct usrpci_host *host, const struct confirm_device *device)
{
	struct usrpci_dev_info now;
	uint64_t identity;
	int error = journal_identity(host, &device->addr, &identity);

	if (error)
		return error;
	if (identity != device->identity || usrpci_dev_lookup(host->ctx, &device->addr, &now))
		return 0; /* it is gone: a virtual function, or it was unplugged */
	error = give_back(host, device, &now);
	for (size_t i = 0; !error && is_changed(device, &now) && i < device->place_count; i++)
		error = net_place_take(host, &device->places[i], device->places[i].name);
	return error;
}

static int undo_all(struct usrpci_host *host, const struct confirm_record *record)
{
	int error = 0;

	for (size_t i = record->device_count; i > 0; i--)
		error = worse(error, undo_device(host, &record->devices[i - 1]));
	for (size_t i = 0; error != -EBUSY && i < record->page_count; i++) {
		const struct confirm_pages *pages = &record->pages[i];
		int last = hugepages_give_back(host, pages->count, pages->page_size, pages->node);

		error = last < 0 ? worse(error, last) : error;
	}
	return error;
}

static int undo(struct usrpci_host *host)
{
	struct confirm_record record;
	char text[96];
	int error = confirm_read(host, &record);

	if (error)
		return error == -ENOENT ? 0 : error;
	error = undo_all(host, &record);
	confirm_free(&record);
	if (error == -EBUSY)
		return error;
	snprintf(text, sizeof(text), "%s\n", error ? strerror(-error) : "as before");
	state_write(host, CONFIRM_BACK, text);
	state_remove(host, CONFIRM_RECORD);
	log_warning(host->ctx, NULL, NULL,
		    "nobody confirmed the changes in time: everything went back%s",
		    error ? ", as far as it could" : "");
	return error;
}

/* What goes back needs no confirmation. */
int confirm_undo(struct usrpci_host *host)
{
	unsigned int confirm_s = host->options.confirm_s;
	int result = state_lock(host);

	if (result)
		return result;
	host->options.confirm_s = 0;
	result = undo(host);
	host->options.confirm_s = confirm_s;
	state_unlock(host);
	return result;
}

int confirm_recover(struct usrpci_host *host)
{
	struct confirm_record record;
	char text[16];
	uint64_t end, now = confirm_now();
	int error = host->options.dry_run ? 0 : state_exists(host, CONFIRM_RECORD);

	if (error <= 0 || state_is_held(host, CONFIRM_WATCH, text, sizeof(text)))
		return error < 0 ? error : 0;
	error = confirm_read(host, &record);
	if (error)
		return error == -ENOENT ? 0 : error;
	end = record.since + record.seconds;
	confirm_free(&record);
	error = now < end ? -EBUSY : confirm_undo(host);
	if (error == -EBUSY)
		return confirm_watch(host, -1, now < end ? (unsigned int)(end - now) : 0);
	return error;
}

/* Returns why nothing can be confirmed. */
static int too_late(struct usrpci_host *host)
{
	char text[64];

	if (file_read(host->ctx, text, sizeof(text), STATE_DIR "/" CONFIRM_BACK) < 0)
		return -ENOENT;
	state_remove(host, CONFIRM_BACK);
	return refuse(host->ctx, -ETIMEDOUT, NULL, NULL,
		      "it is too late: the changes went back (%s)", text);
}

int usrpci_host_confirm(struct usrpci_host *host)
{
	struct confirm_record record;
	int result = state_lock(host);

	if (result)
		return result;
	result = confirm_read(host, &record);
	if (result == -ENOENT)
		result = too_late(host);
	else if (!result)
		result = state_remove(host, CONFIRM_RECORD) ?: (int)record.device_count;
	confirm_free(&record);
	state_unlock(host);
	return result;
}
