// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual functions (PCI Express Base Specification 5.0, 9): makes as many as are asked for, unless
 * the device or a function that would go is in use. The kernel can change their number only by
 * removing all of them first, so all of them go and are made again.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind.h"
#include "confirm/confirm.h"
#include "file.h"
#include "guard/hold.h"
#include "lend/lend.h"
#include "sriov/vfs.h"
#include "state.h"

#define LOG_SUBJECT "vfs"
#include "log.h"

static int read_number(struct usrpci_host *host, const char *device, const char *file,
		       uint64_t *number)
{
	int error = file_read_u64(host->ctx, number, PCI_DEVICES "/%s/%s", device, file);

	if (error == -ENOENT)
		return refuse(host->ctx, -EOPNOTSUPP, device, NULL,
			      "it cannot have virtual functions: no SR-IOV");
	return error ? report(host->ctx, error, device, NULL, "cannot read %s", file) : 0;
}

/* Lists the existing virtual functions. */
static int list(struct usrpci_host *host, const char *device, uint64_t count,
		struct usrpci_addr **addrs)
{
	char name[USRPCI_ADDR_STRLEN];
	int found = 0;

	*addrs = calloc((size_t)count + 1, sizeof(**addrs));
	if (!*addrs)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++)
		if (!file_link_name(host->ctx, name, sizeof(name), PCI_DEVICES "/%s/virtfn%u",
				    device, (unsigned int)i) &&
		    !usrpci_addr_parse(name, &(*addrs)[found]))
			found++;
	return found;
}

/* The number comes from a file. A domain cannot have more functions than this. */
enum { VFS_MAX = 0xffff };

int usrpci_host_vfs(struct usrpci_host *host, const struct usrpci_addr *addr,
		    struct usrpci_addr **vfs, unsigned int *most)
{
	char name[USRPCI_ADDR_STRLEN];
	uint64_t count, total;
	int error;

	*vfs = NULL;
	usrpci_addr_format(addr, name);
	error = read_number(host, name, "sriov_totalvfs", &total)
			?: read_number(host, name, "sriov_numvfs", &count);
	if (error)
		return error;
	if (count > VFS_MAX || total > VFS_MAX)
		return report(host->ctx, -EBADMSG, name, NULL, "its numbers of functions are odd");
	*most = (unsigned int)total;
	return list(host, name, count, vfs);
}

/*
 * Here the virtual functions do not count as a use of the device, since each is checked by itself.
 */
static int device_is_unused(struct usrpci_host *host, const struct target *target)
{
	struct usrpci_use *uses;
	int count = usrpci_host_uses(host, &target->info.addr, &uses),
	    error = count < 0 ? count : 0;

	for (int i = 0; i < count; i++)
		if (uses[i].kind != USRPCI_USE_FUNCTIONS)
			error = refuse(host->ctx, -EBUSY, target->name, uses[i].cure, "in use: %s",
				       uses[i].text);
	usrpci_host_uses_free(uses);
	return error;
}

/* With a hold, nobody can begin to use their disks from here on. */
static int functions_are_unused(struct usrpci_host *host, const struct target *target, bool force,
				struct hold *hold)
{
	struct usrpci_addr *vfs;
	unsigned int most;
	int count = usrpci_host_vfs(host, &target->info.addr, &vfs, &most);
	int error = count < 0 ? count : lend_check(host, vfs, (size_t)count);

	for (int i = 0; !error && i < count; i++) {
		struct target vf;

		error = target_init(host, &vfs[i], &vf);
		if (!error)
			error = hold ? target_hold(host, &vf, NULL, hold)
				     : target_is_free(host, &vf, NULL, force);
	}
	free(vfs);
	return error;
}

static int write_number(struct usrpci_host *host, const struct target *target, unsigned int count)
{
	char value[16], why[96];
	uint64_t now;
	int error;

	snprintf(value, sizeof(value), "%u", count);
	snprintf(why, sizeof(why), "give %s %u virtual functions", target->name, count);
	error = apply_write(host, why, value, NULL, PCI_DEVICES "/%s/sriov_numvfs", target->name);
	if (!error && !host->options.dry_run)
		error = read_number(host, target->name, "sriov_numvfs", &now)
				?: now == count ? 0
						: -EIO;
	return error ? report(host->ctx, error, target->name,
			      "its kernel driver must know SR-IOV; of vfio-pci: modprobe vfio-pci "
			      "enable_sriov=1",
			      "cannot have %u virtual functions", count)
		     : 0;
}

/*
 * Refuses what has come to one of their interfaces since they were looked at, or once they are
 * gone, as a loop device to one of their disks.
 */
static int nothing_came(struct usrpci_host *host, const struct target *target, struct hold *hold,
			bool gone)
{
	char text[HOLD_TEXT], cure[HOLD_TEXT];

	if (!hold_news(hold, text, cure) && (!gone || !hold_loops(host, hold, text, cure)))
		return 0;
	return refuse(host->ctx, -EBUSY, target->name, cure, "in use: %s since a moment ago%s",
		      text, gone ? "; its functions are made again, without that" : "");
}

static int remove_all(struct usrpci_host *host, const struct target *target, struct hold *hold,
		      bool *gone)
{
	int error = nothing_came(host, target, hold, false) ?: write_number(host, target, 0);

	*gone = !error;
	if (!error)
		error = nothing_came(host, target, hold, true);
	hold_end(hold);
	return error;
}

/* Removes all of them first. A failed change is undone. */
static int change_number(struct usrpci_host *host, const struct target *target, unsigned int from,
			 unsigned int to, struct hold *hold)
{
	bool gone = false;
	int error = from ? remove_all(host, target, hold, &gone) : 0;

	if (!error && to)
		error = write_number(host, target, to);
	if (error && gone && write_number(host, target, from))
		return -EUCLEAN;
	return error;
}

/* With probe 0 no driver takes the new functions. */
static int set_probe(struct usrpci_host *host, const struct target *target, uint64_t probe)
{
	int error = apply_write(host,
				probe ? "let drivers take virtual functions"
				      : "let no driver take virtual functions",
				probe ? "1" : "0", NULL, PCI_DEVICES "/%s/sriov_drivers_autoprobe",
				target->name);

	return error ? report(host->ctx, error, target->name, NULL,
			      "cannot say whether drivers take its virtual functions")
		     : 0;
}

/* With probe, drivers took new functions, and are not to take these. */
static int change(struct usrpci_host *host, const struct target *target, unsigned int from,
		  unsigned int to, bool probe, struct hold *hold)
{
	int error = probe ? set_probe(host, target, 0) : 0, last;

	if (error)
		return error;
	error = change_number(host, target, from, to, hold);
	last = probe ? set_probe(host, target, 1) : 0;
	return error ? error : last;
}

/* The record keeps how many there were when it was made, and whether drivers took new ones. */
static int record(struct usrpci_host *host, struct target *target, bool probe)
{
	struct journal_record record = {0};
	int error = bind_record(host, target);

	if (error || host->options.dry_run)
		return error;
	error = journal_read(host, &target->info.addr, &record);
	if (error || (record.functions_changed && record.functions_probe >= probe))
		return error;
	record.functions_changed = true;
	record.functions_probe |= probe;
	return journal_write(host, &record);
}

static int set(struct usrpci_host *host, const struct usrpci_addr *addr, unsigned int count,
	       const struct usrpci_vfs_options *options)
{
	struct target target;
	struct hold hold = {0};
	uint64_t now, most, probe = 0;
	int error = target_init(host, addr, &target);

	if (!error)
		error = read_number(host, target.name, "sriov_totalvfs", &most)
				?: read_number(host, target.name, "sriov_numvfs", &now);
	if (!error && options->no_driver && count)
		error = read_number(host, target.name, "sriov_drivers_autoprobe", &probe);
	if (error || now == count)
		return error;
	if (count > most)
		return refuse(host->ctx, -EINVAL, target.name, NULL,
			      "it can have %u virtual functions at most", (unsigned int)most);
	if (!options->force)
		error = device_is_unused(host, &target);
	if (!error)
		error = functions_are_unused(host, &target, options->force, NULL);
	if (!error)
		error = confirm_note(host, addr);
	/* Somebody may have begun to use them since the first look. */
	if (!error && !options->force)
		error = functions_are_unused(host, &target, false, &hold);
	if (!error)
		error = record(host, &target, probe)
				?: change(host, &target, (unsigned int)now, count, probe, &hold);
	if (error)
		confirm_forget(host, addr);
	hold_end(&hold);
	return error;
}

int usrpci_host_vfs_set(struct usrpci_host *host, const struct usrpci_addr *addr,
			unsigned int count, const struct usrpci_vfs_options *options)
{
	static const struct usrpci_vfs_options defaults;
	int error = state_lock(host);

	if (error)
		return error;
	error = lend_check(host, addr, 1);
	if (!error)
		error = set(host, addr, count, options ? options : &defaults);
	state_unlock(host);
	return error;
}

/* Who changed the number may have been killed before drivers could take new functions again. */
static int put_probe_back(struct usrpci_host *host, const struct target *target)
{
	uint64_t now;
	int error = read_number(host, target->name, "sriov_drivers_autoprobe", &now);

	return error || now ? error : set_probe(host, target, 1);
}

int vfs_put_back(struct usrpci_host *host, const struct target *target,
		 const struct journal_record *record)
{
	bool moves = strcmp(target->now.driver, record->entry.driver);
	unsigned int wanted = moves ? 0 : record->functions;
	struct hold hold = {0};
	uint64_t now;
	int error;

	if (!record->functions_changed)
		return 0;
	error = (record->functions_probe ? put_probe_back(host, target) : 0)
			?: read_number(host, target->name, "sriov_numvfs", &now);
	if (error || now == wanted)
		return error;
	error = functions_are_unused(host, target, false, NULL)
			?: functions_are_unused(host, target, false, &hold)
			?: change_number(host, target, (unsigned int)now, wanted, &hold);
	hold_end(&hold);
	return error;
}
