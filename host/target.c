// SPDX-License-Identifier: BSD-2-Clause
/*
 * Moves a device between drivers: driver_override names the only driver that may take it, so no
 * other can on the way; then unbind, drivers_probe, and a look at who holds it. See the kernel's
 * Documentation/ABI/testing/sysfs-bus-pci.
 *
 * The override stays while the device is bound, so that no rescan hands it elsewhere.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"
#include "file.h"
#include "guard/guard.h"
#include "target.h"
#include "quiesce.h"

#define LOG_SUBJECT "bind"
#include "log.h"

/* What driver_override names while no driver may have the device. */
#define NO_DRIVER "none"

static int read_binding(struct usrpci_host *host, struct target *target)
{
	struct binding *now = &target->now;
	int error = file_link_name(host->ctx, now->driver, sizeof(now->driver),
				   PCI_DEVICES "/%s/driver", target->name);

	if (error == -ENOENT) {
		now->driver[0] = '\0';
		error = 0;
	}
	if (!error)
		error = file_read(host->ctx, now->driver_override, sizeof(now->driver_override),
				  PCI_DEVICES "/%s/driver_override", target->name);
	if (error < 0 || !strcmp(now->driver_override, "(null)"))
		now->driver_override[0] = '\0';
	return error < 0 && error != -ENOENT ? error : 0;
}

int target_refresh(struct usrpci_host *host, struct target *target)
{
	int error = read_binding(host, target);

	return error ? report(host->ctx, error, target->name, NULL, "cannot read who holds it") : 0;
}

int target_init(struct usrpci_host *host, const struct usrpci_addr *addr, struct target *target)
{
	int error;

	*target = (struct target){0};
	usrpci_addr_format(addr, target->name);
	error = usrpci_dev_lookup(host->ctx, addr, &target->info);
	if (error)
		return error;
	error = target_refresh(host, target);
	target->before = target->now;
	return error;
}

static int refused(struct usrpci_host *host, const struct target *target, int error,
		   const char *what, const char *file)
{
	const char *hint = NULL;

	if (error == -EACCES || error == -EPERM)
		hint = "run as root";
	else if (error == -EROFS)
		hint = "/sys is mounted read-only, as in a container: run on the host itself";
	return report(host->ctx, error, target->name, hint, "cannot %s (%s)", what, file);
}

static int set_override(struct usrpci_host *host, struct target *target, const char *driver)
{
	char why[96];
	int error;

	if (!strcmp(target->now.driver_override, driver))
		return 0;
	if (!strcmp(driver, NO_DRIVER))
		snprintf(why, sizeof(why), "keep every driver from %s", target->name);
	else
		snprintf(why, sizeof(why),
			 driver[0] ? "let only %s take %s" : "%slet any driver take %s", driver,
			 target->name);
	error = apply_write(host, why, driver, PCI_DEVICES "/%s/driver_override", target->name);
	if (error)
		return refused(host, target, error, "choose its driver", "driver_override");
	snprintf(target->now.driver_override, NAME_SIZE, "%s", driver);
	return 0;
}

/* Waits until a driver holds the device; "" until none does. A dry run believes at once. */
static bool settle(struct usrpci_host *host, struct target *target, const char *driver,
		   unsigned int deadline_ms)
{
	uint64_t end = clock_ms() + deadline_ms;

	if (host->options.dry_run) {
		snprintf(target->now.driver, NAME_SIZE, "%s", driver);
		return true;
	}
	while (!read_binding(host, target) && strcmp(target->now.driver, driver) != 0) {
		if (clock_ms() >= end)
			return false;
		sleep_ms(5);
	}
	return !strcmp(target->now.driver, driver);
}

static int unbind(struct usrpci_host *host, struct target *target)
{
	char why[96], old[NAME_SIZE];
	int error;

	if (!target->now.driver[0])
		return 0;
	strcpy(old, target->now.driver);
	snprintf(why, sizeof(why), "take %s from %s", target->name, old);
	error = apply_write(host, why, target->name, PCI_DEVICES "/%s/driver/unbind", target->name);
	if (error)
		return refused(host, target, error, "take it from its driver", "driver/unbind");
	if (settle(host, target, "", host->settle_ms))
		return 0;
	return report(host->ctx, -EIO, target->name, "dmesg | tail", "%s does not let go of it",
		      old);
}

/* drivers_probe does not tell why a driver failed; the driver's own bind file does. */
static int ask_driver(struct usrpci_host *host, struct target *target, const char *driver)
{
	char why[96];
	int error;

	snprintf(why, sizeof(why), "ask %s once more", driver);
	error = apply_write(host, why, target->name, PCI_DRIVERS "/%s/bind", driver);
	if (!error && settle(host, target, driver, host->settle_ms))
		return 0;
	return report(host->ctx, error ? error : -EIO, target->name, "dmesg | tail",
		      "%s did not take it", driver);
}

static int probe(struct usrpci_host *host, struct target *target, const char *driver)
{
	char why[96];
	int error;

	snprintf(why, sizeof(why), "give %s to %s", target->name, driver);
	error = apply_write(host, why, target->name, "/sys/bus/pci/drivers_probe");
	if (error)
		return refused(host, target, error, "have it probed", "drivers_probe");
	/* The kernel has probed when the write returns, unless the driver asked for a later time.
	 */
	if (settle(host, target, driver, host->settle_ms / 10))
		return 0;
	if (!target->now.driver[0])
		return ask_driver(host, target, driver);
	return report(host->ctx, -EIO, target->name, NULL, "%s took it instead of %s",
		      target->now.driver, driver);
}

void target_stop(struct usrpci_host *host, const struct target *target)
{
	if (!host->options.dry_run && driver_is_userspace(target->info.driver_kind))
		quiesce(host, &target->info.addr);
}

int target_move(struct usrpci_host *host, struct target *target, const char *driver)
{
	int error = set_override(host, target, driver[0] ? driver : NO_DRIVER);

	if (!error && strcmp(target->now.driver, driver) != 0) {
		error = unbind(host, target);
		if (!error && driver[0])
			error = probe(host, target, driver);
	}
	return error;
}

int target_put_back(struct usrpci_host *host, struct target *target, const struct binding *was)
{
	int error = 0, failed;

	if (strcmp(target->now.driver, was->driver))
		error = target_move(host, target, was->driver);
	failed = set_override(host, target, was->driver_override);
	return error ? error : failed;
}

const struct target *targets_find(const struct targets *targets, const struct usrpci_addr *addr)
{
	for (size_t i = 0; i < targets->count; i++) {
		if (!usrpci_addr_compare(&targets->list[i].info.addr, addr))
			return &targets->list[i];
	}
	return NULL;
}

static bool comes_along(const struct targets *along, const char *name)
{
	const struct target *target;
	struct usrpci_addr addr;

	if (usrpci_addr_parse(name, &addr))
		return false;
	target = targets_find(along, &addr);
	return target && (usrpci_driver_kind(target->wanted) != USRPCI_DRIVER_KERNEL);
}

/* Even by force, a device is not torn from a program that holds it through vfio: the kernel waits
 * for the program then, and cannot be interrupted. */
static bool stands_in_the_way(const struct target *target, const struct usrpci_use *use,
			      const struct targets *along, bool force)
{
	if (force)
		return (use->kind == USRPCI_USE_OPEN || use->kind == USRPCI_USE_UNKNOWN) &&
		       target->info.driver_kind == USRPCI_DRIVER_VFIO;
	if (use->kind == USRPCI_USE_GROUP)
		return along && !comes_along(along, use->object);
	return true;
}

static void log_use(struct usrpci_host *host, const struct target *target,
		    const struct usrpci_use *use, bool force)
{
	char hint[sizeof(use->cure) + 64];

	snprintf(hint, sizeof(hint), "%s%s", use->cure,
		 cure_is_force(use->kind) && !force ? "; --force takes it nevertheless" : "");
	log_error(host->ctx, target->name, hint, "in use: %s", use->text);
}

int target_is_free(struct usrpci_host *host, const struct target *target,
		   const struct targets *along, bool force)
{
	struct usrpci_use *uses = NULL;
	int count, standing = 0;

	if (force && target->info.driver_kind != USRPCI_DRIVER_VFIO)
		return 0;
	count = usrpci_host_uses(host, &target->info.addr, &uses);
	for (int i = 0; i < count; i++) {
		if (!stands_in_the_way(target, &uses[i], along, force))
			continue;
		log_use(host, target, &uses[i], force);
		standing++;
	}
	usrpci_host_uses_free(uses);
	if (count < 0)
		return count;
	return standing ? -EBUSY : 0;
}
