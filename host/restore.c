// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gives devices back to what held them before usrpci's first touch, as the journal has it. A device
 * that is in use now stays where it is.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"
#include "file.h"
#include "guard/hold.h"
#include "journal.h"
#include "lend/lend.h"
#include "net/net.h"
#include "quiesce.h"
#include "target.h"
#include "sriov/vfs.h"
#include "vfio_node.h"
#include "restore.h"
#include "serve/serve.h"
#include "state.h"

#define LOG_SUBJECT "restore"
#include "log.h"

static int gone(struct usrpci_host *host, const struct usrpci_addr *addr, const char *why)
{
	char name[USRPCI_ADDR_STRLEN];

	log_warning(host->ctx, usrpci_addr_format(addr, name), NULL, "%s", why);
	journal_drop(host, addr);
	return -ENODEV;
}

/* A driver for userspace provides no disks or interfaces that restore could wait for. */
static int wait_until_usable(struct usrpci_host *host, const struct target *target,
			     const char *driver, const struct journal_record *record)
{
	if (usrpci_driver_kind(driver) != USRPCI_DRIVER_KERNEL)
		return 0;
	return provided_wait(host, &target->info.addr, driver, record->provided,
			     record->provided_count);
}

/* Its virtual functions went with its driver, which makes none by itself. */
static int restore_functions(struct usrpci_host *host, const struct target *target,
			     const struct journal_record *record)
{
	uint64_t now = 0;
	char number[16];
	int error;

	if (!record->functions ||
	    file_read_u64(host->ctx, &now, PCI_DEVICES "/%s/sriov_numvfs", target->name) || now)
		return 0;
	snprintf(number, sizeof(number), "%u", record->functions);
	error = apply_write(host, "create its virtual functions again", number, NULL,
			    PCI_DEVICES "/%s/sriov_numvfs", target->name);
	return error ? report(host->ctx, error, target->name, "dmesg | tail",
			      "its driver did not create its %s virtual functions again", number)
		     : 0;
}

static int put_command(struct usrpci_host *host, const struct target *target, const char *driver,
		       const struct journal_record *record)
{
	int error = 0;

	if (!driver[0] && record->has_command)
		error = quiesce_put_command(host, &target->info.addr, record->command);
	return error ? report(host->ctx, error, target->name, NULL,
			      "cannot put its command register back")
		     : 0;
}

int restore_command(struct usrpci_host *host, const struct target *target)
{
	struct journal_record record = {0};
	int error = journal_read(host, &target->info.addr, &record);

	return error == -ENOENT ? 0 : error ?: put_command(host, target, "", &record);
}

int restore_target(struct usrpci_host *host, struct target *target, const struct binding *was,
		   bool forget)
{
	struct journal_record record = {0};
	struct binding to = *was;
	bool moves = strcmp(target->now.driver, was->driver);
	int error = journal_read(host, &target->info.addr, &record);

	if (error == -ENOENT)
		error = 0;
	if (!error)
		error = driver_load(host, to.driver, record.module);
	if (!error)
		error = target_put_back(host, target, &to);
	if (!error && moves && forget)
		error = wait_until_usable(host, target, to.driver, &record)
				?: restore_functions(host, target, &record);
	if (!error)
		error = put_command(host, target, to.driver, &record);
	if (error || !forget)
		return error;
	return vfio_node_return(host, &target->info, &record)
		       ?: journal_drop(host, &target->info.addr);
}

int restore_show(struct usrpci_host *host, struct target *target)
{
	struct provided provided[PROVIDED_MAX];
	int count = provided_keep(host, &target->info.addr, provided), error;

	host->undoes = true;
	error = target_put_back(host, target, &target->before);
	if (!error && count > 0)
		error = provided_wait(host, &target->info.addr, target->before.driver, provided,
				      count);
	host->undoes = false;
	return count < 0 ? count : error;
}

/* If the driver cannot be loaded, the device is neither stopped nor loses its functions. */
static int load_former_driver(struct usrpci_host *host, const struct target *target,
			      const struct journal_record *record)
{
	char driver[NAME_SIZE];

	strcpy(driver, record->entry.driver);
	return strcmp(target->now.driver, driver) ? driver_load(host, driver, record->module) : 0;
}

/* Loading a module took a while, and from here on nobody can begin to use what a kernel's has. */
static int look_again_and_hold(struct usrpci_host *host, struct target *target, struct hold *hold)
{
	if (usrpci_driver_kind(target->now.driver) != USRPCI_DRIVER_KERNEL)
		return 0;
	return target_hold(host, target, NULL, hold);
}

/* What somebody began to use in the last moment stays where it was. */
static int move_back(struct usrpci_host *host, struct target *target, const struct binding *was,
		     struct hold *hold)
{
	const struct binding before = target->before;
	int error = restore_target(host, target, was, true);

	hold_end(hold);
	target->hold = NULL;
	if (target->used && target_put_back(host, target, &before))
		return -EUCLEAN;
	return error;
}

static int bring_back(struct usrpci_host *host, struct target *target,
		      const struct journal_record *record, bool stopped)
{
	struct hold hold = {0};
	struct binding was;
	int error = 0;

	target->returns = true;
	strcpy(was.driver, record->entry.driver);
	strcpy(was.driver_override, record->entry.driver_override);
	if (strcmp(target->now.driver, was.driver)) {
		if (target->now.driver[0])
			error = target_is_free(host, target, NULL, false);
		if (!error)
			error = load_former_driver(host, target, record)
					?: look_again_and_hold(host, target, &hold);
		if (!error && !stopped)
			target_stop(host, target);
	}
	if (!error)
		error = move_back(host, target, &was, &hold);
	hold_end(&hold);
	return error;
}

/* 1 or 0; a negative errno, logged, when that cannot be found out: such a device is not gone. */
static int device_exists(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char name[USRPCI_ADDR_STRLEN], path[PATH_SIZE];
	int error = path_format(host->ctx, path, PCI_DEVICES "/%s", usrpci_addr_format(addr, name));

	if (!error && !access(path, F_OK))
		return 1;
	if (!error && errno == ENOENT)
		return 0;
	return report(host->ctx, error ?: -errno, name, NULL,
		      "it cannot be found out whether it is there");
}

/* What had it before a driver for userspace took it, nobody knows then. */
static int not_recorded(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char name[USRPCI_ADDR_STRLEN], hint[128];
	struct usrpci_dev_info info;

	usrpci_addr_format(addr, name);
	if (device_exists(host, addr) == 1 && !usrpci_dev_lookup(host->ctx, addr, &info) &&
	    driver_is_userspace(info.driver_kind)) {
		snprintf(hint, sizeof(hint),
			 "usrpci bind %s --driver DRIVER # lspci -k -s %s names the kernel's", name,
			 name);
		return refuse(host->ctx, -ENOENT, name, hint,
			      "it was not restored: %s has it, and there is no record of what had "
			      "it before",
			      info.driver);
	}
	log_info(host->ctx, name, "usrpci never touched it: there is nothing to restore");
	return -ENOENT;
}

static int restore(struct usrpci_host *host, const struct usrpci_addr *addr, bool stopped)
{
	struct journal_record record;
	struct target target;
	int error = journal_read(host, addr, &record), exists, same;

	if (error)
		return error == -ENOENT ? not_recorded(host, addr) : error;
	exists = device_exists(host, addr);
	if (exists < 0)
		return exists;
	if (!exists)
		return gone(host, addr, "it is gone; its record is dropped");
	error = target_init(host, addr, &target);
	if (error)
		return error;
	same = journal_is_of(host, &record, &target.info);
	if (same < 0)
		return same;
	if (!same)
		return gone(host, addr,
			    "another device is in its place, or the same one was plugged in "
			    "anew; its record is dropped");
	if (record.functions_changed)
		error = load_former_driver(host, &target, &record);
	if (!error)
		error = vfs_put_back(host, &target, &record);
	if (!error)
		error = bring_back(host, &target, &record, stopped) ?: state_left(host);
	if (!error || error == -EBUSY || error == -ENOENT || error == -EPERM || error == -EACCES ||
	    error == -EROFS || error == -EUCLEAN)
		return error;
	return -EIO;
}

/* Somebody removed the record, or a bind failed and was rolled back: then it is back already. */
static int restore_without_record(struct usrpci_host *host, const struct usrpci_addr *addr,
				  const char *before)
{
	struct binding was = {0};
	struct target target;
	int error = target_init(host, addr, &target);

	if (error || !driver_is_userspace(target.info.driver_kind))
		return error;
	snprintf(was.driver, sizeof(was.driver), "%s", before);
	if (!strcmp(target.now.driver, was.driver))
		return 0;
	return restore_target(host, &target, &was, true) ?: state_left(host);
}

int restore_lent(struct usrpci_host *host, const struct usrpci_addr *addr, const char *before,
		 bool was_usrpcis)
{
	const struct usrpci_bind_options options = {.driver = before, .force = true};
	int error, exists;

	if (was_usrpcis)
		return usrpci_host_bind(host, addr, 1, &options);
	error = state_lock(host);
	if (error)
		return error;
	if (journal_has(host, addr)) {
		error = restore(host, addr, true);
	} else {
		exists = device_exists(host, addr);
		error = exists > 0 ? restore_without_record(host, addr, before) : exists;
	}
	state_unlock(host);
	return error == -ENODEV ? 0 : error;
}

int usrpci_host_restore(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	int error = serve_end(host, addr) ?: net_end(host, addr);

	/* The process that served the device has given it back. */
	if (error < 0 || (error && !journal_has(host, addr)))
		return error < 0 ? error : 0;
	error = lend_check(host, addr, 1) ?: state_lock(host);
	if (error)
		return error;
	error = restore(host, addr, false) ?: net_left_recover(host, addr);
	state_unlock(host);
	return error;
}
