// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gives devices to drivers. First everything is checked that can be known beforehand; then each
 * device is recorded in the journal and moved (target.c); if anything fails after that, all of them
 * go back to what they were before the call.
 */

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "driver.h"
#include "group.h"
#include "journal.h"
#include "target.h"
#include "vfio_node.h"
#include "state.h"

#define LOG_SUBJECT "bind"
#include "log.h"

/* A bind: the devices, and what the options came to. */
struct plan {
	struct target *targets;
	int count;
	char driver[NAME_SIZE]; /* "" for none */
	bool force, whole_group;
	uid_t uid;
	gid_t gid;
};

static int check_target(struct usrpci_host *host, const struct plan *plan,
			const struct target *target)
{
	struct journal_record record = {0};
	int error;

	if (is_bridge(&target->info))
		return refuse(host->ctx, -EOPNOTSUPP, target->name, NULL,
			      "a bridge is never taken: the devices behind it need it");
	error = driver_suits(host, plan->driver, &target->info, plan->force);
	if (error)
		return error;
	error = journal_read(host, &target->info.addr, &record);
	if (error && error != -ENOENT)
		return error;
	return target_is_free(host, target,
			      usrpci_driver_kind(plan->driver) == USRPCI_DRIVER_VFIO &&
				      !plan->whole_group,
			      plan->force);
}

static bool gives_node(const struct plan *plan)
{
	return plan->uid != (uid_t)-1 || plan->gid != (gid_t)-1;
}

static bool is_done(const struct plan *plan, const struct target *target)
{
	return !strcmp(target->now.driver, plan->driver);
}

/* Records what the device was before usrpci's first touch, unless that is recorded already. */
static int record(struct usrpci_host *host, struct target *target)
{
	struct journal_record record = {0};
	struct usrpci_journal_entry *entry = &record.entry;
	int error = journal_read(host, &target->info.addr, &record);

	/* Another device in the same place makes the old record meaningless. */
	if (!error && entry->vendor == target->info.vendor && entry->device == target->info.device)
		return 0;
	if (error && error != -ENOENT)
		return error;
	record = (struct journal_record){0};
	entry->addr = target->info.addr;
	entry->vendor = target->info.vendor;
	entry->device = target->info.device;
	entry->when = time(NULL);
	strcpy(entry->driver, target->before.driver);
	strcpy(entry->driver_override, target->before.driver_override);
	target->new_record = true;
	return journal_write(host, &record);
}

static int roll_back_target(struct usrpci_host *host, struct target *target)
{
	const struct binding *before = &target->before;
	struct journal_record record;
	int error = target_refresh(host, target);

	if (!error)
		error = target_put_back(host, target, before->driver, before->driver_override);
	if (error || !target->new_record)
		return error;
	if (!journal_read(host, &target->info.addr, &record))
		error = node_return(host, &record);
	return error ? error : journal_drop(host, &target->info.addr);
}

static void roll_back(struct usrpci_host *host, const struct plan *plan, int count)
{
	while (count-- > 0) {
		struct target *target = &plan->targets[count];

		if (roll_back_target(host, target))
			log_error(host->ctx, target->name, "usrpci restore tries again",
				  "could not be rolled back: it was with %s",
				  target->before.driver[0] ? target->before.driver : "no driver");
		else
			log_info(host->ctx, target->name, "rolled back: with %s as before",
				 target->before.driver[0] ? target->before.driver : "no driver");
	}
}

static int take(struct usrpci_host *host, const struct plan *plan)
{
	int i, error = 0;

	for (i = 0; !error && i < plan->count; i++) {
		struct target *target = &plan->targets[i];

		error = record(host, target);
		if (error || is_done(plan, target))
			continue;
		target_stop(host, target);
		error = target_move(host, target, plan->driver);
	}
	if (!error && gives_node(plan))
		error = node_give(host, &plan->targets[0].info, plan->uid, plan->gid);
	if (!error)
		return 0;
	roll_back(host, plan, i);
	return error == -EACCES || error == -EPERM || error == -EROFS || error == -EBADMSG ? error
											   : -EIO;
}

static bool nothing_to_do(const struct plan *plan)
{
	int i;

	for (i = 0; i < plan->count; i++) {
		if (!is_done(plan, &plan->targets[i]))
			return false;
	}
	return !gives_node(plan);
}

static int carry_out(struct usrpci_host *host, struct plan *plan)
{
	int i, error = 0;

	if (nothing_to_do(plan))
		return 0;
	for (i = 0; !error && i < plan->count; i++) {
		if (!is_done(plan, &plan->targets[i]))
			error = check_target(host, plan, &plan->targets[i]);
	}
	if (!error)
		error = driver_load(host, plan->driver);
	return error ? error : take(host, plan);
}

/* Adds the other endpoints of the first target's group; an ISA bridge may be there and idle. */
static int add_group(struct usrpci_host *host, struct plan *plan)
{
	struct usrpci_dev_info *members;
	struct target *targets;
	int count, error = 0;
	int i;

	count = group_endpoints(host, &plan->targets[0].info, &members);
	if (count < 0)
		return report(host->ctx, count, plan->targets[0].name, NULL,
			      "cannot read its IOMMU group");
	targets = reallocarray(plan->targets, (size_t)count + 1, sizeof(*targets));
	if (!targets)
		error = -ENOMEM;
	else
		plan->targets = targets;
	for (i = 0; !error && i < count; i++) {
		if (!usrpci_addr_compare(&members[i].addr, &targets[0].info.addr) ||
		    (is_bridge(&members[i]) && !members[i].driver[0]))
			continue;
		error = target_init(host, &members[i].addr, &targets[plan->count]);
		plan->count += !error;
	}
	free(members);
	return error;
}

static bool parse_id(const char *text, unsigned int *id)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	*id = (unsigned int)number;
	return isdigit((unsigned char)text[0]) && !*end && number < UINT_MAX;
}

static int parse_owner(struct usrpci_host *host, const struct usrpci_bind_options *options,
		       struct plan *plan)
{
	const struct passwd *user = options->user ? getpwnam(options->user) : NULL;
	const struct group *group = options->group ? getgrnam(options->group) : NULL;

	plan->uid = user ? user->pw_uid : (uid_t)-1;
	plan->gid = group ? group->gr_gid : (gid_t)-1;
	if (options->user && !user && !parse_id(options->user, &plan->uid))
		return refuse(host->ctx, -EINVAL, options->user, NULL, "no such user");
	if (options->group && !group && !parse_id(options->group, &plan->gid))
		return refuse(host->ctx, -EINVAL, options->group, NULL, "no such group");
	return 0;
}

static int choose_driver(struct usrpci_host *host, const struct usrpci_bind_options *options,
			 struct plan *plan)
{
	const char *driver = options->driver ? options->driver
					     : driver_default(host, &plan->targets[0].info);

	if (strlen(driver) >= NAME_SIZE || strpbrk(driver, "/\t\n") || driver[0] == '.')
		return refuse(host->ctx, -ENOENT, driver, NULL, "not the name of a driver");
	strcpy(plan->driver, driver);
	driver_spell(host, plan->driver);
	if (gives_node(plan) && usrpci_driver_kind(plan->driver) != USRPCI_DRIVER_VFIO)
		return refuse(host->ctx, -EINVAL, plan->targets[0].name, "--driver vfio-pci",
			      "%s cannot be given to a user, only vfio can", plan->driver);
	return driver_exists(host, plan->driver);
}

static int make_plan(struct usrpci_host *host, const struct usrpci_addr *addr,
		     const struct usrpci_bind_options *options, struct plan *plan)
{
	int error = parse_owner(host, options, plan);

	if (!error)
		error = target_init(host, addr, &plan->targets[0]);
	if (!error)
		error = choose_driver(host, options, plan);
	if (error)
		return error;
	plan->count = 1;
	plan->force = options->force;
	plan->whole_group = options->whole_group &&
			    usrpci_driver_kind(plan->driver) == USRPCI_DRIVER_VFIO;
	return plan->whole_group && plan->targets[0].info.iommu_group >= 0 ? add_group(host, plan)
									   : 0;
}

int usrpci_host_bind(struct usrpci_host *host, const struct usrpci_addr *addr,
		     const struct usrpci_bind_options *options)
{
	static const struct usrpci_bind_options defaults;
	struct plan plan = {.targets = calloc(1, sizeof(*plan.targets))};
	int error;

	if (!plan.targets)
		return -ENOMEM;
	error = state_lock(host);
	if (!error) {
		error = make_plan(host, addr, options ? options : &defaults, &plan);
		if (!error)
			error = carry_out(host, &plan);
		state_unlock(host);
	}
	free(plan.targets);
	return error;
}
