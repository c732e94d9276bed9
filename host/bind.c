// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gives devices to drivers. First it checks everything that can be known beforehand; then each
 * device is recorded in the journal and moved (target.c); if anything fails after that, all of them
 * go back to what they were before the call (restore.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/pci_regs.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bind.h"
#include "bytes.h"
#include "confirm/confirm.h"
#include "driver.h"
#include "file.h"
#include "group.h"
#include "guard/hold.h"
#include "guard/look.h"
#include "journal.h"
#include "lend/lend.h"
#include "numbers.h"
#include "restore.h"
#include "target.h"
#include "vfio_node.h"
#include "wait/provided.h"
#include "state.h"

#define LOG_SUBJECT "bind"
#include "log.h"

#define CLASS_EHCI 0x0c0320

/* A bind: the devices, and the decisions from the options. */
struct plan {
	const struct usrpci_bind_options *options;
	struct targets targets;
	uid_t uid;
	gid_t gid;
	struct hold hold; /* keeps free what is moved next */
};

static const struct targets *along(const struct plan *plan, const struct target *target)
{
	return usrpci_driver_kind(target->wanted) == USRPCI_DRIVER_VFIO ? &plan->targets : NULL;
}

/*
 * Where nothing is loaded and nothing else is moved before it, the first look is the last: what it
 * finds free is held from then on.
 */
static bool holds_at_once(struct usrpci_host *host, const struct plan *plan)
{
	return plan->targets.count == 1 && !plan->options->force && !host->options.dry_run &&
	       !host->options.confirm_s && host_is_live(host) &&
	       driver_is_loaded(host, plan->targets.list[0].wanted);
}

static int check_target(struct usrpci_host *host, struct plan *plan, struct target *target)
{
	bool force = plan->options->force;
	struct journal_record record = {0};
	int error, in_use;

	if (is_bridge(&target->info) && !target->released)
		return refuse(host->ctx, -EOPNOTSUPP, target->name, NULL,
			      "a bridge is never taken: the devices behind it need it");
	error = driver_suits(host, target->wanted, &target->info, force);
	if (!error)
		driver_warn(host, target->wanted, &target->info);
	error = error ?: journal_read(host, &target->info.addr, &record);
	if (error == -ENOENT)
		error = 0;
	/*
	 * The uses are reported in any case, because a user who reads about --force must know what
	 * it breaks.
	 */
	in_use = holds_at_once(host, plan)
			 ? target_hold(host, target, along(plan, target), &plan->hold)
			 : target_is_free(host, target, along(plan, target), force);
	/* Whoever waits until it is free must learn that it is in use, whatever else is wrong. */
	return in_use == -EBUSY ? in_use : error ?: in_use;
}

static bool gives_node(const struct plan *plan)
{
	return plan->uid != (uid_t)-1 || plan->gid != (gid_t)-1;
}

static bool is_done(const struct target *target)
{
	return !strcmp(target->now.driver, target->wanted);
}

/* The kernel puts the register back for a driver, but not where there is none. */
static int record_command(struct usrpci_host *host, const struct target *target,
			  struct journal_record *record)
{
	uint8_t command[2] = {0xff, 0xff};
	ssize_t got;
	AUTO_CLOSE int fd = target->before.driver[0]
				    ? -ENOENT
				    : file_open(host->ctx, O_RDONLY, PCI_DEVICES "/%s/config",
						target->name);

	if (fd == -ENOENT)
		return 0;
	got = fd < 0 ? fd : pread(fd, command, sizeof(command), PCI_COMMAND);
	if (got < 0)
		return report(host->ctx, fd < 0 ? fd : -errno, target->name, NULL,
			      "its command register cannot be read, and so not be put back");
	record->command = get_le16(command);
	record->has_command = record->command != UINT16_MAX;
	return 0;
}

/* What a device without a driver has in its register, this time. The first record has more. */
static int record_again(struct usrpci_host *host, const struct target *target,
			struct journal_record *record)
{
	int error;

	if (!record->entry.driver[0] || target->before.driver[0])
		return 0;
	error = record_command(host, target, record);
	return error ?: journal_write(host, record);
}

int bind_record(struct usrpci_host *host, struct target *target)
{
	struct journal_record record = {0};
	struct usrpci_journal_entry *entry = &record.entry;
	int error = journal_read(host, &target->info.addr, &record);
	uint64_t functions = 0;
	int same;

	if (host->options.dry_run)
		return error == -ENOENT ? 0 : error;
	same = error ? 0 : journal_is_of(host, &record, &target->info);
	if (same)
		return same < 0 ? same : record_again(host, target, &record);
	if (error && error != -ENOENT)
		return error;
	record = (struct journal_record){0};
	error = journal_identity(host, &target->info.addr, &record.identity);
	if (error)
		return error;
	entry->addr = target->info.addr;
	entry->vendor = target->info.vendor;
	entry->device = target->info.device;
	entry->when = time(NULL);
	strcpy(entry->driver, target->before.driver);
	strcpy(entry->driver_override, target->before.driver_override);
	driver_module(host, entry->driver, record.module);
	record.provided_count = provided_keep(host, &entry->addr, record.provided);
	if (record.provided_count < 0)
		return record.provided_count;
	file_read_u64(host->ctx, &functions, PCI_DEVICES "/%s/sriov_numvfs", target->name);
	record.functions = (unsigned int)functions;
	error = record_command(host, target, &record);
	if (error)
		return error;
	target->new_record = true;
	return journal_write(host, &record);
}

/*
 * A device that the kernel has not answered about is left alone, with its record, and so is one
 * that was not to be moved.
 */
static int roll_back(struct usrpci_host *host, struct target *target)
{
	const char *driver = target->before.driver[0] ? target->before.driver : "no driver";
	int error;

	if (!target->has_override)
		return 0;
	error = target->stuck ? -EUCLEAN : target_refresh(host, target);
	if (!error)
		error = restore_target(host, target, &target->before, target->new_record);
	if (!error)
		confirm_forget(host, &target->info.addr);
	if (error)
		log_error(host->ctx, target->name, "usrpci restore tries again",
			  "it could not be rolled back: %s held it before", driver);
	else
		log_info(host->ctx, target->name, "it was rolled back: %s holds it as before",
			 driver);
	return error ? -EUCLEAN : 0;
}

static int look_again(struct usrpci_host *host, struct target *target)
{
	return host->options.dry_run
		       ? 0
		       : usrpci_dev_lookup(host->ctx, &target->info.addr, &target->info);
}

/* A device that vfio-pci does not take, and that has no group even now, has no IOMMU. */
static int move(struct usrpci_host *host, const struct plan *plan, struct target *target)
{
	int error = target_move(host, target, target->wanted);
	bool was_try = target->tentative;

	target->tentative = false;
	if (target->stuck || target->used || target->info.iommu_group >= 0 || (error && !was_try))
		return error;
	if (look_again(host, target))
		return error;
	if (!error)
		return 0;
	if (target->info.iommu_group >= 0)
		return report(host->ctx, error, target->name, "dmesg | tail", "%s did not take it",
			      target->wanted);
	error = driver_fall_back(host, &target->info, plan->options->force, target->wanted);
	if (error)
		return error;
	log_info(host->ctx, target->name, "no IOMMU translates for it: it goes to uio_pci_generic");
	return target_move(host, target, target->wanted);
}

/*
 * Loading a module, or moving the targets before this one, took a while, and somebody may use it
 * now. From here on nobody can begin to, or that is noticed.
 */
static int look_again_and_hold(struct usrpci_host *host, struct plan *plan, struct target *target)
{
	if (is_done(target) || plan->options->force || target->hold)
		return 0;
	return target_hold(host, target, along(plan, target), &plan->hold);
}

static int take_and_hold(struct usrpci_host *host, struct plan *plan, struct target *target)
{
	/* What waits for a confirmation is started before there is a disk that it had open. */
	int error = confirm_note(host, &target->info.addr)
			    ?: look_again_and_hold(host, plan, target)
			    ?: bind_record(host, target);

	if (!error && !is_done(target)) {
		target_stop(host, target);
		error = move(host, plan, target);
		if (!error && !target->wanted[0])
			error = restore_command(host, target);
		if (!error && usrpci_driver_kind(target->wanted) == USRPCI_DRIVER_KERNEL)
			error = provided_wait(host, &target->info.addr, target->wanted, NULL, 0);
	}
	return error;
}

/* A virtual function goes with the driver of its physical function, which is of the plan too. */
static bool has_gone_along(struct usrpci_host *host, const struct plan *plan, struct target *target)
{
	struct usrpci_addr parent;

	if (usrpci_addr_parse(target->parent, &parent) || !targets_find(&plan->targets, &parent) ||
	    file_exists(host->ctx, PCI_DEVICES "/%s", target->name))
		return false;
	target->has_override = false;
	log_info(host->ctx, target->name, "it is gone with the driver of its physical function");
	return true;
}

static int take(struct usrpci_host *host, struct plan *plan, struct target *target)
{
	int error;

	if (is_done(target) && !gives_node(plan))
		return 0;
	if (has_gone_along(host, plan, target))
		return 0;
	error = take_and_hold(host, plan, target);
	hold_end(&plan->hold);
	target->hold = NULL;
	if (!error && gives_node(plan))
		error = vfio_node_give(host, &target->info, plan->uid, plan->gid);
	return error;
}

static int show_undo(struct usrpci_host *host, const struct plan *plan)
{
	int error = 0;

	for (size_t i = plan->targets.count; !error && i > 0; i--) {
		struct target *target = &plan->targets.list[i - 1];

		if (strcmp(target->now.driver, target->before.driver))
			error = restore_show(host, target);
	}
	return error;
}

static int take_all(struct usrpci_host *host, struct plan *plan)
{
	size_t taken = 0;
	int error = 0, left = 0;

	while (!error && taken < plan->targets.count)
		error = take(host, plan, &plan->targets.list[taken++]);
	if (!error && host->options.dry_run && host->options.undo)
		return show_undo(host, plan);
	if (!error)
		return 0;
	while (taken > 0)
		left |= roll_back(host, &plan->targets.list[--taken]);
	if (left)
		return left;
	return error == -EACCES || error == -EPERM || error == -EROFS || error == -EBADMSG ||
			       error == -EALREADY || error == -EBUSY
		       ? error
		       : -EIO;
}

static int check_targets(struct usrpci_host *host, struct plan *plan)
{
	struct look look;
	bool begun = look_begin(host, &look);
	int error = 0;

	for (size_t i = 0; !error && i < plan->targets.count; i++)
		if (!is_done(&plan->targets.list[i]))
			error = check_target(host, plan, &plan->targets.list[i]);
	if (begun)
		look_end(host, &look);
	return error;
}

static int carry_out(struct usrpci_host *host, struct plan *plan)
{
	int error = check_targets(host, plan);

	for (size_t i = 0; !error && i < plan->targets.count; i++)
		error = driver_load(host, plan->targets.list[i].wanted, NULL);
	error = error ?: take_all(host, plan);
	hold_end(&plan->hold);
	return error;
}

bool bind_find_user(const char *name, uid_t *uid)
{
	const struct passwd *user = getpwnam(name);

	if (user)
		*uid = user->pw_uid;
	return user || parse_id(name, uid);
}

bool bind_find_group(const char *name, gid_t *gid)
{
	const struct group *group = getgrnam(name);

	if (group)
		*gid = group->gr_gid;
	return group || parse_id(name, gid);
}

static int parse_owner(struct usrpci_host *host, struct plan *plan)
{
	const char *user = plan->options->user, *group = plan->options->group;

	plan->uid = (uid_t)-1;
	plan->gid = (gid_t)-1;
	if (user && !bind_find_user(user, &plan->uid))
		return refuse(host->ctx, -EINVAL, user, NULL, "no such user");
	if (group && !bind_find_group(group, &plan->gid))
		return refuse(host->ctx, -EINVAL, group, NULL, "no such group");
	return 0;
}

static int choose_driver(struct usrpci_host *host, const struct plan *plan, struct target *target)
{
	const char *driver = plan->options->driver;

	if (!driver) {
		driver_default(host, &target->info, target->wanted);
		driver = target->wanted;
		target->tentative = group_may_come(host, &target->info) && !gives_node(plan);
	}
	if (strlen(driver) >= NAME_SIZE || strpbrk(driver, "/\t\n") || driver[0] == '.')
		return refuse(host->ctx, -ENOENT, driver, NULL, "not the name of a driver");
	if (driver != target->wanted)
		strcpy(target->wanted, driver);
	driver_spell(host, target->wanted);
	if (gives_node(plan) && usrpci_driver_kind(target->wanted) != USRPCI_DRIVER_VFIO)
		return refuse(host->ctx, -EINVAL, target->name, "--driver vfio-pci",
			      "a device of %s cannot be given to a user: only vfio can do that",
			      target->wanted);
	if (gives_node(plan) && !group_translates(host, &target->info) &&
	    !group_may_come(host, &target->info) && group_noiommu(host))
		return refuse(host->ctx, -EOPNOTSUPP, target->name,
			      "usrpci run lends the device to a program without rights",
			      "it cannot be given to a user: without an IOMMU, vfio opens it for "
			      "root alone (CAP_SYS_RAWIO)");
	return driver_exists(host, target->wanted);
}

/*
 * A device that is named twice, or also through its group, is one target. A device that is to be
 * released gets no driver.
 */
static int add_target(struct usrpci_host *host, struct plan *plan, const struct usrpci_addr *addr,
		      bool released)
{
	struct targets *targets = &plan->targets;
	struct target *longer, *target;
	struct usrpci_dev_info info;
	int error;

	if (targets_find(targets, addr))
		return 0;
	longer = reallocarray(targets->list, targets->count + 1, sizeof(*longer));
	if (!longer)
		return -ENOMEM;
	targets->list = longer;
	target = &longer[targets->count];
	error = look_device(host, addr, &info) ?: target_look(host, &info, target);
	target->released = released;
	if (file_link_name(host->ctx, target->parent, sizeof(target->parent),
			   PCI_DEVICES "/%s/physfn", target->name))
		target->parent[0] = '\0';
	if (!error && !released)
		error = choose_driver(host, plan, target);
	if (!error && (!is_done(target) || gives_node(plan)))
		error = target_complete(host, target);
	targets->count += !error;
	return error;
}

/*
 * Adds the other endpoints of a target's group. An ISA bridge gets no driver of vfio, which cannot
 * drive it; but its own driver must release it, because it keeps vfio from opening the group.
 */
static int add_group(struct usrpci_host *host, struct plan *plan, const struct target *target)
{
	struct usrpci_dev_info *members;
	int error = 0, count;

	if (target->info.iommu_group < 0 ||
	    usrpci_driver_kind(target->wanted) != USRPCI_DRIVER_VFIO)
		return 0;
	count = group_endpoints(host, &target->info, &members);
	if (count < 0)
		return report(host->ctx, count, target->name, NULL, "cannot read its IOMMU group");
	for (int i = 0; !error && i < count; i++)
		if (!is_bridge(&members[i]) || members[i].driver[0])
			error = add_target(host, plan, &members[i].addr, is_bridge(&members[i]));
	free(members);
	return error;
}

static bool has_function(const struct targets *targets, const char *name)
{
	for (size_t i = 0; i < targets->count; i++)
		if (!strcmp(targets->list[i].parent, name))
			return true;
	return false;
}

/*
 * The slow devices at the ports of an EHCI controller belong to functions beside it, its
 * companions; none of them may leave before it. Virtual functions go with their physical function,
 * and would be moved in vain before it.
 */
static void move_some_first(struct targets *targets)
{
	for (size_t i = 1; i < targets->count; i++) {
		struct target target = targets->list[i];

		if (target.info.class_code != CLASS_EHCI && !has_function(targets, target.name))
			continue;
		memmove(&targets->list[1], &targets->list[0], i * sizeof(target));
		targets->list[0] = target;
	}
}

static int make_plan(struct usrpci_host *host, const struct usrpci_addr *addrs, size_t count,
		     struct plan *plan)
{
	int error = parse_owner(host, plan);

	for (size_t i = 0; !error && i < count; i++)
		error = add_target(host, plan, &addrs[i], false);
	count = plan->options->whole_group ? plan->targets.count : 0;
	for (size_t i = 0; !error && i < count; i++)
		error = add_group(host, plan, &plan->targets.list[i]);
	move_some_first(&plan->targets);
	return error;
}

/* With force, the bind itself says what it is taken from. */
int bind_look(struct usrpci_host *host, const struct usrpci_addr *addr,
	      const struct usrpci_bind_options *options)
{
	struct plan plan = {.options = options};
	int error = make_plan(host, addr, 1, &plan);

	for (size_t i = 0; !error && i < plan.targets.count; i++) {
		struct target *target = &plan.targets.list[i];

		if (is_done(target))
			continue;
		error = driver_suits(host, target->wanted, &target->info, options->force);
		if (!error && !options->force)
			error = target_is_free(host, target, along(&plan, target), false);
		error = error ?: driver_load(host, target->wanted, NULL);
	}
	free(plan.targets.list);
	return error;
}

int usrpci_host_bind(struct usrpci_host *host, const struct usrpci_addr *addrs, size_t count,
		     const struct usrpci_bind_options *options)
{
	static const struct usrpci_bind_options defaults;
	struct plan plan = {.options = options ? options : &defaults};
	int error = state_lock(host);

	if (error)
		return error;
	error = lend_check(host, addrs, count) ?:
		make_plan(host, addrs, count, &plan) ?:
		carry_out(host, &plan) ?:
		state_left(host);
	state_unlock(host);
	free(plan.targets.list);
	return error;
}
