/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026, the usrpci authors */
#ifndef USRPCI_HOST_H
#define USRPCI_HOST_H

/*
 * Preparing a host (libusrpci-host): who drives a device, huge pages, modules; and back.
 *
 * Every change to the host is one command of a shell: a file that is written, a module that is
 * loaded, an interface that is renamed, a register that is set. It goes through one function of the
 * library, is shown to the program before it happens, and is recorded so that it can be undone. A
 * dry run shows the same and changes nothing.
 *
 * Functions return 0 or a count, or a negative errno, and report failures to the context's log
 * handler.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <usrpci/addr.h>
#include <usrpci/ctx.h>
#include <usrpci/device.h>

#ifdef __cplusplus
extern "C" {
#endif

struct usrpci_host;

/**
 * One change, as it is about to be made. The strings are valid during the call of the handler
 * only.
 */
struct usrpci_host_change {
	const char *command; /**< as a line of shell, quoted: "echo 0000:03:00.0 > /sys/..." */
	const char *path;    /**< the file that is written to; NULL for other changes */
	const char *value;   /**< what is written, or the module's name */
	const char *why;     /**< a few words: "give 0000:03:00.0 to uio_pci_generic" */
};

typedef void usrpci_host_change_fn(void *data, const struct usrpci_host_change *change);

struct usrpci_host_options {
	bool dry_run;                  /**< show changes, make none */
	usrpci_host_change_fn *change; /**< sees every change before it is made */
	void *change_data;             /**< handed to the handler */
	/**
	 * Changes of usrpci_host_bind(), usrpci_host_vfs_set() and usrpci_host_declare_apply() go
	 * back unless usrpci_host_confirm() comes within so many seconds; 0: they stay. While those
	 * of another host wait for it, these functions change nothing: -EALREADY.
	 */
	unsigned int confirm_s;
	/**
	 * In a dry run of usrpci_host_bind(), sees the changes that would undo those which were
	 * shown. Who makes these by itself needs them, since nothing is recorded for restore. NULL:
	 * they are not found out. It gets change_data too.
	 */
	usrpci_host_change_fn *undo;
};

/**
 * Opens the host for changes. Two programs that change a host at once wait for each other: the lock
 * (/run/usrpci/lock) is taken by each changing function for as long as it runs, with a deadline of
 * 10 s. A host is used by one thread at a time.
 *
 * Errors: -ENOMEM.
 */
int usrpci_host_open(struct usrpci_ctx *ctx, const struct usrpci_host_options *options,
		     struct usrpci_host **host);
void usrpci_host_close(struct usrpci_host *host);

/*
 * Guard: who uses a device.
 */

enum usrpci_use_kind {
	USRPCI_USE_ADDRESS, /**< an interface, or one above it, carries an IP address */
	USRPCI_USE_ROUTE,   /**< a route of any table leads over such an interface */
	USRPCI_USE_UPPER,  /**< the interface is part of a bridge, bond, team or has a VLAN on it */
	USRPCI_USE_MOUNT,  /**< a file system on the disk, or above it, is mounted */
	USRPCI_USE_SWAP,   /**< swap space */
	USRPCI_USE_HOLDER, /**< device mapper, md, or another block device holds it */
	USRPCI_USE_DISPLAY,   /**< drives the console's display */
	USRPCI_USE_OPEN,      /**< a process has the device's file open */
	USRPCI_USE_GROUP,     /**< a function of the same IOMMU group belongs to a kernel driver */
	USRPCI_USE_BRIDGE,    /**< a bridge: the devices behind it need it */
	USRPCI_USE_FUNCTIONS, /**< it has virtual functions, which vanish with its driver */
	USRPCI_USE_NAMESPACE, /**< its interface is in another network namespace */
	USRPCI_USE_SHARE,     /**< a virtual machine's files come through it: 9p, virtiofs */
	USRPCI_USE_CONSOLE,   /**< a serial line of it is the kernel's console */
	USRPCI_USE_BELOW,     /**< another PCI function is below it, and vanishes with its driver */
	USRPCI_USE_FRAMES,    /**< frames of an interface without an address: packet sockets, XDP */
	USRPCI_USE_EXPORT,    /**< the kernel exports a disk: loop device, nvmet, SCSI target */
	USRPCI_USE_GUEST,     /**< kept for, or used by, virtual machines: pciback, mediated */
	USRPCI_USE_MEMORY,    /**< the system uses its memory */
	USRPCI_USE_LENT,      /**< it is lent to a program, as usrpci_host_lent() lists it */
	USRPCI_USE_UNKNOWN,   /**< its use cannot be found out in part: it may be in use */
};

/** One use of a device that taking it away would break. */
struct usrpci_use {
	enum usrpci_use_kind kind;
	char object[64]; /**< "eth0", "nvme0n1p2", "0000:03:00.1", "pid 812 (qemu)" */
	char text[160];  /**< "eth0 carries 10.0.2.15/24", one line */
	char cure[200];  /**< what ends this use, a command where there is one */
};

/**
 * Lists what uses a device or anything below it. The list belongs to the caller
 * (usrpci_host_uses_free()).
 *
 * If something cannot be found out, as without root, in a container or without /proc, the list has
 * a USRPCI_USE_UNKNOWN for it. So an empty list means that the device is free to take.
 *
 * Returns the number of uses. Errors: -ENODEV; -ENOMEM.
 */
int usrpci_host_uses(struct usrpci_host *host, const struct usrpci_addr *addr,
		     struct usrpci_use **uses);
void usrpci_host_uses_free(struct usrpci_use *uses);

/*
 * Bind and restore.
 */

struct usrpci_bind_options {
	const char *driver; /**< NULL: where an IOMMU translates, the driver of vfio that it has,
				 vfio-pci or its variant for the device, else uio_pci_generic;
				 "" leaves it without a driver */
	bool force;         /**< take it although it is in use */
	bool whole_group;   /**< vfio-pci: take the endpoints of its IOMMU group along, and
				 an ISA bridge of it from its driver */
	const char *user;   /**< vfio-pci: owner of /dev/vfio/GROUP, name or number; NULL: as is */
	const char *group;  /**< ... and its group */
};

/**
 * Gives devices to drivers, all of them or none. Before the first change it checks everything that
 * can be known: that the drivers exist and can work with the devices (interrupt pin, IOMMU), and
 * that nobody uses the devices. It then loads the modules and, for each device in turn, records
 * what held it, unbinds it, binds it with driver_override, and reads back who holds it. On any
 * failure all devices go back to who held them before the call.
 *
 * A device that the driver has already is left as it is. A module that was loaded stays loaded,
 * whatever happens. The default driver is chosen for each device by itself. Devices of one IOMMU
 * group that are named together need no whole_group.
 *
 * With force, a device is taken even if it is in use, if its use cannot be determined, or if it has
 * no interrupt pin for uio_pci_generic. A bridge is never given to a driver, nor is a device taken
 * that a program has open through vfio, because the kernel would wait for that program without an
 * end.
 *
 * @addrs	the devices; one that is named twice counts once
 * @count	how many
 * @options	NULL: the defaults
 *
 * Errors: -ENODEV; -ENOMEM; -EBUSY (in use, the uses are logged; lent by usrpci run; or another
 * tool holds the lock); -ENOENT (no such driver or module); -EPERM, -EACCES or -EROFS; -EINVAL (no
 * such user or group); -EOPNOTSUPP (no interrupt pin for uio_pci_generic, no IOMMU for vfio-pci, a
 * bridge); -EBADMSG (a device's record is damaged, nothing was changed); -EIO (the kernel did not
 * do as told, and the devices were rolled back); -EUCLEAN (a device could not be rolled back, or
 * the kernel has not answered about it for 15 s because a driver waits for its users: its record is
 * kept, and usrpci_host_restore() brings it back later).
 */
int usrpci_host_bind(struct usrpci_host *host, const struct usrpci_addr *addrs, size_t count,
		     const struct usrpci_bind_options *options);

/**
 * Gives a device back to what held it before usrpci first touched it, no driver included, waits
 * until its driver has set it up, and forgets it: its disks and interfaces are there again, and the
 * interfaces have the names that they had and are up if they were. It has the virtual functions
 * that it had. Addresses and routes are not brought back. If something has not come back after
 * 15 s, the message names it (-EUCLEAN), and the next call does not wait for it again. If
 * usrpci_host_serve() or usrpci_host_net() of another process has the device, that ends first.
 *
 * Errors: -ENOENT (usrpci never touched it, which is logged as a failure if a driver for userspace
 * has it; or its driver's module is not there any more); -ENODEV (it is gone, or another device is
 * in its place, or it was plugged in anew; its record is dropped); -EBUSY (in use now, the uses are
 * logged; or another tool holds the lock); -EPERM, -EACCES or -EROFS; -EBADMSG (the record is
 * damaged); -EIO (the driver did not take it back, or let go of it again); -EUCLEAN (see above; or
 * the kernel has not answered for 15 s: a process of its own waits, and until it has ended the
 * device is refused with -EBUSY). The record is kept unless it says otherwise.
 */
int usrpci_host_restore(struct usrpci_host *host, const struct usrpci_addr *addr);

/**
 * Confirms what was changed by a host with confirm_s, of this process or another: it stays. The
 * time begins when that host is closed, or its process ends.
 *
 * Without a confirmation, devices go back to the drivers, virtual functions and owners that they
 * had before that host, huge pages that it added are given back, and interfaces get their names,
 * MAC addresses, MTU, addresses and routes again. A process of its own does this: a session of its
 * own, which no end of a shell or a terminal reaches. If that process is killed, the next
 * usrpci_host_recover() does it. A device that a program has open then goes back when that program
 * has closed it. VLANs, bridges and bonds above an interface do not come back.
 *
 * Returns how many devices were changed. Errors: -ENOENT (nothing waits for confirmation, which is
 * not logged); -ETIMEDOUT (it is too late: everything went back); -EBADMSG (the record is damaged);
 * -EBUSY (another tool holds the lock); -EACCES.
 */
int usrpci_host_confirm(struct usrpci_host *host);

/** What was recorded of a device before the first change. */
struct usrpci_journal_entry {
	struct usrpci_addr addr;
	uint16_t vendor;
	uint16_t device;
	char driver[32];          /**< the driver that held it; "" when none did */
	char driver_override[32]; /**< the override then; "" when none was set */
	time_t when;              /**< the time of the first change */
};

/**
 * Lists what restore would bring back; a record that is damaged is logged and left out. Returns the
 * count; the list belongs to the caller (free(3)), NULL after an error. Errors: -ENOMEM; -EACCES.
 */
int usrpci_host_journal(struct usrpci_host *host, struct usrpci_journal_entry **entries);

/**
 * Finds the device that had an interface or a disk of this name, "eth1" or "/dev/nvme0n1", when
 * usrpci took it, or the card for which usrpci_host_net() has put a TAP device of this name in the
 * place of its interface. It may be gone; another device that is in its place now is not meant.
 *
 * Errors: -ENOENT (none had it, nothing is logged); -ENOTUNIQ (several had it, which may be after
 * another took its name); -ENOMEM; -EACCES.
 */
int usrpci_host_journal_find(struct usrpci_host *host, const char *name, struct usrpci_addr *addr);

/*
 * SR-IOV: virtual functions.
 */

/**
 * Lists the virtual functions that a device has. *most is how many it can have. The list belongs to
 * the caller (free(3)), NULL after an error.
 *
 * Returns the count. Errors: -EOPNOTSUPP (it has no SR-IOV); -ENOMEM; -EBADMSG (the kernel's
 * numbers make no sense).
 */
int usrpci_host_vfs(struct usrpci_host *host, const struct usrpci_addr *addr,
		    struct usrpci_addr **vfs, unsigned int *most);

struct usrpci_vfs_options {
	bool force;     /**< although the device or one of its functions is in use */
	bool no_driver; /**< no kernel driver takes the functions that come */
};

/**
 * Gives a device as many virtual functions; 0 takes them away. The kernel can change a number only
 * by taking all functions away, so none may be in use, nor the device itself: many drivers reset
 * it. What the number was before usrpci's first touch is recorded, and usrpci_host_restore() brings
 * it back.
 *
 * With force, only a function that a program has open through vfio, or that is lent, is refused.
 *
 * @count	0 to what usrpci_host_vfs() gives as most
 * @options	NULL: the defaults
 *
 * Errors: -EOPNOTSUPP (it has no SR-IOV); -EINVAL (more than it can have); -EBUSY (in use, the uses
 * are logged; or another tool holds the lock); -ENODEV; what its driver says of it, then it has the
 * functions that it had; -EUCLEAN (those could not be brought back).
 */
int usrpci_host_vfs_set(struct usrpci_host *host, const struct usrpci_addr *addr,
			unsigned int count, const struct usrpci_vfs_options *options);

/*
 * Huge pages.
 */

struct usrpci_hugepages {
	size_t page_size; /**< bytes */
	int node;         /**< NUMA node */
	size_t total;     /**< pages in the pool */
	size_t free;      /**< pages of them that nobody uses */
	size_t surplus;   /**< of total, allocated beyond the pool's size */
	size_t ours;      /**< of total, reserved by usrpci and not yet released */
};

/**
 * Lists every page size and node. Returns the count; the list belongs to the caller (free(3)), NULL
 * after an error.
 */
int usrpci_host_hugepages(struct usrpci_host *host, struct usrpci_hugepages **list);

/**
 * Makes sure that count pages are free, by growing the pool by what is missing; never shrinks it.
 * Reads back how many pages the kernel gave. If they are too few, this compacts memory and tries
 * again; if that does not help, it gives back what it took and fails.
 *
 * @page_size	bytes; 0: 2 MiB, where that is the machine's default
 * @node	NUMA node, or -1: any
 *
 * Returns how many pages were added. Errors: -ENOMEM (memory is short or fragmented: the message
 * says how many it gave); -EINVAL (no such page size or node, or the machine has another default
 * and page_size is 0); -EACCES; -EROFS; -EBUSY (another tool holds the lock).
 */
int usrpci_host_hugepages_reserve(struct usrpci_host *host, size_t count, size_t page_size,
				  int node);

/**
 * Gives the kernel back the pages that usrpci_host_hugepages_reserve() added, as far as they are
 * free. Pages of others stay. A page_size of 0 means all sizes, a node of -1 all nodes. Returns how
 * many pages were given back; those still in use stay recorded. Errors: -EINVAL (no such page size
 * or node); -EACCES; -EROFS; -EBUSY (another tool holds the lock); -ENOMEM.
 */
int usrpci_host_hugepages_release(struct usrpci_host *host, size_t page_size, int node);

/*
 * A declared host: what files say of it.
 */

struct usrpci_declare_options {
	const char *directory;          /**< of the files, NAME.conf; NULL: /etc/usrpci */
	bool driverctl;                 /**< read driverctl's directory too */
	const struct usrpci_addr *only; /**< no other device, and no huge pages; NULL: everything */
	bool force; /**< take devices in use too; only with the host's confirm_s */
	bool once;  /**< leave alone what was found by its MAC address or serial number since it was
			 plugged in, which may have been given back since then */
};

/**
 * Makes the host what its files say, usrpci-apply(8) explains their form: huge pages, virtual
 * functions, drivers and owners of devices. What is so already is left alone. In a dry run the
 * changes that are shown are the difference.
 *
 * All files are read, and held against each other, before the first change. A device that is not
 * there is left out. One that is not what a file says it is, or is in use, is logged and left
 * alone, and the others are done.
 *
 * Errors: -EBADMSG (a file makes no sense, or two contradict each other: nothing was changed);
 * -ENODEV (another device is where one was meant); those of usrpci_host_bind(),
 * usrpci_host_vfs_set() and usrpci_host_hugepages_reserve(); -EINVAL (force without confirm_s).
 */
int usrpci_host_declare_apply(struct usrpci_host *host,
			      const struct usrpci_declare_options *options);

/*
 * Check: is this host ready?
 */

enum usrpci_check_state {
	USRPCI_CHECK_OK,      /**< ready */
	USRPCI_CHECK_NOTE,    /**< works, worth knowing */
	USRPCI_CHECK_MISSING, /**< something must be done first; cure says what */
};

struct usrpci_finding {
	enum usrpci_check_state state;
	char topic[24]; /**< "module", "iommu", "hugepages", "lockdown", "memlock", ... */
	char text[200]; /**< what was found, one line */
	char cure[200]; /**< the command that mends it; "" when state is OK */
};

/**
 * Examines the host and, when addr is not NULL, one device. Changes nothing and needs no
 * privileges, though it sees more with them. The list belongs to the caller (free(3)), NULL after
 * an error.
 *
 * Returns the number of findings. Errors: -ENODEV; -ENOMEM.
 */
int usrpci_host_check(struct usrpci_host *host, const struct usrpci_addr *addr,
		      struct usrpci_finding **findings);

/*
 * Lending: a device for as long as a program runs.
 */

/** How a program gets at the devices that are lent to it. */
enum usrpci_lend_way {
	USRPCI_LEND_AUTO,   /**< by nodes where every device is on vfio and the program is not one
				 of libusrpci, else by the broker alone */
	USRPCI_LEND_BROKER, /**< only through usrpci_dev_open(), which asks the broker */
	USRPCI_LEND_NODES, /**< it can also open vfio's files by itself, as QEMU and DPDK do: it has
				 a /dev/vfio of its own, with those files and no others */
};

struct usrpci_lend_options {
	const struct usrpci_addr *addrs; /**< the devices */
	size_t count;
	struct usrpci_bind_options bind; /**< how they are taken; user and group are not used */
	const char *user; /**< whom the program runs as, name or number; NULL: who called sudo,
				or an unused number from 70000 to 70999 */
	enum usrpci_lend_way way;
	unsigned int restarts; /**< how often a program that crashed is started again */
	size_t hugepages;  /**< pages of 2 MiB to reserve, and to lend at most; 0: 8 under uio, none
				under vfio. With nodes they are mounted at /dev/hugepages. */
	size_t memlock;    /**< bytes that each process may lock, which is what vfio can use for
				DMA; 0: a quarter of the machine's memory */
	bool keep;         /**< leave the devices with the driver that they were lent through */
	char *const *argv; /**< the program and its arguments, ends with NULL */
	int input; /**< a descriptor that the program has as its standard input; 0: the caller's */
	const char *file;    /**< a file of /dev that the program may open as often as it wants, by
				usrpci_ctx_open_file(); NULL: none */
	unsigned int end_ms; /**< how long it may go on after SIGHUP, SIGINT, SIGQUIT or SIGTERM
				before it is killed; 0: as long as it wants */
};

/**
 * Takes devices, runs a program that may use them and nothing else of the hardware, and when it has
 * ended in any way stops them, frees their memory, and puts the host back as it was. The program,
 * and whoever it starts, has no capability; its devices open by usrpci_dev_open() as if it were
 * root. Signals sent to the caller are passed on to it meanwhile. When it is killed because it did
 * not end in end_ms, that is a warning, and its exit status counts as 0; as it does where end_ms is
 * given and such a signal ends it at once.
 *
 * A program that a signal has ended, which was not sent through the caller, has crashed: its
 * devices are stopped and reset before it is started again.
 *
 * Returns the program's exit status, 128 + N when signal N ended it, 126 or 127 when it could not
 * be started. Errors: those of usrpci_host_bind() and usrpci_host_hugepages_reserve(); -EBUSY (a
 * device is lent, another program has it open, or what a killed broker left of it could not be
 * cleaned up); -EBADMSG (a device's note is damaged); -EOPNOTSUPP (its driver is neither
 * uio_pci_generic nor vfio's, or nodes are asked for and it is not vfio's); -ENOENT (no such user);
 * -ENOMEM; -E2BIG (too many devices at once); -EUSERS (no user of those numbers is unused);
 * -EMFILE (giving back may take more open files than RLIMIT_NOFILE allows); -EPERM; -EUCLEAN
 * (something was left behind, because a device does not stop or a process has it or its memory
 * still: whatever the program's exit status was).
 */
int usrpci_host_lend(struct usrpci_host *host, const struct usrpci_lend_options *options);

/** How a disk is served. Zero in any member means its default. */
struct usrpci_serve_options {
	struct usrpci_addr addr;         /**< the NVMe controller or virtio disk */
	uint32_t nsid;                   /**< its namespace; default: that of disk, or 1 */
	const char *disk;                /**< the kernel's name of the namespace, as "nvme0n1" */
	struct usrpci_bind_options bind; /**< how it is taken; user and group are not used */
	const char *user;                /**< as usrpci_lend_options has it */
	unsigned int queues;             /**< requests under way at a time, 1..64; default 16 */
	bool poll;                       /**< use no interrupts */
	bool restart;                    /**< start the driver again when it ends */
	const char *rump;                /**< NetBSD's driver for it, see usrpci/rump.h */
	void (*ready)(void *data, const char *name); /**< called once there is a disk, "nbd0" */
	void *data;
};

/**
 * Serves a namespace of an NVMe controller as a block device of the kernel's, /dev/nbdN, until
 * SIGINT, SIGTERM or SIGHUP, or usrpci_host_restore() of another program, then puts the host back
 * as it was. The controller is lent to nbdkit, as usrpci_host_lend() does, with the plugin
 * usrpci-nvme. A block device that is mounted does not end: that is logged, and the server goes on.
 *
 * Returns 0. Errors: -EINVAL (so many queues); -ENOENT (there is no module nbd); -EBUSY (also: all
 * its devices are in use); -EIO (nbdkit has ended, or could not be run: it says why); those of
 * usrpci_host_lend().
 */
int usrpci_host_serve(struct usrpci_host *host, const struct usrpci_serve_options *options);

struct usrpci_net_options {
	struct usrpci_addr addr;         /**< the card */
	struct usrpci_bind_options bind; /**< as for usrpci_host_lend() */
	const char *user;                /**< as for usrpci_host_lend() */
	size_t hugepages;                /**< as for usrpci_host_lend() */
	char *const *argv;    /**< the driver; its standard input is a socket, see below */
	char *const *look;    /**< tells by status 0 that the driver can be run */
	unsigned int mtu_max; /**< the longest MTU that the driver can carry; 0: any */
};

/**
 * Lends a network card to a driver, with a TAP device in the place of its interface: the TAP has
 * the interface's name, MAC address, MTU, state, addresses and routes as long as the driver runs,
 * and then gives them back as they are by then.
 *
 * The driver's standard input is a socket (AF_UNIX, SOCK_SEQPACKET) with one message of a byte,
 * with which the queues of the TAP come, as many as there are processors, 8 at most (SCM_RIGHTS,
 * unix(7)). The driver detaches those that it does not serve (TUNSETQUEUE). Frames have a struct
 * virtio_net_hdr_v1 of 12 bytes before them; the descriptors do not block.
 *
 * Before anything changes, options->look is run as the driver's user, without the card. Where it
 * does not end with 0, it has said why.
 *
 * Returns what usrpci_host_lend() does. Errors: those of usrpci_host_lend(); -ECANCELED
 * (options->look did not end with 0); -EMSGSIZE (the MTU is too long); -ENODEV (the card has no
 * interface); -ENOTUNIQ (it has several); -EBUSY (something stands on the interface that cannot
 * move: a bridge, a bond, a VLAN, an XDP program, a packet socket; bind.force passes over it);
 * -EOPNOTSUPP (the interface is not Ethernet).
 */
int usrpci_host_net(struct usrpci_host *host, const struct usrpci_net_options *options);

/** An interface that usrpci_host_net() serves. Its counters begin with 0 when it is served. */
struct usrpci_net_stats {
	char name[16];
	uint64_t rx_frames, rx_bytes; /**< received from the card */
	uint64_t tx_frames, tx_bytes; /**< given to the driver */
	uint64_t rx_dropped;          /**< received, but the kernel did not take them */
	uint64_t tx_dropped;          /**< lost, since the driver did not take them in time */
	bool left; /**< usrpci_host_net() was killed, and the interface leads nowhere */
};

/**
 * Reads which interface a card is served as, or was when that was killed, and its statistics.
 *
 * Errors: -ENOENT (it is served as none; not logged); -EACCES.
 */
int usrpci_host_net_stats(struct usrpci_host *host, const struct usrpci_addr *addr,
			  struct usrpci_net_stats *stats);

/** A device that is lent. */
struct usrpci_lent {
	struct usrpci_addr addr;
	pid_t broker;        /**< process of usrpci_host_lend() */
	pid_t program;       /**< what it runs */
	char command[64];    /**< its name */
	time_t since;        /**< when it was lent */
	uint64_t dma_bytes;  /**< DMA memory, bytes; shared by the devices of one broker */
	uint64_t interrupts; /**< since then */
	bool abandoned;      /**< the broker was killed: usrpci_host_recover() cleans up */
};

/**
 * Lists what is lent; a note that is damaged is logged and left out. Returns the count; the list
 * belongs to the caller (free(3)), NULL after an error. Errors: -ENOMEM; -EACCES.
 */
int usrpci_host_lent(struct usrpci_host *host, struct usrpci_lent **list);

/**
 * Stops devices whose broker was killed, frees the DMA memory that it left, and restores them. Does
 * what usrpci_host_confirm() says if the process that should do it was killed. Called by
 * usrpci_host_lend() first; harmless when there is nothing to do.
 *
 * A broker's memory is freed, and its devices are restored, only when all of them could be stopped
 * and no process has one open any more; usrpci_host_lend() refuses them until then.
 *
 * Returns how many devices it restored. Errors: the first of usrpci_host_restore()'s, after the
 * others were tried too.
 */
int usrpci_host_recover(struct usrpci_host *host);

/*
 * Events: devices that come, go and change their driver.
 */

enum usrpci_event_kind {
	USRPCI_EVENT_ADDED,   /**< a device is there */
	USRPCI_EVENT_REMOVED, /**< it is gone */
	USRPCI_EVENT_BOUND,   /**< a driver has it */
	USRPCI_EVENT_UNBOUND, /**< its driver has let go of it */
	USRPCI_EVENT_LOST,    /**< more came than could be kept: list the devices anew */
};

struct usrpci_event {
	enum usrpci_event_kind kind;
	struct usrpci_addr addr; /**< of no meaning when events were lost, as all below */
	uint16_t vendor;
	uint16_t device;
	char driver[32]; /**< that has it now; "" when none does */
	char was[32];    /**< that had it before; "" when none did */
};

struct usrpci_monitor;

/**
 * Begins to listen. Whatever changes from then on is an event, so a program that lists the devices
 * after this call misses none. Needs no privileges. A monitor is used by one thread at a time and
 * closed before its host. Closing NULL does nothing.
 *
 * Errors: -EOPNOTSUPP (the host is a directory that stands for one); -ENOMEM; what socket(2) says.
 */
int usrpci_host_monitor_open(struct usrpci_host *host, struct usrpci_monitor **monitor);
void usrpci_host_monitor_close(struct usrpci_monitor *monitor);

/** The descriptor to poll(2) for reading, for programs that wait for other things too. */
int usrpci_host_monitor_fd(const struct usrpci_monitor *monitor);

/**
 * Waits for the next event.
 *
 * @timeout_ms	how long; 0: not at all; -1: for ever
 *
 * Returns 1, or 0 when none came. Errors: -EINTR; -ENOMEM.
 */
int usrpci_host_monitor_next(struct usrpci_monitor *monitor, int timeout_ms,
			     struct usrpci_event *event);

/*
 * Names, from udev's hardware database.
 */

/**
 * Writes the names of a device's vendor, of the device and of its class, cut to size; "" where
 * there is none. Each of the three may be NULL. Returns 0, also where there is no database, or a
 * negative errno: it cannot be read, or -ENOMEM.
 */
int usrpci_host_names(struct usrpci_host *host, const struct usrpci_dev_info *info, size_t size,
		      char *vendor, char *device, char *class_name);

struct usrpci_interface {
	struct usrpci_addr addr; /**< of the device that it belongs to */
	char name[32];           /**< "eth0", "nvme0n1" */
};

/**
 * Lists the network interfaces, then the disks (without their partitions), that the kernel's
 * drivers of PCI devices provide. Returns the count, or what opendir(3) says of /sys/class; the
 * list belongs to the caller (free(3)), NULL after an error.
 */
int usrpci_host_interfaces(struct usrpci_host *host, struct usrpci_interface **list);

/**
 * Lists the TAP devices that usrpci_host_net() has put in the place of interfaces, with the cards
 * of these, also where it was killed. Returns as usrpci_host_interfaces() does; who may not read
 * /run/usrpci finds none.
 */
int usrpci_host_net_taps(struct usrpci_host *host, struct usrpci_interface **list);

#ifdef __cplusplus
}
#endif

#endif
