/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * All changes to the host are made here. Each change is first shown to the program. A dry run ends
 * there and reports success, so that the caller goes on as if the change had been made.
 */

#include <stdint.h>
#include <sys/types.h>

struct nlmsghdr;
struct usrpci_dev;
struct usrpci_host;

enum change_kind {
	CHANGE_WRITE,   /* writes value to path */
	CHANGE_MODULE,  /* loads the module value */
	CHANGE_OWNER,   /* gives path to uid and gid; (uid_t)-1 and (gid_t)-1 change nothing */
	CHANGE_MODE,    /* sets the permissions of path to mode */
	CHANGE_MOUNT,   /* makes path and mounts a file system of type value on it, with options */
	CHANGE_UNMOUNT, /* unmounts path and removes the empty directory */
	CHANGE_REMOVE,  /* removes the file path */
	CHANGE_RENAME,  /* renames the interface value to options */
	CHANGE_UP,      /* sets the interface value up */
	CHANGE_CONFIG,  /* changes a register of dev's configuration space */
	CHANGE_RESET,   /* resets the function dev */
	CHANGE_NETLINK, /* sends message to rtnetlink(7); value is the same as a command */
	CHANGE_TAP,     /* makes the TAP device value; stores its queues in tap */
	CHANGE_TAP_END, /* removes the TAP device value by closing the queues in tap */
};

/* For a write that may block in the kernel, so that a separate process makes it (errand.h). */
struct patience {
	unsigned int deadline_ms;
	int held;  /* a descriptor that stays open for as long as the kernel has not answered */
	pid_t pid; /* result: the process that still waits after -ETIMEDOUT */
};

struct change {
	enum change_kind kind;
	const char *path; /* the path in the running system, without the context's root */
	const char *value;
	const char *why;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	const char *options;
	struct usrpci_dev *dev;
	unsigned int offset;
	uint16_t clear, set;       /* bits of the register to clear and to set */
	struct patience *patience; /* for a write; NULL: this process makes it */
	struct nlmsghdr *message;
	int *tap; /* the descriptors of its queues */
	unsigned int queues;
};

/*
 * Each function returns 0 or a negative errno. The caller logs failures, since it knows what they
 * mean.
 */
__attribute__((format(printf, 5, 6))) int apply_write(struct usrpci_host *host, const char *why,
						      const char *value, struct patience *patience,
						      const char *format, ...);
int apply_module(struct usrpci_host *host, const char *why, const char *module);
int apply_owner(struct usrpci_host *host, const char *why, const char *path, uid_t uid, gid_t gid);
int apply_mode(struct usrpci_host *host, const char *why, const char *path, mode_t mode);
int apply_mount(struct usrpci_host *host, const char *why, const char *type, const char *path,
		const char *options);
int apply_unmount(struct usrpci_host *host, const char *why, const char *path);
int apply_remove(struct usrpci_host *host, const char *why, const char *path);
int apply_rename(struct usrpci_host *host, const char *why, const char *interface,
		 const char *name);
int apply_up(struct usrpci_host *host, const char *why, const char *interface);

/* Clears and sets bits of a 16-bit register. If nothing would change, it is not written. */
int apply_config(struct usrpci_host *host, const char *why, struct usrpci_dev *dev,
		 unsigned int offset, uint16_t clear, uint16_t set);
int apply_reset(struct usrpci_host *host, const char *why, struct usrpci_dev *dev);

/* Sends a request of rtnetlink(7); "command" is the same request as a shell command. */
int apply_netlink(struct usrpci_host *host, const char *why, const char *command,
		  struct nlmsghdr *message);

/*
 * Makes a TAP device that lives until apply_tap_end(), with headers for offloads before each frame.
 * Stores the descriptors of its queues, which are 0 in a dry run.
 */
int apply_tap(struct usrpci_host *host, const char *why, const char *name, int *tap,
	      unsigned int queues);
int apply_tap_end(struct usrpci_host *host, const char *why, const char *name, int *tap,
		  unsigned int queues);

/* Makes a change in the running kernel. This is host_kernel.perform outside of tests. */
int apply_perform(struct usrpci_host *host, const struct change *change);
