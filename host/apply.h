/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The one way to change the host. Whatever is changed is shown to the program first; a dry run ends
 * there and reports success, so a caller goes on as if the kernel had done as told.
 */

#include <stdint.h>
#include <sys/types.h>

struct nlmsghdr;
struct usrpci_dev;
struct usrpci_host;

enum change_kind {
	CHANGE_WRITE,   /* value to path */
	CHANGE_MODULE,  /* load value */
	CHANGE_OWNER,   /* path to uid and gid; (uid_t)-1 and (gid_t)-1 stay as they are */
	CHANGE_MODE,    /* permissions of path to mode */
	CHANGE_MOUNT,   /* a file system of type value on path, which is made, with options */
	CHANGE_UNMOUNT, /* what is mounted on path, and the empty directory */
	CHANGE_REMOVE,  /* the file path */
	CHANGE_RENAME,  /* the interface value to options */
	CHANGE_UP,      /* the interface value */
	CHANGE_CONFIG,  /* a register of dev's configuration space */
	CHANGE_RESET,   /* dev, by its function's reset */
	CHANGE_NETLINK, /* message to rtnetlink(7), as the command value says it */
	CHANGE_TAP,     /* a TAP device is made; *tap has its descriptor and name its name */
	CHANGE_TAP_END, /* the TAP device value ends with the descriptor *tap */
};

/* A write that may block in the kernel, so that a process of its own makes it (errand.h). */
struct patience {
	unsigned int deadline_ms;
	int held;  /* a descriptor that stays open for as long as the kernel has not answered */
	pid_t pid; /* set: the process that goes on waiting after -ETIMEDOUT */
};

struct change {
	enum change_kind kind;
	const char *path; /* as the running system has it, without the context's root */
	const char *value;
	const char *why;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	const char *options;
	struct usrpci_dev *dev;
	unsigned int offset;
	uint16_t clear, set;       /* bits of the register */
	struct patience *patience; /* of a write; NULL: this process makes it */
	struct nlmsghdr *message;
	int *tap;
	char *name; /* IF_NAMESIZE */
};

/* Each returns 0 or a negative errno, and logs no failure: what it means is the caller's to say. */
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

/* Clears and sets bits of a register of 16 bits; a register that has them so is not written. */
int apply_config(struct usrpci_host *host, const char *why, struct usrpci_dev *dev,
		 unsigned int offset, uint16_t clear, uint16_t set);
int apply_reset(struct usrpci_host *host, const char *why, struct usrpci_dev *dev);

/* Sends a request of rtnetlink(7), which is what the command says. */
int apply_netlink(struct usrpci_host *host, const char *why, const char *command,
		  struct nlmsghdr *message);

/*
 * Makes a TAP device that lives until apply_tap_end(), with headers for offloads before each frame,
 * and stores its name. Returns its descriptor, 0 in a dry run, or a negative errno.
 */
int apply_tap(struct usrpci_host *host, const char *why, char *name);
int apply_tap_end(struct usrpci_host *host, const char *why, const char *name, int tap);

/* Makes a change of the running kernel: what host_kernel.perform is outside tests. */
int apply_perform(struct usrpci_host *host, const struct change *change);
