// SPDX-License-Identifier: BSD-2-Clause
/*
 * Makes the host what its files say: first huge pages, while memory is not fragmented, then virtual
 * functions, then drivers, also for the new functions. All files are checked before the first
 * change. What the host cannot do is reported, and the rest is done.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "confirm/confirm.h"
#include "declare/declare.h"
#include "file.h"
#include "guard/look.h"

#define LOG_SUBJECT "declare"
#include "log.h"

/* Returns how many pages of a size there are, and stores how many are free. */
static int count_pages(struct usrpci_host *host, const struct declared_pages *pages, size_t *total,
		       size_t *unused)
{
	struct usrpci_hugepages *pools;
	int count = usrpci_host_hugepages(host, &pools);

	*total = *unused = 0;
	for (int i = 0; i < count; i++)
		if (pools[i].page_size == pages->page_size &&
		    (pages->node < 0 || pages->node == pools[i].node)) {
			*total += pools[i].total;
			*unused += pools[i].free;
		}
	free(pools);
	return count < 0 ? count : 0;
}

static int reserve(struct usrpci_host *host, const struct declared_pages *pages)
{
	size_t total, unused;
	int error = count_pages(host, pages, &total, &unused), got;

	if (error || total >= pages->count)
		return error;
	got = confirm_begin(host)
		      ?: usrpci_host_hugepages_reserve(host, pages->count - total + unused,
						       pages->page_size, pages->node);
	if (got <= 0)
		return got;
	error = confirm_note_pages(host, (size_t)got, pages->page_size, pages->node);
	if (error)
		hugepages_give_back(host, (size_t)got, pages->page_size, pages->node);
	return error;
}

static int set_functions(struct usrpci_host *host, const struct declared_device *device, bool force)
{
	const struct usrpci_vfs_options options = {.force = force};

	if (!device->found || !device->has_vfs)
		return 0;
	return usrpci_host_vfs_set(host, &device->addr, device->vfs, &options);
}

static int bind_device(struct usrpci_host *host, const struct declared_device *device, bool force)
{
	const struct usrpci_bind_options options = {
		.driver = strcmp(device->driver, "auto") ? device->driver : NULL,
		.force = force,
		.whole_group = device->whole_group,
		.user = device->user[0] ? device->user : NULL,
		.group = device->group[0] ? device->group : NULL,
	};

	if (!device->found || !device->has_driver)
		return 0;
	return usrpci_host_bind(host, &device->addr, 1, &options);
}

/* Returns the first failure, unless a later one left something behind. */
static int worse(int error, int last)
{
	return !error || last == -EUCLEAN ? last ? last : error : error;
}

static bool has_functions(const struct declaration *declaration)
{
	for (size_t i = 0; i < declaration->device_count; i++)
		if (declaration->devices[i].found && declaration->devices[i].has_vfs)
			return true;
	return false;
}

static void keep_only(struct declaration *declaration, const struct usrpci_addr *only)
{
	for (size_t i = 0; i < declaration->device_count; i++)
		if (usrpci_addr_compare(&declaration->devices[i].addr, only))
			declaration->devices[i].has_driver = declaration->devices[i].has_vfs =
				false;
}

/* A dry run changes nothing, so that one look at the host is enough for all devices. */
static int bind_devices(struct usrpci_host *host, const struct declaration *all, bool force)
{
	struct look look;
	bool begun = host->options.dry_run && look_begin(host, &look);
	int error = 0;

	if (begun) {
		look.devices = all->there;
		look.device_count = all->there_count;
	}
	for (size_t i = 0; i < all->device_count; i++)
		error = worse(error, bind_device(host, &all->devices[i], force));
	if (begun)
		look_end(host, &look);
	return error;
}

static int declare_apply(struct usrpci_host *host, struct declaration *all,
			 const struct usrpci_declare_options *options)
{
	const struct usrpci_addr *only = options->only;
	int error = declare_find(host, all, options);

	if (only)
		keep_only(all, only);
	if (declare_check(host, all))
		return -EBADMSG;
	for (size_t i = 0; !only && i < all->page_count; i++)
		error = worse(error, reserve(host, &all->pages[i]));
	for (size_t i = 0; i < all->device_count; i++)
		error = worse(error, set_functions(host, &all->devices[i], options->force));
	if (has_functions(all) && !host->options.dry_run) {
		error = worse(error, declare_find(host, all, options));
		if (declare_check(host, all))
			return -EBADMSG;
	}
	return worse(error, bind_devices(host, all, options->force));
}

int usrpci_host_declare_apply(struct usrpci_host *host,
			      const struct usrpci_declare_options *options)
{
	static const struct usrpci_declare_options defaults;
	struct declaration all = {0};
	int error;

	options = options ? options : &defaults;
	if (options->force && !host->options.confirm_s)
		return refuse(host->ctx, -EINVAL, NULL, "--confirm 60",
			      "files take a device in use only where a confirmation is asked for");
	error = declare_read(host, options->directory ? options->directory : DECLARE_DIR, &all);
	if (!error && options->driverctl)
		error = declare_read_driverctl(host, &all);
	if (!error)
		error = declare_apply(host, &all, options);
	declare_free(&all);
	return error;
}
