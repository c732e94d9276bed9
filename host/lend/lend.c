// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lends devices to a program: takes them, runs it, and puts everything back, whatever happens to
 * it. Without an IOMMU, DMA memory lies in a named file of a hugetlbfs of root's. So it outlives
 * the program, and also this process if that is killed; note.c then knows what to clean up.
 *
 * At the end, the program and all its processes are ended, each device is stopped (quiesce.c), and
 * no process may have a device any more (holders.c). Only then are the devices given back, then the
 * memory, then the huge pages.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <usrpci/dma.h>

#include "bind.h"
#include "driver.h"
#include "file.h"
#include "journal.h"
#include "lend/lend.h"
#include "target.h"
#include "restore.h"
#include "state.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define HUGEPAGES_DEFAULT 8
#define RESTART_MS        1000 /* between a crash and the next start */

static uint64_t uio_events(struct usrpci_host *host, const char *device)
{
	uint64_t events = 0;
	AUTO_FREE char **names = NULL;
	int count = dir_list(host->ctx, &names, PCI_DEVICES "/%s/uio", device);

	if (count > 0)
		file_read_u64(host->ctx, &events, PCI_DEVICES "/%s/uio/%s/event", device, names[0]);
	return events;
}

/* Adds up the columns of a line, one for each processor: "  20:   12   0   IO-APIC ...". */
static uint64_t sum_line(const char *line)
{
	const char *at = strchr(line, ':');
	uint64_t sum = 0, one;
	int length;

	for (at = at ? at + 1 : ""; sscanf(at, "%" SCNu64 "%n", &one, &length) == 1; at += length)
		sum += one;
	return sum;
}

/*
 * The lines have the device's name while interrupts are enabled
 * (drivers/vfio/pci/vfio_pci_intrs.c).
 */
static uint64_t vfio_interrupts(struct usrpci_host *host, const char *device)
{
	char name[USRPCI_ADDR_STRLEN + 2], path[PATH_SIZE], *line = NULL;
	uint64_t sum = 0;
	size_t size = 0;
	FILE *file;

	snprintf(name, sizeof(name), "(%s)", device);
	if (path_format(host->ctx, path, "/proc/interrupts"))
		return 0;
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0)
		if (strstr(line, " vfio-") && strstr(line, name))
			sum += sum_line(line);
	free(line);
	if (file)
		fclose(file);
	return sum;
}

uint64_t lend_interrupts(struct usrpci_host *host, const struct usrpci_addr *addr, bool vfio)
{
	char device[USRPCI_ADDR_STRLEN];

	usrpci_addr_format(addr, device);
	return vfio ? vfio_interrupts(host, device) : uio_events(host, device);
}

/* A dry run has changed nothing, so it uses the driver that bind would have chosen. */
static int look_again(struct lend *lend, struct lend_device *device)
{
	struct usrpci_host *host = lend->host;
	const char *driver = lend->options->bind.driver;

	if (!host->options.dry_run)
		return usrpci_dev_lookup(host->ctx, &device->info.addr, &device->info);
	if (driver)
		snprintf(device->info.driver, sizeof(device->info.driver), "%s", driver);
	else
		driver_default(host, &device->info, device->info.driver);
	driver_spell(host, device->info.driver);
	device->info.driver_kind = usrpci_driver_kind(device->info.driver);
	return 0;
}

/*
 * Returns -EBUSY, logged, when a driver for userspace has the device and a process has it open.
 * Bind does not look at the uses of a device that it need not move, so this function does.
 */
static int check_unused(const struct lend *lend, const struct lend_device *device)
{
	struct target target;
	int error = target_look(lend->host, &device->info, &target);

	if (error || !driver_is_userspace(device->info.driver_kind))
		return error;
	return target_is_free(lend->host, &target, NULL, lend->options->bind.force);
}

static int check_driver(struct usrpci_host *host, const struct usrpci_lend_options *options,
			const char *device)
{
	char driver[NAME_SIZE];

	if (!options->bind.driver)
		return 0;
	snprintf(driver, sizeof(driver), "%s", options->bind.driver);
	driver_spell(host, driver);
	if (!strcmp(driver, "uio_pci_generic") || usrpci_driver_kind(driver) == USRPCI_DRIVER_VFIO)
		return 0;
	return refuse(host->ctx, -EOPNOTSUPP, device, NULL,
		      "a device can be lent with uio_pci_generic or vfio-pci, and not with %s",
		      driver[0] ? driver : "no driver");
}

/* From here on the device is in the list of devices to give back. */
static int bind_device(struct lend *lend, struct lend_device *device)
{
	struct usrpci_host *host = lend->host;
	int error = usrpci_host_bind(host, &device->info.addr, 1, &lend->options->bind);

	if (error)
		return error;
	lend->count++;
	error = journal_identity(host, &device->info.addr, &device->identity);
	if (error)
		return error;
	/* The device can go back even if somebody clears /run meanwhile. */
	if (journal_has(host, &device->info.addr))
		journal_read(host, &device->info.addr, &device->record);
	error = look_again(lend, device);
	if (error)
		return error;
	device->vfio = device->info.driver_kind == USRPCI_DRIVER_VFIO;
	device->interrupts = lend_interrupts(host, &device->info.addr, device->vfio);
	/* Under vfio the kernel protects these registers from the program. */
	if (!device->vfio && !host->options.dry_run)
		error = lend_config_save(host, &device->info.addr, &device->config);
	return error ?: lend_note_write(lend, device);
}

/*
 * With the lock, two programs cannot take a device at the same time, and no program sees it bound
 * without a note.
 */
static int take(struct lend *lend, struct lend_device *device, const struct usrpci_addr *addr)
{
	struct usrpci_host *host = lend->host;
	int error = state_lock(host);

	if (error)
		return error;
	usrpci_addr_format(addr, device->name);
	device->was_ours = journal_has(host, addr);
	device->client = LEND_NOBODY;
	error = lend_note_check(host, addr)
			?: check_driver(host, lend->options, device->name)
			?: usrpci_dev_lookup(host->ctx, addr, &device->info)
			?: check_unused(lend, device);
	strcpy(device->driver_before, device->info.driver);
	if (!error && lend->count == 0)
		error = lend_broker_register(lend);
	if (!error)
		error = bind_device(lend, device);
	state_unlock(host);
	return error;
}

static int give_back(struct lend *lend, const struct lend_device *device)
{
	int error = 0;

	if (lend->options->keep || !strcmp(device->driver_before, device->info.driver))
		return 0;
	if (device->is_another && !journal_has(lend->host, &device->info.addr))
		return 0;
	if (device->record.entry.when && !journal_has(lend->host, &device->info.addr))
		error = journal_write(lend->host, &device->record);
	if (error)
		return error;
	return restore_lent(lend->host, &device->info.addr, device->driver_before,
			    device->was_ours);
}

static bool needs_memory(const struct lend *lend)
{
	for (size_t i = 0; i < lend->count; i++)
		if (!lend->devices[i].vfio)
			return true;
	return false;
}

static int write_notes(void *lend, struct usrpci_host *host)
{
	(void)host;
	return lend_notes_write(lend);
}

static int close_memory(struct lend *lend)
{
	int error = 0;

	lend_memory_unpin(lend);
	if (lend->memory_directory[0] && !lend->host->options.dry_run)
		error = lend_memory_free(lend->host, lend->memory_directory);
	if (!error)
		error = lend_pages_give_back(lend->host, &lend->pages, write_notes, lend);
	if (!error)
		lend->pages = (struct lend_pages){0, -1};
	return error;
}

static int stop_all(struct lend *lend)
{
	int first = 0;

	for (size_t i = 0; i < lend->count; i++) {
		struct lend_device *device = &lend->devices[i];
		int error, same;

		same = lend_is_same(lend->host, &device->info.addr, device->identity);
		device->is_another = !same;
		error = same > 0 ? lend_stop(lend->host, &device->info.addr, &device->config)
				 : same;
		first = first ? first : error;
	}
	return first;
}

/*
 * A process that still has a device open could use it after it was given back. A device that was
 * taken from a program by force and keeps its driver may still be open there.
 */
static int wait_all_unheld(struct lend *lend)
{
	int first = 0;

	for (size_t i = 0; i < lend->count; i++) {
		const struct lend_device *device = &lend->devices[i];
		int error;

		if (lend->options->bind.force &&
		    !strcmp(device->driver_before, device->info.driver))
			continue;
		error = lend_wait_unheld(lend->host, &device->info.addr);
		first = first ? first : error;
	}
	return first;
}

static int give_all_back(struct lend *lend)
{
	int first = 0;

	for (size_t i = lend->count; i > 0; i--) {
		int error = give_back(lend, &lend->devices[i - 1]);

		first = first ? first : error;
	}
	return first;
}

static int remove_notes(struct lend *lend)
{
	int first = 0;

	for (size_t i = 0; i < lend->count; i++) {
		int error = lend_note_remove(lend->host, &lend->devices[i].info.addr);

		first = first ? first : error;
	}
	return first;
}

/*
 * A device that does not stop, or that a process can still reach, may still write to memory. It
 * keeps its memory, and the notes say whose it is. Memory is given back last.
 */
static int finish(struct lend *lend, bool started)
{
	int error = lend->count ? lend_nodes_close(lend->host, lend->devices[0].name) : 0,
	    stopped = started ? stop_all(lend) : 0;

	lend_files_close(lend);
	error = error ? error : stopped;
	if (!error && started)
		error = lend->outlived ? -EBUSY : wait_all_unheld(lend);
	if (!error)
		error = give_all_back(lend);
	if (!error)
		error = close_memory(lend);
	return error ?: remove_notes(lend);
}

/* The lock keeps others from the user until a note says whose it is. */
static int find_user_and_memory(struct lend *lend)
{
	int error = state_lock(lend->host);

	if (error)
		return error;
	if (!lend->host->options.dry_run)
		error = lend_user_find(lend);
	if (!error && needs_memory(lend))
		error = lend_memory_open(lend);
	else if (!error && lend->nodes && lend->options->hugepages)
		error = lend_memory_reserve(lend);
	else if (!error)
		error = lend_notes_write(lend);
	state_unlock(lend->host);
	return error;
}

static int prepare(struct lend *lend)
{
	const struct usrpci_lend_options *options = lend->options;
	int error = 0;

	for (size_t i = 0; !error && i < options->count; i++)
		error = take(lend, &lend->devices[i], &options->addrs[i]);
	lend->page_limit = options->hugepages ? options->hugepages : HUGEPAGES_DEFAULT;
	if (!error)
		error = lend_nodes_choose(lend);
	if (!error)
		error = find_user_and_memory(lend);
	if (error || lend->host->options.dry_run)
		return error;
	return lend_files_open(lend) ?: lend_nodes_open(lend);
}

/*
 * Returns whether the program must be started again: it has crashed, and its devices were stopped
 * and reset as for a new loan. If they could not be, stores that in *error.
 */
static bool starts_again(struct lend *lend, int status, int *error)
{
	if (!lend->crashed || lend->starts++ >= lend->options->restarts)
		return false;
	*error = stop_all(lend);
	if (!*error)
		*error = lend->outlived ? -EBUSY : wait_all_unheld(lend);
	if (!*error && lend->memory_directory[0])
		*error = lend_memory_renew(lend);
	if (*error)
		return false;
	log_warning(lend->host->ctx, NULL, NULL,
		    "%s was ended by signal %d; its devices were reset, and it is started again",
		    lend->options->argv[0], status - 128);
	lend->program = 0;
	sleep_ms(RESTART_MS);
	return true;
}

static int run(struct lend *lend)
{
	int status, error = 0;

	do
		status = lend_run(lend);
	while (starts_again(lend, status, &error));
	return error ? error : status;
}

int lend_recovered(struct usrpci_host *host, const struct usrpci_lend_options *options,
		   int connection)
{
	struct lend lend = {
		.host = host,
		.options = options,
		.connection = connection,
		.since = time(NULL),
		.registered = -1,
		.pins = {-1, -1},
		.pages = {.base = -1},
		.lives = -1,
		.policy = -1,
	};
	int status, error, left;

	lend.devices = calloc(options->count, sizeof(*lend.devices));
	if (!lend.devices)
		return -ENOMEM;
	lend_signals_block(&lend.signals_before);
	host->lends = true;
	if (!host->options.dry_run)
		lend_spare(&lend);
	status = prepare(&lend);
	error = status;
	if (!error && !host->options.dry_run)
		status = run(&lend);
	host->waits_for_lock = true; /* else nobody would give the devices back */
	error = host->options.dry_run ? 0 : finish(&lend, !error);
	host->waits_for_lock = false;
	host->lends = false;
	left = lend_broker_leave(&lend);
	lend_unspare(&lend);
	lend_signals_restore(&lend.signals_before);
	free(lend.devices);
	return error || left ? -EUCLEAN : status;
}

int lend_on(struct usrpci_host *host, const struct usrpci_lend_options *options, int connection)
{
	int status, raised = lend_spare_files(host, options->argv[0]);

	if (raised < 0)
		return raised;
	/* A failure is logged there, and the devices that it concerns are refused below. */
	usrpci_host_recover(host);
	status = lend_recovered(host, options, connection);
	if (raised)
		lend_unspare_files(host);
	return status;
}

int lend_look(struct usrpci_host *host, const struct usrpci_lend_options *options)
{
	struct lend lend = {.host = host, .options = options, .connection = -1};
	char device[USRPCI_ADDR_STRLEN];
	int error = state_lock(host);

	if (error)
		return error;
	usrpci_addr_format(options->addrs, device);
	error = lend_note_check(host, options->addrs)
			?: check_driver(host, options, device)
			?: bind_look(host, options->addrs, &options->bind);
	if (!error && !host->options.dry_run)
		error = lend_user_find(&lend);
	state_unlock(host);
	return error || host->options.dry_run ? error : lend_child_try(&lend);
}

int usrpci_host_lend(struct usrpci_host *host, const struct usrpci_lend_options *options)
{
	return lend_on(host, options, -1);
}
