// SPDX-License-Identifier: BSD-2-Clause
/*
 * Moves a device between drivers: driver_override names the only driver that may take it, so no
 * other can on the way; then unbind, drivers_probe, and a look at who holds it. See the kernel's
 * Documentation/ABI/testing/sysfs-bus-pci.
 *
 * The override stays while the device is bound, so that no rescan hands it elsewhere.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"
#include "wait/errand.h"
#include "file.h"
#include "guard/guard.h"
#include "guard/hold.h"
#include "guard/look.h"
#include "quiesce.h"
#include "state.h"
#include "target.h"
#include "vfio_node.h"

#define LOG_SUBJECT "bind"
#include "log.h"

/* What driver_override names while no driver may have the device. */
#define NO_DRIVER "none"

#define LOOKS_MAX 8

static int read_driver(struct usrpci_host *host, struct target *target)
{
	int error = file_link_name(host->ctx, target->now.driver, sizeof(target->now.driver),
				   PCI_DEVICES "/%s/driver", target->name);

	if (error == -ENOENT) {
		target->now.driver[0] = '\0';
		return 0;
	}
	return error;
}

/*
 * While a driver lets go of a device, or takes it, whoever reads this file waits in the kernel. A
 * directory that stands for a host has no kernel to wait for.
 */
static int read_override_text(struct usrpci_host *host, const char *path, char text[ERRAND_SIZE])
{
	struct errand errand = {.held = -1, .deadline_ms = host->settle_ms};
	AUTO_CLOSE int fd = -1;

	if (!host_is_live(host))
		return file_read(host->ctx, text, ERRAND_SIZE, "%s", path);
	errand.fd = fd = file_open(host->ctx, O_RDONLY, "%s", path);
	return fd < 0 ? fd : (int)errand_run(&host->runner, &errand, text, NULL);
}

static int read_override(struct usrpci_host *host, struct target *target)
{
	char path[PATH_SIZE], text[ERRAND_SIZE] = "";
	int length;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override", target->name);
	length = read_override_text(host, path, text);
	text[strcspn(text, "\n")] = '\0';
	make_printable(text);
	target->now.driver_override[0] = '\0';
	if (strlen(text) < NAME_SIZE && strcmp(text, "(null)"))
		strcpy(target->now.driver_override, text);
	target->lacks_override = length == -ENOENT;
	return length == -ENOENT ? 0 : length < 0 ? length : 0;
}

static void moving_name(const struct target *target, char name[64])
{
	snprintf(name, 64, "moving/%s", target->name);
}

/* A driver that waited for a program may still need a moment when that has ended. */
static int wait_for_kernel(struct usrpci_host *host, const struct target *target)
{
	uint64_t end = clock_ms() + host->settle_ms;
	char name[64], text[160];

	if (look_lacks(host, LOOK_MOVING, target->name))
		return 0;
	moving_name(target, name);
	while (state_is_held(host, name, text, sizeof(text))) {
		if (clock_ms() >= end)
			return refuse(host->ctx, -EBUSY, target->name,
				      "end the program that uses it, or reboot", "%s",
				      text[0] ? text : "another process is moving it");
		sleep_ms(20);
	}
	return 0;
}

static int report_refresh(struct usrpci_host *host, const struct target *target, int error)
{
	if (error == -ETIMEDOUT)
		return refuse(host->ctx, -EBUSY, target->name, "ps -eo pid,stat,wchan:40,args",
			      "another program is taking it from its driver, or giving it to one, "
			      "and the kernel has not answered that program");
	return error ? report(host->ctx, error, target->name, NULL, "cannot read who holds it") : 0;
}

int target_refresh(struct usrpci_host *host, struct target *target)
{
	int error = wait_for_kernel(host, target);

	if (error)
		return error;
	target->has_override = true;
	return report_refresh(host, target,
			      read_driver(host, target) ?: read_override(host, target));
}

int target_look(struct usrpci_host *host, const struct usrpci_dev_info *info, struct target *target)
{
	int error;

	*target = (struct target){.info = *info};
	usrpci_addr_format(&info->addr, target->name);
	error = wait_for_kernel(host, target);
	if (error)
		return error;
	error = look_driver(host, &info->addr, target->now.driver)
			? 0
			: report_refresh(host, target, read_driver(host, target));
	target->before = target->now;
	return error;
}

int target_complete(struct usrpci_host *host, struct target *target)
{
	int error = report_refresh(host, target, read_override(host, target));

	target->has_override = true;
	target->before = target->now;
	return error;
}

int target_init(struct usrpci_host *host, const struct usrpci_addr *addr, struct target *target)
{
	struct usrpci_dev_info info;

	return usrpci_dev_lookup(host->ctx, addr, &info) ?:
	       target_look(host, &info, target) ?:
	       target_complete(host, target);
}

static int refused(struct usrpci_host *host, const struct target *target, int error,
		   const char *what, const char *file)
{
	const char *hint = NULL;

	if (error == -EACCES || error == -EPERM)
		hint = "run as root";
	else if (error == -EROFS)
		hint = "/sys is mounted read-only, as in a container: run on the host itself";
	else if (error == -ENOENT && !strcmp(file, "driver_override"))
		hint = "Linux has it for PCI devices since 3.16";
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
	/* A dry run refuses what cannot be done. */
	error = target->lacks_override
			? -ENOENT
			: apply_write(host, why, driver, NULL, PCI_DEVICES "/%s/driver_override",
				      target->name);
	if (error)
		return refused(host, target, error, "choose its driver", "driver_override");
	snprintf(target->now.driver_override, NAME_SIZE, "%s", driver);
	return 0;
}

/* Waits until the driver holds the device; "": until none does. A dry run does not wait. */
static bool settle(struct usrpci_host *host, struct target *target, const char *driver,
		   unsigned int deadline_ms)
{
	uint64_t end = clock_ms() + deadline_ms;

	if (host->options.dry_run) {
		snprintf(target->now.driver, NAME_SIZE, "%s", driver);
		return true;
	}
	while (!read_driver(host, target) && strcmp(target->now.driver, driver)) {
		if (clock_ms() >= end)
			return false;
		sleep_ms(5);
	}
	return !strcmp(target->now.driver, driver);
}

/* Says which function of the kernel a process waits in. Who uses the device was said before. */
static void log_stuck(struct usrpci_host *host, const struct target *target, const char *text,
		      pid_t pid)
{
	char wchan[64] = "";

	file_read(host->ctx, wchan, sizeof(wchan), "/proc/%d/wchan", pid);
	log_error(host->ctx, target->name,
		  "end the program that uses it; then usrpci restore brings it back", "%s%s%s",
		  text, wchan[0] ? " in " : "", wchan);
}

/* The file that is held tells every program, also after this one has ended, what goes on. */
static int write_address(struct usrpci_host *host, struct target *target, const char *why,
			 const char *path)
{
	struct patience patience = {.deadline_ms = host->kernel_ms};
	char name[64], text[128];
	int error;

	moving_name(target, name);
	error = state_hold(host, name, &patience.held);
	if (error)
		return error;
	error = apply_write(host, why, target->name, &patience, "%s", path);
	if (!patience.pid) {
		state_let_go(host, name, patience.held, NULL);
		return error;
	}
	snprintf(text, sizeof(text), "the kernel has not answered yet (%s): process %d waits", why,
		 patience.pid);
	state_let_go(host, name, patience.held, text);
	target->stuck = true;
	log_stuck(host, target, text, patience.pid);
	return -EUCLEAN;
}

/*
 * Looks once more, as often as something came to its interfaces since it was looked at. Where that
 * has no end, it is used.
 */
static int check_free(struct usrpci_host *host, struct target *target)
{
	char text[HOLD_TEXT], cure[HOLD_TEXT];
	int error = 0;

	for (int i = 0; !error && target->hold && hold_news(target->hold, text, cure); i++)
		error = i < LOOKS_MAX ? target_keep_free(host, target, NULL)
				      : refuse(host->ctx, -EBUSY, target->name, cure,
					       "in use: %s, and more comes all the time", text);
	target->used = error != 0;
	return error;
}

/*
 * The driver has let go, and what came to its interfaces in the last moment went with them. A loop
 * device that came to a disk stays, and reads nothing any more.
 */
static int check_lost(struct usrpci_host *host, struct target *target)
{
	char text[HOLD_TEXT], cure[HOLD_TEXT];

	if (!target->hold ||
	    (!hold_news(target->hold, text, cure) && !hold_loops(host, target->hold, text, cure)))
		return 0;
	target->used = true;
	return refuse(host->ctx, -EBUSY, target->name, cure,
		      "in use: %s since a moment ago; it is given back to %s, without that", text,
		      target->before.driver);
}

/*
 * A driver that was only probing, as many do at boot, gives the device up when another one is
 * chosen for it. Then there is none to unbind.
 */
static bool gave_up(struct usrpci_host *host, struct target *target, int error)
{
	return (error == -ENOENT || error == -ENODEV) && !read_driver(host, target) &&
	       !target->now.driver[0] && file_exists(host->ctx, PCI_DEVICES "/%s", target->name);
}

/*
 * Linux 6.1 frees a virtual NVMe controller's memory for doorbells when the last program closes its
 * disk; 6.12 does so before. After the unbind, an Arm kernel has forgotten that the memory is an
 * IOMMU's, and crashes.
 */
static bool must_be_closed_before(const struct target *target)
{
#ifdef __aarch64__
	return target->info.iommu_group >= 0 && !strcmp(target->now.driver, "nvme");
#else
	return false;
#endif
}

static int unbind(struct usrpci_host *host, struct target *target)
{
	char why[96], old[NAME_SIZE], path[PATH_SIZE];
	int error;

	if (!target->now.driver[0])
		return 0;
	strcpy(old, target->now.driver);
	snprintf(why, sizeof(why), "take %s from %s", target->name, old);
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver/unbind", target->name);
	error = check_free(host, target);
	if (error)
		return error;
	if (target->hold && must_be_closed_before(target))
		hold_end_disks(target->hold);
	error = write_address(host, target, why, path);
	if (error == -EUCLEAN)
		return error;
	if (error && !gave_up(host, target, error))
		return refused(host, target, error, "take it from its driver", "driver/unbind");
	if (settle(host, target, "", host->settle_ms))
		return check_lost(host, target);
	return report(host->ctx, -EIO, target->name, "dmesg | tail", "%s does not release it", old);
}

/*
 * vfio-pci refuses devices that are known to harm the host, and says so in the kernel's log alone.
 */
static const char *hint_of_refusal(struct usrpci_host *host, const char *driver, int error)
{
	char mode[8];

	if (error == -EINVAL && !strcmp(driver, "vfio-pci") &&
	    file_read(host->ctx, mode, sizeof(mode),
		      "/sys/module/vfio_pci/parameters/disable_denylist") > 0 &&
	    mode[0] == 'N')
		return "dmesg | tail; if it is on vfio-pci's denylist, and trusted programs alone use "
		       "it: modprobe -r vfio-pci; modprobe vfio-pci disable_denylist=1";
	return "dmesg | tail";
}

/* drivers_probe does not tell why a driver failed; the driver's own bind file does. */
static int ask_driver(struct usrpci_host *host, struct target *target, const char *driver)
{
	char why[96], path[PATH_SIZE];
	int error;

	snprintf(why, sizeof(why), "ask %s once more", driver);
	snprintf(path, sizeof(path), PCI_DRIVERS "/%s/bind", driver);
	error = write_address(host, target, why, path);
	if (error == -EUCLEAN || (!error && settle(host, target, driver, host->settle_ms)))
		return error;
	if (target->tentative)
		return error ?: -EIO;
	return report(host->ctx, error ?: -EIO, target->name, hint_of_refusal(host, driver, error),
		      "%s did not take it", driver);
}

static int probe(struct usrpci_host *host, struct target *target, const char *driver)
{
	char why[96];
	int error;

	snprintf(why, sizeof(why), "give %s to %s", target->name, driver);
	error = write_address(host, target, why, "/sys/bus/pci/drivers_probe");
	if (error == -EUCLEAN)
		return error;
	if (error)
		return refused(host, target, error, "have it probed", "drivers_probe");
	/*
	 * The kernel has probed when the write returns, unless the driver asked for a later time.
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
	if (driver_is_userspace(target->info.driver_kind))
		quiesce(host, &target->info.addr);
}

int target_move(struct usrpci_host *host, struct target *target, const char *driver)
{
	int error = set_override(host, target, driver[0] ? driver : NO_DRIVER);

	if (!error && strcmp(target->now.driver, driver) != 0) {
		error = unbind(host, target);
		if (target->hold)
			hold_end(target->hold);
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
	if (target->stuck)
		return error;
	failed = set_override(host, target, was->driver_override);
	return error ?: failed;
}

const struct target *targets_find(const struct targets *targets, const struct usrpci_addr *addr)
{
	for (size_t i = 0; i < targets->count; i++)
		if (!usrpci_addr_compare(&targets->list[i].info.addr, addr))
			return &targets->list[i];
	return NULL;
}

static bool comes_along(const struct targets *along, const char *name)
{
	const struct target *target;
	struct usrpci_addr addr;

	if (usrpci_addr_parse(name, &addr))
		return false;
	target = targets_find(along, &addr);
	return target && usrpci_driver_kind(target->wanted) != USRPCI_DRIVER_KERNEL;
}

/*
 * Even with force, a device is not taken from a program that holds it through vfio, because the
 * kernel would wait for that program and could not be interrupted.
 */
static bool stands_in_the_way(const struct target *target, const struct usrpci_use *use,
			      const struct targets *along, bool force)
{
	if (force)
		return (use->kind == USRPCI_USE_OPEN || use->kind == USRPCI_USE_UNKNOWN) &&
		       target->info.driver_kind == USRPCI_DRIVER_VFIO;
	if (use->kind == USRPCI_USE_GROUP)
		return along && !comes_along(along, use->object);
	/* An ISA bridge passes transactions on whether it has a driver or none. */
	return use->kind != USRPCI_USE_BRIDGE || !target->released;
}

static void log_use(struct usrpci_host *host, const struct target *target,
		    const struct usrpci_use *use, bool force)
{
	char hint[sizeof(use->cure) + 64];

	snprintf(hint, sizeof(hint), "%s%s", use->cure,
		 cure_is_force(use->kind) && !force && !target->returns &&
				 !strstr(use->cure, "--force")
			 ? " # --force takes it nevertheless"
			 : "");
	log_error(host->ctx, target->name, hint, "in use: %s", use->text);
}

/* A dry run finds in place what would have been moved before. */
static bool would_have_moved(const struct usrpci_host *host, const struct usrpci_use *use)
{
	return host->moved && !strcmp(use->object, host->moved) &&
	       (use->kind == USRPCI_USE_ADDRESS || use->kind == USRPCI_USE_ROUTE);
}

/*
 * A user of --force must see what it breaks, and what to end if the driver does not release the
 * device.
 */
static int count_standing(struct usrpci_host *host, const struct target *target,
			  const struct usrpci_use *uses, int count, const struct targets *along,
			  bool force)
{
	int standing = 0;

	for (int i = 0; i < count; i++) {
		if (would_have_moved(host, &uses[i]))
			continue;
		if (stands_in_the_way(target, &uses[i], along, force)) {
			log_use(host, target, &uses[i], force);
			standing++;
		} else if (force) {
			log_warning(host->ctx, target->name, NULL, "taken by force: %s",
				    uses[i].text);
		}
	}
	return standing;
}

int target_is_free(struct usrpci_host *host, const struct target *target,
		   const struct targets *along, bool force)
{
	bool is_vfio = target->info.driver_kind == USRPCI_DRIVER_VFIO;
	struct guard_view view = {0};
	int error = guard_look(host, &target->info, false, &view);
	int standing = count_standing(host, target, view.uses, (int)view.use_count, along, force);

	usrpci_host_uses_free(view.uses);
	if (standing)
		return -EBUSY;
	if (error && (!force || is_vfio))
		return error;
	return is_vfio ? vfio_node_is_free(host, &target->info) : 0;
}

int target_hold(struct usrpci_host *host, struct target *target, const struct targets *along,
		struct hold *hold)
{
	if (host->options.dry_run || !host_is_live(host))
		return 0;
	target->hold = hold;
	return target_keep_free(host, target, along);
}

int target_keep_free(struct usrpci_host *host, const struct target *target,
		     const struct targets *along)
{
	int error;

	host->hold = target->hold;
	error = target_is_free(host, target, along, false);
	host->hold = NULL;
	return error;
}
