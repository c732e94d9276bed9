/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the parts of lending share.
 *
 *	lend.c     takes devices, runs the program, gives them back
 *	user.c     whom the program runs as
 *	ids.c      a user that nobody else is
 *	capabilities.c  what the program, and who serves it, keep of root's powers
 *	child.c    the program's process: no privileges, and then no way to get any
 *	run.c      starts the program and the process that serves it, and waits
 *	serve.c    the protocol (util/broker.h); treats its peers as hostile
 *	config.c   what a program may leave wrong in configuration space
 *	files.c    files of the devices, opened for the program
 *	memory.c   DMA memory where there is no IOMMU
 *	holders.c  who still has a device at the end
 *	spare.c    keeps the broker where memory is short
 *	filter.c   what the program, and who serves it, may ask of the kernel
 *	confine.c  which files who serves it may open
 *	nodes.c    files of vfio that the program opens by itself
 *	note.c     what is lent, for others to see, and what a killed broker left behind
 */

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/types.h>

#include "host.h"
#include "journal.h"

#define LEND_FILES_MAX 128 /* of all devices of a broker */
#define LEND_PAGE_SIZE (UINT64_C(2) << 20)

/* Who has a device or a page, when it is no client. */
#define LEND_NOBODY (-1)
#define LEND_STUCK  (-2) /* it could not be taken back safely, and is not lent again */

/* The device of a file that is no device's: an empty container reaches none. */
#define LEND_SHARED UINT_MAX

/* What a request may do with a file. */
enum lend_use { LEND_OPEN, LEND_READ, LEND_RESET };

/* A file that may be opened for the program, or written to in its name. */
struct lend_file {
	char path[96];
	enum lend_use use;
	unsigned int device; /* or LEND_SHARED */
	int fd; /* held open for as long as devices are lent; -1: opened for each who asks */
};

#define LEND_CONFIG_SIZE 256

/*
 * Configuration space as it was lent, in its own byte order, and which of it the program may write.
 */
struct lend_config {
	uint8_t bytes[LEND_CONFIG_SIZE];
	bool writable[LEND_CONFIG_SIZE];
	bool saved;
};

struct lend_device {
	struct usrpci_dev_info info; /* as it is lent */
	char name[USRPCI_ADDR_STRLEN];
	char driver_before[NAME_SIZE];
	bool was_ours;                /* usrpci held it before */
	struct journal_record record; /* what held it before usrpci's first touch */
	uint64_t identity;            /* journal_identity() */
	bool is_another;              /* found at the end: it was plugged out meanwhile */
	bool vfio;
	unsigned int uio;    /* N of /dev/uioN */
	uint64_t interrupts; /* counted by the kernel before */
	struct lend_config config;
	struct usrpci_dev *config_dev; /* NULL but in the process that serves */
	int client; /* index of the one that has it, or LEND_NOBODY or LEND_STUCK */
};

/* Whom the program runs as. */
struct lend_user {
	uid_t uid;
	gid_t gid;
	char name[64];
	char home[128];
};

/*
 * Huge pages that a broker added to the kernel's. While that changes, which is with the lock held,
 * a base tells how many are done, whenever it is killed: those of usrpci's that are above it.
 */
struct lend_pages {
	size_t count; /* at most */
	int64_t base; /* usrpci's pages without these; -1: these are all there */
};

struct lend {
	struct usrpci_host *host;
	const struct usrpci_lend_options *options;
	int connection; /* the program's standard input and output; -1: the caller's */
	struct lend_device *devices;
	size_t count;
	struct lend_file files[LEND_FILES_MAX];
	size_t file_count;
	struct usrpci_ctx *memory; /* has the DMA memory, in the process that serves; or NULL */
	char memory_directory[64];
	size_t page_limit; /* huge pages to lend */
	struct lend_pages pages;
	int pins[2]; /* a pipe that has a byte of each page that was lent; -1: none */
	struct lend_user user;
	int registered;      /* a descriptor with the lock of this broker; -1: not yet */
	pid_t first;         /* of the program's namespace; 0: there is none yet */
	ino_t space;         /* this namespace */
	int lives;           /* a pipe that is closed when this process has ended */
	pid_t program;       /* 0: not started yet */
	pid_t server;        /* answers it; 0: there is none */
	bool nodes;          /* the program opens vfio's files by itself */
	bool crashed;        /* it was ended by a signal that nobody sent through this process */
	unsigned int starts; /* of the program */
	bool outlived;       /* processes of the run do not end */
	time_t since;
	uint64_t started; /* of this process, in clock ticks after boot; 0: not read yet */
	sigset_t signals_before;
	char oom_score[16]; /* of this process before; "": not changed */
	int policy;         /* of this process before it came first; -1: it does not */
	struct sched_param priority;
};

/* lend.c: usrpci_host_lend() to a program whose standard input and output are a connection. */
int lend_on(struct usrpci_host *host, const struct usrpci_lend_options *options, int connection);

/* The same for who has already recovered the host, and can open enough files. */
int lend_recovered(struct usrpci_host *host, const struct usrpci_lend_options *options,
		   int connection);

/*
 * Refuses, with a message, what can be refused of a loan of one device before anything changes, and
 * runs the program without a device, as the user that it will have: it is to end with 0.
 */
int lend_look(struct usrpci_host *host, const struct usrpci_lend_options *options);

/* files.c: lists and opens what can be lent. Errors are logged. */
int lend_files_open(struct lend *lend);
void lend_files_close(struct lend *lend);

/* Finds a file of the list by its path; NULL when it is not in the list. */
struct lend_file *lend_file_find(struct lend *lend, const char *path);

/* Opens a file of the list: a descriptor, which is the caller's to close, or a negative errno. */
int lend_file_get(struct lend *lend, const struct lend_file *file);

/* Resets a device by the file of the list that does so. */
int lend_file_reset(struct lend *lend, const struct lend_file *file);

/*
 * user.c: decides whom the program runs as. The lock is held until the notes say who that is.
 * Errors, logged: -ENOENT (no such user), -EPERM (root), -EUSERS (none is unused).
 */
int lend_user_find(struct lend *lend);

/* The same errors, for the name of a user; NULL is right too. */
int lend_user_check(struct usrpci_host *host, const char *name);

/*
 * ids.c: finds a user id that no user, group, process or note has.
 * -EUSERS when there is none; errors are logged.
 */
int lend_id_find(struct usrpci_host *host, unsigned int *id);
/* Returns 0, or a negative errno when that cannot be found out. */
int lend_id_is_taken(struct usrpci_host *host, unsigned int id, bool *taken);

/*
 * nodes.c: decides which way the program gets its devices, and says so. -EOPNOTSUPP, logged, where
 * it cannot be the one that is asked for.
 */
int lend_nodes_choose(struct lend *lend);

/* Makes the nodes, where the program is to have them; errors are logged. */
int lend_nodes_open(struct lend *lend);

/*
 * Takes the nodes of a broker, named by its first device, from the program's user, if there are
 * any: nobody can open one any more. Errors are logged.
 */
int lend_nodes_close(struct usrpci_host *host, const char *device);

/*
 * In the program's process, which is still root's and has mounts of its own: shows it the nodes.
 * Returns 0 or a negative errno.
 */
int lend_nodes_make(const struct lend *lend);

/*
 * child.c: starts the program with the socket that it asks the broker on. Returns its process,
 * or -errno; *status is its exit status when it could not be started at all, and 0 otherwise.
 */
pid_t lend_child_start(struct lend *lend, int socket, int *status);

/* Runs the program without devices. Returns 0, or a negative errno when it does not end with 0. */
int lend_child_try(struct lend *lend);

/*
 * capabilities.c: leaves this process, and what it starts, no capabilities but those of a mask.
 * The bounding set goes first, because that takes a capability. Returns 0 or a negative errno.
 */
void lend_capabilities_bound(uint32_t kept);
int lend_capabilities_keep(uint32_t kept);
/* Leaves the process that serves the program what it needs for the files of the list. */
int lend_capabilities_drop(const struct lend *lend);

/*
 * filter.c: from here on the kernel refuses this process, and what it starts, some calls for good:
 * the program, which has no_new_privs, those that put input into a terminal; the process that
 * serves it all that it does not need. Return 0 or a negative errno.
 */
int lend_filter_program(void);
int lend_filter_server(void);

/*
 * confine.c: from here on the kernel lets this process open the files of the list, those of the DMA
 * memory, and to read sysfs; no other. Returns 0 or a negative errno.
 */
int lend_confine_server(const struct lend *lend);

/*
 * spare.c: the kernel is not to end this process, nor those that it starts, where memory is short;
 * the program is then what this process was before.
 */
void lend_spare(struct lend *lend);
/*
 * Lets this process open as many files as giving a device back may take. Returns 1 when it could
 * not open so many before, 0, or -EMFILE, logged, when it may not. The other leaves it, or a
 * process that it has started, as many as it could open before.
 */
int lend_spare_files(struct usrpci_host *host, const char *name);
int lend_unspare_files(const struct usrpci_host *host);
/* Returns 0 or a negative errno. */
int lend_unspare(const struct lend *lend);

/*
 * end.c: however many processes the program starts, the two that end them come first: this one,
 * and the first of the namespace, which ends it when this one is killed. Both do nothing until
 * then.
 */
void lend_come_first(struct lend *lend);

/*
 * Ends all processes of the program, and the one that serves it. Sets lend->outlived, with a
 * warning, when some do not end.
 */
void lend_end_all(struct lend *lend);

/*
 * run.c: runs the program until it has ended, and everything that it has started with it. Returns
 * its exit status as usrpci_host_lend() does, or a negative errno.
 */
int lend_run(struct lend *lend);

/*
 * serve.c: answers the processes that have the other end of the socket hello, or of a socket that
 * they got through it, until none is left.
 */
void lend_serve(struct lend *lend, int hello);

/*
 * Holds back the signals that are for the program from before the first change: none ends the
 * broker until it has given everything back.
 */
void lend_signals_block(sigset_t *before);
void lend_signals_restore(const sigset_t *before);

/*
 * note.c: a device's note is written as soon as it is taken, and again when there is more to
 * know: where its memory is, which process the program.
 */
int lend_note_write(struct lend *lend, const struct lend_device *device);
int lend_notes_write(struct lend *lend);
/* Takes the lock that says that this broker lives, with the first device; errors are logged. */
int lend_broker_register(struct lend *lend);
int lend_broker_leave(struct lend *lend);
/* Returns whether a program with lent devices runs, or ran, as this user. */
bool lend_note_has_user(struct usrpci_host *host, uid_t uid);
/*
 * Finds out to whom a device is lent. Returns 1; 0 when it is not lent, or in a dry run when the
 * broker was killed; or a negative errno, -EBADMSG, logged, when its note is damaged.
 */
int lend_note_find(struct usrpci_host *host, const struct usrpci_addr *addr,
		   struct usrpci_lent *lent);
/* -EBUSY when another broker has the device, -EBADMSG when its note is damaged; logged. */
int lend_note_check(struct usrpci_host *host, const struct usrpci_addr *addr);
/*
 * Works as lend_note_check() for several devices; does nothing while the host itself lends or
 * recovers.
 */
int lend_check(struct usrpci_host *host, const struct usrpci_addr *addrs, size_t count);
int lend_note_remove(struct usrpci_host *host, const struct usrpci_addr *addr);

/* config.c: errors are logged, but for those of usrpci_config_read(). */
int lend_config_save(struct usrpci_host *host, const struct usrpci_addr *addr,
		     struct lend_config *config);

/* Opens configuration space for the two below, which then need no capability; errors are logged. */
int lend_config_open(struct usrpci_host *host, struct lend_device *device);

/*
 * Writes a register for the program. -EPERM when it is not the program's to write; other errors
 * are those of usrpci_config_write32().
 */
int lend_config_write(struct usrpci_host *host, struct lend_device *device, uint64_t offset,
		      uint64_t width, uint32_t value);

/* Puts configuration space back, where it was saved, and stops the device as quiesce() does. */
int lend_stop(struct usrpci_host *host, const struct usrpci_addr *addr,
	      const struct lend_config *config);

/* The same as quiesce_pause() does, while the device stays lent to the program. */
int lend_pause(struct usrpci_host *host, struct lend_device *device);

/*
 * holders.c: waits until no process has the device open or mapped. -EBUSY, logged, when one still
 * has it after a while.
 */
int lend_wait_unheld(struct usrpci_host *host, const struct usrpci_addr *addr);

/*
 * memory.c: mounts a place for DMA memory, reserves huge pages for it, and writes the notes. Errors
 * are logged.
 */
int lend_memory_open(struct lend *lend);
/*
 * In the process that serves, while it has its capabilities: opens lend->memory, where there is a
 * place for it. Returns 0 or a negative errno.
 */
int lend_memory_use(struct lend *lend);
/* Reserves huge pages for a program that takes them by itself, and writes the notes. */
int lend_memory_reserve(struct lend *lend);
/* Memory without a page of the program that has ended, for the next one. Errors are logged. */
int lend_memory_renew(struct lend *lend);
/*
 * Keeps the kernel from giving a page to anybody else until lend_memory_unpin(): the program can
 * punch it out of the file, and its device goes on writing to it. Returns 0 or a negative errno.
 */
int lend_memory_pin(struct lend *lend, void *block);
void lend_memory_unpin(struct lend *lend);
/* Returns how many bytes are allocated there; 0 also when that is unknown. */
uint64_t lend_memory_used(struct usrpci_host *host, const char *directory);
/* Changes each file of a directory, if there is one. Returns the first error. */
int lend_for_files(struct usrpci_host *host, const char *directory,
		   int (*change)(struct usrpci_host *host, const char *path));
/* Removes the files and unmounts. -EBUSY, logged, when a process still has some of it. */
int lend_memory_free(struct usrpci_host *host, const char *directory);

/*
 * note.c: whether the device at an address is the one that was lent, 1 or 0, or a negative errno,
 * logged: a warning says that another is in its place. One that is gone, and an identity of 0,
 * which is not known, count as the same.
 */
int lend_is_same(struct usrpci_host *host, const struct usrpci_addr *addr, uint64_t identity);

/*
 * memory.c: gives the pages back, or those that an attempt before this one has not. write_note() is
 * called before the first goes, to note the base that pages got. Returns 0 or a negative errno,
 * logged.
 */
int lend_pages_give_back(struct usrpci_host *host, struct lend_pages *pages,
			 int (*write_note)(void *note, struct usrpci_host *host), void *note);

/* lend.c: interrupts of a device that the kernel has counted; 0 when it doesn't say. */
uint64_t lend_interrupts(struct usrpci_host *host, const struct usrpci_addr *addr, bool vfio);
