// SPDX-License-Identifier: BSD-2-Clause
/*
 * Notes about what is lent. Each device has a note below /run/usrpci/lent, for usrpci ps and for
 * cleaning up after a broker that was killed. A broker holds a lock on a file that is named after
 * its first device, for as long as it lives. A process number would not do: it can be reused, and
 * means nothing in another namespace.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bytes.h"
#include "confirm/confirm.h"
#include "driver.h"
#include "file.h"
#include "guard/look.h"
#include "lend/lend.h"
#include "net/net.h"
#include "restore.h"
#include "state.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define NOTES   "lent"
#define BROKERS "brokers"
#define VERSION 5

#define CONFIG_SIZE (2 * LEND_CONFIG_SIZE + 1)
#define NOTE_SIZE   1280

struct note {
	struct usrpci_addr addr;
	char first[USRPCI_ADDR_STRLEN]; /* first device of the broker */
	int broker;
	uint64_t started; /* clock ticks after boot */
	int program;
	unsigned int user;
	int64_t since;
	unsigned int vfio, keep, was_ours;
	bool stuck;        /* not from the file: the device could not be stopped */
	bool is_back;      /* not from the file: a kernel driver has it again, or it is another */
	uint64_t identity; /* identity of the device */
	struct lend_pages pages; /* only in the note of the broker's first device */
	uint64_t interrupts;
	char driver[NAME_SIZE]; /* driver before the loan; "-" for none */
	char memory[64];        /* where the broker's hugetlbfs is mounted; "-" for none */
	struct lend_config config;
	char command[64];
};

/*
 * Returns field 22 of /proc/PID/stat, counted from the end of the command's name, which can contain
 * any characters. 0: there is no such process.
 */
static uint64_t start_time(struct usrpci_host *host, int pid)
{
	char text[1024];
	const char *at;
	uint64_t ticks = 0;

	if (file_read(host->ctx, text, sizeof(text), "/proc/%d/stat", pid) < 0)
		return 0;
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, " %" SCNu64, &ticks) == 1 ? ticks : 0;
}

static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

/* Writes it in hexadecimal, so that an administrator can put it back by hand; "-" for none. */
static const char *config_text(const struct lend_config *config, char text[CONFIG_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char *at = text;

	if (!config->saved)
		return "-";
	for (size_t i = 0; i < LEND_CONFIG_SIZE; i++) {
		*at++ = digits[config->bytes[i] >> 4];
		*at++ = digits[config->bytes[i] & 0xf];
	}
	*at = '\0';
	return text;
}

static bool config_parse(const char *text, struct lend_config *config)
{
	config->saved = strcmp(text, "-") != 0;
	if (!config->saved)
		return true;
	if (strlen(text) != CONFIG_SIZE - 1)
		return false;
	for (size_t i = 0; i < LEND_CONFIG_SIZE; i++)
		if (sscanf(text + 2 * i, "%2hhx", &config->bytes[i]) != 1)
			return false;
	return true;
}

static int write_note(struct usrpci_host *host, const struct note *note)
{
	char device[USRPCI_ADDR_STRLEN], name[64], text[NOTE_SIZE], config[CONFIG_SIZE];

	snprintf(name, sizeof(name), NOTES "/%s", usrpci_addr_format(&note->addr, device));
	snprintf(text, sizeof(text),
		 "usrpci-lent %d\nfirst %s\nbroker %d %" PRIu64
		 "\nprogram %d\nuser %u\nsince %" PRId64 "\nidentity %" PRIu64
		 "\nvfio %u\nkeep %u\nours %u\npages %zu %" PRId64 "\ninterrupts %" PRIu64
		 "\nbefore %s\nmemory %s\nconfig %s\ncommand %.60s\n",
		 VERSION, note->first, note->broker, note->started, note->program, note->user,
		 note->since, note->identity, note->vfio, note->keep, note->was_ours,
		 note->pages.count, note->pages.base, note->interrupts, note->driver, note->memory,
		 config_text(&note->config, config), note->command);
	return state_write(host, name, text);
}

int lend_note_write(struct lend *lend, const struct lend_device *device)
{
	const char *command = strrchr(lend->options->argv[0], '/');
	struct note note = {
		.addr = device->info.addr,
		.broker = getpid(),
		.started = lend->started,
		.program = lend->program,
		.user = lend->user.uid,
		.since = (int64_t)lend->since,
		.identity = device->identity,
		.vfio = device->vfio,
		.keep = lend->options->keep,
		.was_ours = device->was_ours,
		.pages = device == lend->devices ? lend->pages : (struct lend_pages){0, -1},
		.interrupts = device->interrupts,
		.config = device->config,
	};

	if (!lend->started)
		lend->started = note.started = start_time(lend->host, note.broker);
	command = command ? command + 1 : lend->options->argv[0];
	snprintf(note.first, sizeof(note.first), "%s", lend->devices[0].name);
	snprintf(note.driver, sizeof(note.driver), "%s", or_dash(device->driver_before));
	snprintf(note.memory, sizeof(note.memory), "%s", or_dash(lend->memory_directory));
	snprintf(note.command, sizeof(note.command), "%.60s", command);
	return write_note(lend->host, &note);
}

int lend_notes_write(struct lend *lend)
{
	int error = 0;

	for (size_t i = 0; !error && i < lend->count; i++)
		error = lend_note_write(lend, &lend->devices[i]);
	return error;
}

int lend_note_remove(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char device[USRPCI_ADDR_STRLEN], name[64];

	snprintf(name, sizeof(name), NOTES "/%s", usrpci_addr_format(addr, device));
	return state_remove(host, name);
}

static bool is_address(const char *text)
{
	struct usrpci_addr addr;

	return !usrpci_addr_parse(text, &addr);
}

static int parse(const char *text, struct note *note)
{
	char config[CONFIG_SIZE] = "";
	int version = 0;
	int fields = sscanf(text,
			    "usrpci-lent %d first %15s broker %d %" SCNu64
			    " program %d user %u since %" SCNd64 " identity %" SCNu64
			    " vfio %u keep %u ours %u pages %zu %" SCNd64 " interrupts %" SCNu64
			    " before %31[^\n] memory %63[^\n] config %512s command %63[^\n]",
			    &version, note->first, &note->broker, &note->started, &note->program,
			    &note->user, &note->since, &note->identity, &note->vfio, &note->keep,
			    &note->was_ours, &note->pages.count, &note->pages.base,
			    &note->interrupts, note->driver, note->memory, config, note->command);

	return version == VERSION && fields == 18 && config_parse(config, &note->config) &&
			       is_address(note->first) && note->broker > 0
		       ? 0
		       : -EBADMSG;
}

static int read_note(struct usrpci_host *host, const char *name, struct note *note)
{
	char text[NOTE_SIZE];
	int error;

	*note = (struct note){0};
	if (usrpci_addr_parse(name, &note->addr))
		return -EINVAL;
	error = file_read(host->ctx, text, sizeof(text), STATE_DIR "/" NOTES "/%s", name);
	if (error >= 0)
		error = parse(text, note);
	if (error == -EBADMSG)
		log_error(host->ctx, name, "look at it and remove it", "%s/%s is damaged",
			  STATE_DIR "/" NOTES, name);
	return error;
}

/* Reads all notes that can be read. Returns the count; the list is the caller's. */
static int read_notes(struct usrpci_host *host, struct note **result)
{
	AUTO_FREE char **names = NULL;
	int found = dir_list(host->ctx, &names, STATE_DIR "/" NOTES), count = 0;
	struct note *notes;

	*result = NULL;
	if (found < 0)
		return found == -ENOENT ? 0 : found;
	notes = calloc((size_t)found + 1, sizeof(*notes));
	for (int i = 0; notes && i < found; i++)
		if (!read_note(host, names[i], &notes[count]))
			count++;
	*result = notes;
	return notes ? count : -ENOMEM;
}

bool lend_note_has_user(struct usrpci_host *host, uid_t uid)
{
	struct note *notes;
	int count = read_notes(host, &notes);
	bool found = false;

	for (int i = 0; i < count; i++)
		found = found || notes[i].user == uid;
	free(notes);
	return found;
}

static int open_broker(struct usrpci_host *host, const char *first, int flags)
{
	char path[PATH_SIZE];
	int error = path_format(host->ctx, path, STATE_DIR "/" BROKERS "/%s", first), fd;

	if (error)
		return error;
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

/* A user who may not open the lock checks whether the broker's process exists. */
static bool is_abandoned(struct usrpci_host *host, const struct note *note)
{
	int fd = open_broker(host, note->first, O_RDONLY);
	bool free;

	if (fd == -EACCES)
		return start_time(host, note->broker) != note->started || !note->started;
	if (fd < 0)
		return true;
	free = !flock(fd, LOCK_SH | LOCK_NB) || errno != EWOULDBLOCK;
	close(fd);
	return free;
}

int lend_broker_register(struct lend *lend)
{
	char name[64];

	snprintf(name, sizeof(name), BROKERS "/%s", lend->devices[0].name);
	/* A file that an older version left can be locked by everybody. */
	return state_remove(lend->host, name) ?: state_hold(lend->host, name, &lend->registered);
}

/* Once the notes are gone, nobody needs the lock. */
int lend_broker_leave(struct lend *lend)
{
	char name[64];
	int error;

	if (lend->registered < 0)
		return 0;
	snprintf(name, sizeof(name), BROKERS "/%s", lend->devices[0].name);
	error = state_remove(lend->host, name);
	close(lend->registered);
	return error;
}

/* Memory that vfio pins counts as locked memory of the program. */
static uint64_t locked_memory(struct usrpci_host *host, int pid)
{
	char text[4096];
	const char *line;
	uint64_t kib = 0;

	if (file_read(host->ctx, text, sizeof(text), "/proc/%d/status", pid) < 0)
		return 0;
	line = strstr(text, "\nVmLck:");
	return line && sscanf(line, "\nVmLck: %" SCNu64, &kib) == 1 ? kib << 10 : 0;
}

static void describe(struct usrpci_host *host, const struct note *note, struct usrpci_lent *lent)
{
	uint64_t now = lend_interrupts(host, &note->addr, note->vfio);

	*lent = (struct usrpci_lent){
		.addr = note->addr,
		.broker = note->broker,
		.program = note->program,
		.since = note->since,
		.interrupts = now > note->interrupts ? now - note->interrupts : 0,
		.abandoned = is_abandoned(host, note),
	};
	memcpy(lent->command, note->command, sizeof(lent->command));
	lent->dma_bytes = note->vfio ? locked_memory(host, note->program)
				     : lend_memory_used(host, note->memory);
}

int lend_note_find(struct usrpci_host *host, const struct usrpci_addr *addr,
		   struct usrpci_lent *lent)
{
	char device[USRPCI_ADDR_STRLEN], name[64];
	struct note note;
	int error;

	usrpci_addr_format(addr, device);
	if (look_lacks(host, LOOK_LENT, device))
		return 0;
	snprintf(name, sizeof(name), NOTES "/%s", device);
	error = state_exists(host, name);
	if (error <= 0)
		return error;
	error = read_note(host, device, &note);
	if (error)
		return error;
	describe(host, &note, lent);
	return !lent->abandoned || !host->options.dry_run;
}

int lend_note_check(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char device[USRPCI_ADDR_STRLEN];
	struct usrpci_lent lent;
	int found = lend_note_find(host, addr, &lent);

	if (found <= 0)
		return found;
	usrpci_addr_format(addr, device);
	if (lent.abandoned)
		return refuse(host->ctx, -EBUSY, device, "usrpci restore --all tries again",
			      "a run that has ended had it, and it is not cleaned up yet");
	return refuse(host->ctx, -EBUSY, device, "end that program; usrpci ps lists it",
		      "it is lent to %s (broker %d)", lent.command, lent.broker);
}

int lend_check(struct usrpci_host *host, const struct usrpci_addr *addrs, size_t count)
{
	int error = 0;

	for (size_t i = 0; !error && !host->lends && i < count; i++)
		error = lend_note_check(host, &addrs[i]);
	return error;
}

int usrpci_host_lent(struct usrpci_host *host, struct usrpci_lent **list)
{
	struct note *notes;
	int count = read_notes(host, &notes);

	*list = NULL;
	if (count < 0)
		return count;
	*list = calloc((size_t)count + 1, sizeof(**list));
	for (int i = 0; *list && i < count; i++)
		describe(host, &notes[i], &(*list)[i]);
	free(notes);
	return *list ? count : -ENOMEM;
}

static int give_back(struct usrpci_host *host, const struct note *note)
{
	const char *before = strcmp(note->driver, "-") ? note->driver : "";

	return note->keep ? 0 : restore_lent(host, &note->addr, before, note->was_ours);
}

static int write_recovered(void *note, struct usrpci_host *host)
{
	return write_note(host, note);
}

static int give_pages_back(struct usrpci_host *host, const struct note *note)
{
	struct note changed = *note;

	return lend_pages_give_back(host, &changed.pages, write_recovered, &changed);
}

/* All devices of a broker must be stopped and closed before the first one is given back. */
static int recover_one(struct usrpci_host *host, const struct note *note)
{
	int error = note->is_back ? 0 : give_back(host, note);

	if (!error && strcmp(note->memory, "-") != 0)
		error = lend_memory_free(host, note->memory);
	if (!error)
		error = give_pages_back(host, note);
	return error ?: lend_note_remove(host, &note->addr);
}

int lend_is_same(struct usrpci_host *host, const struct usrpci_addr *addr, uint64_t identity)
{
	char name[USRPCI_ADDR_STRLEN];
	uint64_t now = 0;
	int error = identity ? journal_identity(host, addr, &now) : 0;

	if (error || !now || now == identity)
		return error ?: 1;
	log_warning(host->ctx, usrpci_addr_format(addr, name), NULL,
		    "another device is in the place of the one that was lent, and is left alone");
	return 0;
}

/*
 * A device may already be back with its kernel driver: somebody did it by hand, or a recovery was
 * killed before it removed the note. Such a device must not be touched. Returns a negative errno,
 * logged, when that cannot be found out.
 */
static int find_is_back(struct usrpci_host *host, struct note *note)
{
	struct usrpci_dev_info info;
	char name[USRPCI_ADDR_STRLEN];
	int same = lend_is_same(host, &note->addr, note->identity);

	note->is_back = !same;
	if (same <= 0)
		return same;
	if (usrpci_dev_lookup(host->ctx, &note->addr, &info) ||
	    info.driver_kind != USRPCI_DRIVER_KERNEL)
		return 0;
	log_warning(
		host->ctx, usrpci_addr_format(&note->addr, name), NULL,
		"the kernel driver %s has it again, so the recovery of a killed broker leaves it "
		"alone",
		info.driver);
	note->is_back = true;
	return 0;
}

/*
 * A device that had no driver may have none again, when a recovery was killed behind that. It was
 * stopped then, and to stop it once more would leave its interrupt masked.
 */
static bool is_idle(struct usrpci_host *host, const struct note *note)
{
	struct usrpci_dev_info info;
	struct lend_config now;

	return !strcmp(note->driver, "-") && !usrpci_dev_lookup(host->ctx, &note->addr, &info) &&
	       info.driver_kind == USRPCI_DRIVER_NONE &&
	       !lend_config_save(host, &note->addr, &now) && now.saved &&
	       !(get_le16(now.bytes + PCI_COMMAND) & PCI_COMMAND_MASTER);
}

/*
 * A process that the program started may outlive the broker and start the device again. So the
 * device is stopped first, and then processes that have it open are searched. A dry run only
 * searches.
 */
static int stop_abandoned(struct usrpci_host *host, const struct note *note)
{
	int error = lend_nodes_close(host, note->first);

	if (note->is_back)
		return error;
	if (!error && !host->options.dry_run && !is_idle(host, note))
		error = lend_stop(host, &note->addr, &note->config);
	return error ?: lend_wait_unheld(host, &note->addr);
}

/*
 * All devices of a broker can reach all of its memory, so one device that does not stop makes all
 * of it unsafe.
 */
static bool has_stuck(const struct note *notes, int count, const char *first)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(notes[i].first, first) && notes[i].stuck)
			return true;
	return false;
}

static int recover(struct usrpci_host *host, struct note *notes, int count)
{
	int restored = 0, first = 0, error;

	for (int i = 0; i < count; i++) {
		if (!is_abandoned(host, &notes[i]))
			continue;
		error = find_is_back(host, &notes[i]) ?: stop_abandoned(host, &notes[i]);
		notes[i].stuck = error;
		first = first ? first : error;
	}
	for (int i = 0; i < count; i++) {
		if (!is_abandoned(host, &notes[i]) || has_stuck(notes, count, notes[i].first))
			continue;
		error = recover_one(host, &notes[i]);
		restored += !error;
		first = first ? first : error;
	}
	return first ? first : restored;
}

/* A broker that was killed before its first note has left only its lock file. */
static void forget_brokers(struct usrpci_host *host)
{
	struct note note = {0};
	AUTO_FREE char **names = NULL;
	char name[64];
	int count = dir_list(host->ctx, &names, STATE_DIR "/" BROKERS);

	for (int i = 0; i < count; i++) {
		snprintf(note.first, sizeof(note.first), "%.15s", names[i]);
		snprintf(name, sizeof(name), BROKERS "/%s", note.first);
		if (is_address(note.first) && is_abandoned(host, &note))
			state_remove(host, name);
	}
}

/* 1 or 0; a negative errno, logged, when that cannot be found out. */
static int left_anything(struct usrpci_host *host)
{
	int found = state_exists(host, BROKERS) ?: state_exists(host, NOTES);

	return found ?: state_was_held(host) ?: state_is_unfinished(host);
}

int usrpci_host_recover(struct usrpci_host *host)
{
	struct note *notes;
	int count, unconfirmed = confirm_recover(host), result = left_anything(host);

	if (result <= 0)
		return result ?: unconfirmed;
	result = state_lock(host);
	if (result)
		return result;
	host->lends = true;
	count = read_notes(host, &notes);
	result = count < 0 ? count : recover(host, notes, count);
	host->lends = false;
	free(notes);
	forget_brokers(host);
	result = result < 0 ? result : net_left_recover_all(host) ?: result;
	state_forget_held(host);
	state_unlock(host);
	return result ? result : unconfirmed;
}
