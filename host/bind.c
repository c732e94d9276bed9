// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gives devices to drivers and back. One way to move a device serves bind, restore and rollback:
 * driver_override names the only driver that may take it, so no other can on the way; then unbind,
 * drivers_probe, and a look at who holds it. See the kernel's
 * Documentation/ABI/testing/sysfs-bus-pci.
 *
 * The override stays while the device is bound, so that no rescan hands it elsewhere. Kernels
 * before 3.16 have none: there new_id is used, which tempts every free device with the same id.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "file.h"
#include "group.h"
#include "guard.h"
#include "journal.h"
#include "modules.h"
#include "state.h"

#define LOG_SUBJECT "bind"
#include "log.h"

/* What driver_override names while no driver may have the device. */
#define NO_DRIVER "none"

/* Who holds a device. */
struct binding {
	char driver[NAME_SIZE];
	char driver_override[NAME_SIZE];
};

struct target {
	struct usrpci_dev_info info;
	char name[USRPCI_ADDR_STRLEN];
	struct binding before; /* this call's first look */
	struct binding now;
	bool has_override;
	bool new_record; /* the record is this call's, and goes if the call fails */
};

/* A bind: the devices, and what the options came to. */
struct plan {
	struct target *targets;
	int count;
	const char *driver; /* "" for none */
	bool force, whole_group;
	uid_t uid;
	gid_t gid;
};

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
	target->has_override = error != -ENOENT;
	if (error < 0 || !strcmp(now->driver_override, "(null)"))
		now->driver_override[0] = '\0';
	return error < 0 && error != -ENOENT ? error : 0;
}

static int target_init(struct usrpci_host *host, const struct usrpci_addr *addr,
		       struct target *target)
{
	int error;

	*target = (struct target){0};
	usrpci_addr_format(addr, target->name);
	error = usrpci_dev_lookup(host->ctx, addr, &target->info);
	if (error)
		return error;
	error = read_binding(host, target);
	target->before = target->now;
	return error ? report(host->ctx, error, target->name, NULL, "cannot read who holds it") : 0;
}

/*
 * Moving a device. Each step fails with the log entry that says which write the kernel refused.
 */

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

	if (!target->has_override || !strcmp(target->now.driver_override, driver))
		return 0;
	snprintf(why, sizeof(why), driver[0] ? "let only %s take %s" : "%slet any driver take %s",
		 driver, target->name);
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

static int write_id(struct usrpci_host *host, struct target *target, const char *driver,
		    const char *file)
{
	char why[96], id[16];

	snprintf(id, sizeof(id), "%04x %04x", target->info.vendor, target->info.device);
	snprintf(why, sizeof(why), "%s: the devices %s", driver, id);
	return apply_write(host, why, id, PCI_DRIVERS "/%s/%s", driver, file);
}

static int move_by_id(struct usrpci_host *host, struct target *target, const char *driver)
{
	int error = unbind(host, target);

	if (error || !driver[0])
		return error;
	/* A driver that knows the id already says so by -EEXIST. */
	error = write_id(host, target, driver, "new_id");
	if (error && error != -EEXIST)
		return refused(host, target, error, "teach its driver the id", "new_id");
	if (settle(host, target, driver, host->settle_ms / 10))
		return 0;
	return ask_driver(host, target, driver);
}

static int move(struct usrpci_host *host, struct target *target, const char *driver)
{
	int error;

	if (!target->has_override)
		return move_by_id(host, target, driver);
	error = set_override(host, target, driver[0] ? driver : NO_DRIVER);
	if (!error && strcmp(target->now.driver, driver) != 0) {
		error = unbind(host, target);
		if (!error && driver[0])
			error = probe(host, target, driver);
	}
	return error;
}

/* Moves a device to what it was. Goes on after a failed step: the next may still help. */
static int put_back(struct usrpci_host *host, struct target *target, const char *driver,
		    const char *driver_override)
{
	int error = 0, failed;

	if (strcmp(target->now.driver, driver) != 0)
		error = move(host, target, driver);
	failed = set_override(host, target, driver_override);
	return error ? error : failed;
}

/*
 * The nodes below /dev/vfio that a bind gave to a user.
 */

static int node_stat(struct usrpci_host *host, const char *path, struct journal_node *node)
{
	char full[PATH_SIZE];
	struct stat status;
	int error = path_format(host->ctx, full, "%s", path);

	if (!error && stat(full, &status))
		error = -errno;
	if (error)
		return error;
	*node = (struct journal_node){
		.uid = status.st_uid, .gid = status.st_gid, .mode = status.st_mode & 07777};
	snprintf(node->path, sizeof(node->path), "%s", path);
	return 0;
}

/* The kernel makes the node when the group's first device comes to vfio. */
static int node_wait(struct usrpci_host *host, const char *path, struct journal_node *node)
{
	uint64_t end = clock_ms() + host->settle_ms;
	int error;

	while ((error = node_stat(host, path, node)) == -ENOENT && clock_ms() < end &&
	       !host->options.dry_run)
		sleep_ms(5);
	if (error == -ENOENT && host->options.dry_run) {
		*node = (struct journal_node){.mode = 0600};
		snprintf(node->path, sizeof(node->path), "%s", path);
		error = 0;
	}
	return error;
}

static int give_node(struct usrpci_host *host, const struct plan *plan,
		     const struct journal_node *node)
{
	int error = apply_owner(host, "let a user open the group", node->path, plan->uid,
				plan->gid);

	if (!error && plan->gid != (gid_t)-1 && (node->mode & 0060) != 0060)
		error = apply_mode(host, "let a group open the group", node->path,
				   node->mode | 0060);
	if (error)
		return report(host->ctx, error, node->path, NULL, "cannot change its owner");
	return 0;
}

static int give_nodes(struct usrpci_host *host, const struct plan *plan)
{
	struct target *first = &plan->targets[0];
	struct journal_record record;
	struct journal_node node;
	char path[64];
	int error;

	if (plan->uid == (uid_t)-1 && plan->gid == (gid_t)-1)
		return 0;
	snprintf(path, sizeof(path), "/dev/vfio/%d", first->info.iommu_group);
	error = node_wait(host, path, &node);
	if (error)
		return report(host->ctx, error, path, NULL, "the group has no node");
	if (host->options.dry_run)
		return give_node(host, plan, &node);
	error = journal_read(host, &first->info.addr, &record);
	if (error)
		return error;
	/* Another device of the group may have been first: then this is not what was found. */
	if (!record.nodes[0].path[0]) {
		if (journal_find_node(host, &first->info.addr, path, &record.nodes[0]))
			record.nodes[0] = node;
		error = journal_write(host, &record);
	}
	return error ? error : give_node(host, plan, &node);
}

/* As long as another device's record has the node, its user keeps it. */
static int return_node(struct usrpci_host *host, const struct usrpci_addr *addr,
		       const struct journal_node *found)
{
	struct journal_node now, other;
	int error = 0;

	if (!found->path[0] || node_stat(host, found->path, &now) ||
	    !journal_find_node(host, addr, found->path, &other))
		return 0;
	if (now.uid != found->uid || now.gid != found->gid)
		error = apply_owner(host, "give the group's node back", found->path, found->uid,
				    found->gid);
	if (!error && now.mode != found->mode)
		error = apply_mode(host, "give the group's node back", found->path, found->mode);
	if (error)
		return report(host->ctx, error, found->path, NULL, "cannot give it back");
	return 0;
}

/*
 * What is checked before anything is changed.
 */

/* The driver of this name, if the kernel has it: spelled as the kernel does. */
static bool find_driver(struct usrpci_host *host, const char *name, char spelled[NAME_SIZE])
{
	static const char swap[] = "-_-";
	const char *dash;
	char *at;

	snprintf(spelled, NAME_SIZE, "%s", name);
	if (file_exists(host->ctx, PCI_DRIVERS "/%s", spelled))
		return true;
	for (at = spelled; *at; at++) {
		dash = strchr(swap, *at);
		*at = dash ? dash[1] : *at;
	}
	return file_exists(host->ctx, PCI_DRIVERS "/%s", spelled);
}

/* Modules have underscores in their names where their drivers may have dashes. */
static const char *spell_driver(struct usrpci_host *host, const char *name, char spelled[NAME_SIZE])
{
	if (!strcmp(name, "vfio_pci"))
		return "vfio-pci";
	if (!strcmp(name, "uio-pci-generic"))
		return "uio_pci_generic";
	if (!strcmp(name, "pci_stub"))
		return "pci-stub";
	return find_driver(host, name, spelled) ? spelled : name;
}

static int load_driver(struct usrpci_host *host, const char *driver)
{
	char spelled[NAME_SIZE], why[96];
	int error;

	if (!driver[0] || file_exists(host->ctx, PCI_DRIVERS "/%s", driver))
		return 0;
	snprintf(why, sizeof(why), "the driver %s", driver);
	error = module_load(host, driver, why);
	if (error || host->options.dry_run || find_driver(host, driver, spelled))
		return error;
	return report(host->ctx, -ENOENT, driver, NULL,
		      "the module has no PCI driver of this name");
}

static int check_uio(struct usrpci_host *host, const struct target *target, bool force)
{
	char mode[NAME_SIZE];

	if (strcmp(lockdown_mode(host, mode), "none") != 0)
		return report(host->ctx, -EPERM, target->name,
			      "use vfio-pci with an IOMMU, or disable Secure Boot",
			      "the kernel is locked down (%s): userspace may not reach devices "
			      "through uio",
			      mode);
	if (!target->info.irq_pin && !force)
		return report(host->ctx, -EOPNOTSUPP, target->name,
			      "--driver vfio-pci brings MSI; --force for a driver that polls",
			      "it has no interrupt pin (a virtual function, or MSI alone), and "
			      "uio_pci_generic knows no other interrupt");
	return 0;
}

static int check_vfio(struct usrpci_host *host, const struct target *target)
{
	char unsafe[8];

	if (group_translates(host, &target->info))
		return 0;
	if (file_read(host->ctx, unsafe, sizeof(unsafe),
		      "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") > 0 &&
	    unsafe[0] == 'Y')
		return 0;
	return report(host->ctx, -EOPNOTSUPP, target->name,
		      "boot with intel_iommu=on (AMD needs nothing but the firmware's setting), or "
		      "use --driver uio_pci_generic",
		      "no IOMMU translates for it, which vfio-pci needs");
}

static int check_driver(struct usrpci_host *host, const struct plan *plan,
			const struct target *target)
{
	if (!strcmp(plan->driver, "uio_pci_generic"))
		return check_uio(host, target, plan->force);
	if (!strcmp(plan->driver, "vfio-pci"))
		return check_vfio(host, target);
	return 0;
}

/* Logs each use that stands against taking the device; returns how many, or a negative errno. */
static int count_uses(struct usrpci_host *host, const struct target *target, bool group_counts)
{
	struct usrpci_use *uses;
	int count = usrpci_host_uses(host, &target->info.addr, &uses);
	int standing = 0;
	int i;

	for (i = 0; i < count; i++) {
		if (uses[i].kind == USRPCI_USE_GROUP && !group_counts)
			continue;
		log_error(host->ctx, target->name,
			  uses[i].kind == USRPCI_USE_GROUP
				  ? "--whole-group takes it along; --force leaves it"
				  : "--force takes it nevertheless",
			  "in use: %s", uses[i].text);
		standing++;
	}
	if (count >= 0)
		usrpci_host_uses_free(uses);
	return count < 0 ? count : standing;
}

static int check_target(struct usrpci_host *host, const struct plan *plan,
			const struct target *target)
{
	int error;

	if (target->info.header_type != 0)
		return report(host->ctx, -EOPNOTSUPP, target->name, NULL,
			      "a bridge: the devices behind it need it, it is never taken");
	error = check_driver(host, plan, target);
	if (error || plan->force)
		return error;
	error = count_uses(host, target, driver_is_vfio(plan->driver) && !plan->whole_group);
	return error > 0 ? -EBUSY : error;
}

/*
 * Bind.
 */

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

static void roll_back_target(struct usrpci_host *host, struct target *target)
{
	const struct binding *before = &target->before;
	struct journal_record record;
	int error = read_binding(host, target);

	if (!error)
		error = put_back(host, target, before->driver, before->driver_override);
	if (!error && target->new_record && !journal_read(host, &target->info.addr, &record))
		error = return_node(host, &target->info.addr, &record.nodes[0]);
	if (error) {
		log_error(host->ctx, target->name, "usrpci restore puts it back to what it was",
			  "could not be rolled back");
		return;
	}
	log_info(host->ctx, target->name, "rolled back: %s",
		 before->driver[0] ? before->driver : "no driver, as before");
	if (target->new_record)
		journal_drop(host, &target->info.addr);
}

static int take(struct usrpci_host *host, const struct plan *plan)
{
	int i, error = 0;

	for (i = 0; !error && i < plan->count; i++) {
		struct target *target = &plan->targets[i];

		error = record(host, target);
		if (!error && !is_done(plan, target))
			error = move(host, target, plan->driver);
	}
	if (!error)
		error = give_nodes(host, plan);
	if (!error)
		return 0;
	while (i-- > 0)
		roll_back_target(host, &plan->targets[i]);
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
	return plan->uid == (uid_t)-1 && plan->gid == (gid_t)-1;
}

static int carry_out(struct usrpci_host *host, const struct plan *plan)
{
	int i, error = 0;

	if (nothing_to_do(plan))
		return 0;
	for (i = 0; !error && i < plan->count; i++) {
		if (!is_done(plan, &plan->targets[i]))
			error = check_target(host, plan, &plan->targets[i]);
	}
	if (!error)
		error = load_driver(host, plan->driver);
	return error ? error : take(host, plan);
}

/* Adds the other endpoints of the first target's group. */
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
		if (!usrpci_addr_compare(&members[i].addr, &targets[0].info.addr))
			continue;
		error = target_init(host, &members[i].addr, &targets[plan->count]);
		plan->count += !error;
	}
	free(members);
	return error;
}

static const char *default_driver(struct usrpci_host *host, const struct usrpci_dev_info *info)
{
	return group_translates(host, info) ? "vfio-pci" : "uio_pci_generic";
}

static int parse_owner(struct usrpci_host *host, const struct usrpci_bind_options *options,
		       struct plan *plan)
{
	const struct passwd *user;
	const struct group *group;
	char *end;

	plan->uid = (uid_t)-1;
	plan->gid = (gid_t)-1;
	if (options->user) {
		user = getpwnam(options->user);
		plan->uid = user ? user->pw_uid : (uid_t)strtoul(options->user, &end, 10);
		if (!user && (*end || !options->user[0]))
			return report(host->ctx, -EINVAL, options->user, NULL, "no such user");
	}
	if (options->group) {
		group = getgrnam(options->group);
		plan->gid = group ? group->gr_gid : (gid_t)strtoul(options->group, &end, 10);
		if (!group && (*end || !options->group[0]))
			return report(host->ctx, -EINVAL, options->group, NULL, "no such group");
	}
	return 0;
}

static int make_plan(struct usrpci_host *host, const struct usrpci_addr *addr,
		     const struct usrpci_bind_options *options, struct plan *plan,
		     char spelled[NAME_SIZE])
{
	int error = parse_owner(host, options, plan);

	if (!error)
		error = target_init(host, addr, &plan->targets[0]);
	if (error)
		return error;
	plan->count = 1;
	plan->force = options->force;
	plan->whole_group = options->whole_group;
	plan->driver = options->driver ? spell_driver(host, options->driver, spelled)
				       : default_driver(host, &plan->targets[0].info);
	if (strlen(plan->driver) >= NAME_SIZE || strpbrk(plan->driver, "/ \n"))
		return report(host->ctx, -ENOENT, plan->driver, NULL, "not the name of a driver");
	if ((options->user || options->group) && !driver_is_vfio(plan->driver))
		return report(host->ctx, -EINVAL, plan->targets[0].name, "--driver vfio-pci",
			      "only vfio lets a user have a device");
	if (plan->whole_group && driver_is_vfio(plan->driver) &&
	    plan->targets[0].info.iommu_group >= 0)
		return add_group(host, plan);
	return 0;
}

int usrpci_host_bind(struct usrpci_host *host, const struct usrpci_addr *addr,
		     const struct usrpci_bind_options *options)
{
	static const struct usrpci_bind_options defaults;
	struct plan plan = {.targets = calloc(1, sizeof(*plan.targets))};
	char spelled[NAME_SIZE];
	int error;

	if (!plan.targets)
		return -ENOMEM;
	error = state_lock(host);
	if (!error) {
		error = make_plan(host, addr, options ? options : &defaults, &plan, spelled);
		if (!error)
			error = carry_out(host, &plan);
		state_unlock(host);
	}
	free(plan.targets);
	return error;
}

/*
 * Restore.
 */

static int gone(struct usrpci_host *host, const struct usrpci_addr *addr, const char *why)
{
	char name[USRPCI_ADDR_STRLEN];

	journal_drop(host, addr);
	return report(host->ctx, -ENODEV, usrpci_addr_format(addr, name), NULL, "%s", why);
}

static int bring_back(struct usrpci_host *host, struct target *target,
		      const struct journal_record *record)
{
	const struct usrpci_journal_entry *entry = &record->entry;
	bool moves = strcmp(target->now.driver, entry->driver) != 0;
	int error = moves && target->now.driver[0] ? count_uses(host, target, false) : 0;

	if (error)
		return error > 0 ? -EBUSY : error;
	if (moves)
		error = load_driver(host, entry->driver);
	if (!error)
		error = put_back(host, target, entry->driver, entry->driver_override);
	if (!error)
		error = return_node(host, &entry->addr, &record->nodes[0]);
	return error;
}

static int restore(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	struct journal_record record;
	struct target target;
	int error = journal_read(host, addr, &record);

	if (error == -ENOENT)
		return report(host->ctx, error, usrpci_addr_format(addr, target.name), NULL,
			      "usrpci never touched it: there is nothing to restore");
	if (error)
		return error;
	error = target_init(host, addr, &target);
	if (error == -ENODEV)
		return gone(host, addr, "it is gone; its record is dropped");
	if (error)
		return error;
	if (record.entry.vendor != target.info.vendor || record.entry.device != target.info.device)
		return gone(host, addr, "another device is in its place; its record is dropped");
	error = bring_back(host, &target, &record);
	if (!error)
		return journal_drop(host, addr);
	return error == -EBUSY || error == -EACCES || error == -EPERM || error == -ENOENT ? error
											  : -EIO;
}

int usrpci_host_restore(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	int error = state_lock(host);

	if (!error) {
		error = restore(host, addr);
		state_unlock(host);
	}
	return error;
}
