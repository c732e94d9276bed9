// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the kernel does when a command writes below /sys, on a host made of files: drivers let go of
 * devices and take them, pools of huge pages grow and shrink; and when one serves a disk as a
 * network block device. Follows drivers/base/bus.c, drivers/pci/pci-driver.c,
 * drivers/uio/uio_pci_generic.c, drivers/block/nbd.c and mm/hugetlb.c as far as commands see. A
 * network interface is a TAP, which is real, in a namespace of its own.
 */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/if_tun.h>
#include <linux/magic.h>
#include <linux/nbd.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "played.h"

#define DEVICES "/sys/bus/pci/devices"
#define DRIVERS "/sys/bus/pci/drivers"
#define NODE    "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/"
#define GLOBAL  "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define TUN     "/dev/net/tun"
#define NBD     "/dev/nbd0"
#define NBD_PID "/sys/block/nbd0/pid"
#define MATCHES 8
#define PIDS    "/proc/self/ns/pid"
#define ROOM    512

/* The kernel's first namespace of processes has this number: PROC_PID_INIT_INO. */
#define FIRST_PID_NAMESPACE 0xEFFFFFFCu

static const char *matches[MATCHES]; /* ADDR=DRIVER */

__attribute__((format(printf, 2, 3))) static char *make_path(char path[ROOM], const char *format,
							     ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(path, ROOM, format, args);
	va_end(args);
	return path;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "inject: %s: %s\n", path, strerror(errno));
	close(fd);
}

static void get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

	text[length > 0 ? length : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Bus mastering, bit 2 of the command register. */
static void set_master(const char *addr, bool on)
{
	char path[ROOM];
	uint8_t command;
	int fd = open(make_path(path, DEVICES "/%s/config", addr), O_RDWR | O_CLOEXEC);

	if (pread(fd, &command, 1, 4) == 1) {
		command = (uint8_t)(on ? command | 4 : command & ~4);
		pwrite(fd, &command, 1, 4);
	}
	close(fd);
}

/* The address of an interface that this kernel makes, as sysfs has it. */
#define ADDRESS "02:00:00:00:00:00"

/* A TAP with this name, of which "%d" becomes a free number: from now on it stays, or goes. */
static int keep_tap(char name[IF_NAMESIZE], int stays)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	struct ifreq hardware = {.ifr_hwaddr = {ARPHRD_ETHER, {2}}};
	int fd = open(TUN, O_RDWR | O_CLOEXEC), index;

	snprintf(request.ifr_name, IF_NAMESIZE, "%s", name);
	if (ioctl(fd, TUNSETIFF, &request) || ioctl(fd, SIOCSIFHWADDR, &hardware) ||
	    ioctl(fd, TUNSETPERSIST, stays))
		fprintf(stderr, "inject: %s: %s\n", name, strerror(errno));
	snprintf(name, IF_NAMESIZE, "%s", request.ifr_name);
	index = (int)if_nametoindex(name);
	close(fd);
	return index;
}

/* The one driver here whose cards have interfaces. */
static bool has_interface(const char *driver)
{
	return !strcmp(driver, "e1000");
}

static void link_interface(const char *addr, const char *name)
{
	char path[ROOM], target[ROOM];

	symlink(make_path(target, DEVICES "/%s/net/%s", addr, name),
		make_path(path, "/sys/class/net/%s", name));
}

static void add_interface(const char *addr)
{
	char name[IF_NAMESIZE] = "eth%d", path[ROOM], index[16];

	snprintf(index, sizeof(index), "%d\n", keep_tap(name, 1));
	mkdir(make_path(path, DEVICES "/%s/net", addr), 0755);
	mkdir(make_path(path, DEVICES "/%s/net/%s", addr, name), 0755);
	put(make_path(path, DEVICES "/%s/net/%s/ifindex", addr, name), index);
	put(make_path(path, DEVICES "/%s/net/%s/address", addr, name), ADDRESS "\n");
	link_interface(addr, name);
}

/* Finds what the interface of a device is called in its directory, and what it is called now. */
static bool find_interface(const char *addr, char was[IF_NAMESIZE], char now[IF_NAMESIZE])
{
	char path[ROOM], index[16];
	glob_t found;
	bool is_there = !glob(make_path(path, DEVICES "/%s/net/*", addr), 0, NULL, &found);

	if (is_there) {
		snprintf(was, IF_NAMESIZE, "%s", strrchr(found.gl_pathv[0], '/') + 1);
		get(make_path(path, "%.256s/ifindex", found.gl_pathv[0]), index, sizeof(index));
		is_there = if_indextoname((unsigned int)atoi(index), now);
	}
	globfree(&found);
	return is_there;
}

static void remove_interface(const char *addr)
{
	char path[ROOM], was[IF_NAMESIZE], now[IF_NAMESIZE];

	if (!find_interface(addr, was, now))
		return;
	keep_tap(now, 0);
	unlink(make_path(path, DEVICES "/%s/net/%s/ifindex", addr, was));
	unlink(make_path(path, DEVICES "/%s/net/%s/address", addr, was));
	unlink(make_path(path, "/sys/class/net/%s", was));
	rmdir(make_path(path, DEVICES "/%s/net/%s", addr, was));
	rmdir(make_path(path, DEVICES "/%s/net", addr));
}

/* A command that renamed it finds it by its new name. */
static void rename_interface(const char *addr)
{
	char from[ROOM], to[ROOM], was[IF_NAMESIZE], now[IF_NAMESIZE];

	if (!find_interface(addr, was, now) || !strcmp(was, now))
		return;
	rename(make_path(from, DEVICES "/%s/net/%s", addr, was),
	       make_path(to, DEVICES "/%s/net/%s", addr, now));
	unlink(make_path(from, "/sys/class/net/%s", was));
	link_interface(addr, now);
}

/* A device's number is that of its place on the bus. */
static unsigned int place_of(const char *addr)
{
	return (unsigned int)strtoul(addr + strlen("0000:00:"), NULL, 16);
}

static void add_uio(const char *addr)
{
	unsigned int number = place_of(addr);
	char path[ROOM], target[ROOM];

	mkdir(make_path(path, DEVICES "/%s/uio", addr), 0755);
	mkdir(make_path(path, DEVICES "/%s/uio/uio%u", addr, number), 0755);
	put(make_path(path, DEVICES "/%s/uio/uio%u/event", addr, number), "0\n");
	mkdir("/sys/class/uio", 0755);
	symlink(make_path(target, DEVICES "/%s/uio/uio%u", addr, number),
		make_path(path, "/sys/class/uio/uio%u", number));
	mkfifo(make_path(path, "/dev/uio%u", number), 0600);
}

static void remove_uio(const char *addr)
{
	unsigned int number = place_of(addr);
	char path[ROOM];

	unlink(make_path(path, "/dev/uio%u", number));
	unlink(make_path(path, "/sys/class/uio/uio%u", number));
	unlink(make_path(path, DEVICES "/%s/uio/uio%u/event", addr, number));
	rmdir(make_path(path, DEVICES "/%s/uio/uio%u", addr, number));
	rmdir(make_path(path, DEVICES "/%s/uio", addr));
}

static bool driver_of(const char *addr, char name[ROOM])
{
	char path[ROOM], target[ROOM];
	ssize_t length = readlink(make_path(path, DEVICES "/%s/driver", addr), target, ROOM - 1);

	if (length < 0)
		return false;
	target[length] = '\0';
	make_path(name, "%s", strrchr(target, '/') + 1);
	return true;
}

static long attach(const char *addr, const char *driver)
{
	char path[ROOM], target[ROOM];

	if (driver_of(addr, path))
		return -EBUSY;
	if (access(make_path(target, DRIVERS "/%s", driver), F_OK))
		return -ENODEV;
	symlink(target, make_path(path, DEVICES "/%s/driver", addr));
	symlink(make_path(target, DEVICES "/%s", addr),
		make_path(path, DRIVERS "/%s/%s", driver, addr));
	if (strcmp(driver, "uio_pci_generic"))
		set_master(addr, true);
	else
		add_uio(addr);
	if (has_interface(driver))
		add_interface(addr);
	return 0;
}

static long detach(const char *addr)
{
	char path[ROOM], driver[ROOM];

	if (!driver_of(addr, driver))
		return -ENODEV;
	remove_uio(addr);
	if (has_interface(driver))
		remove_interface(addr);
	unlink(make_path(path, DRIVERS "/%s/%s", driver, addr));
	unlink(make_path(path, DEVICES "/%s/driver", addr));
	set_master(addr, false);
	return 0;
}

/* The override, or else the driver that was made for the device. */
static long probe(const char *addr)
{
	char path[ROOM], wanted[ROOM];
	size_t length = strlen(addr);

	get(make_path(path, DEVICES "/%s/driver_override", addr), wanted, sizeof(wanted));
	for (int i = 0; i < MATCHES && (!wanted[0] || !strcmp(wanted, "(null)")); i++)
		if (matches[i] && !strncmp(matches[i], addr, length) && matches[i][length] == '=')
			make_path(wanted, "%s", matches[i] + length + 1);
	if (!driver_of(addr, path))
		attach(addr, wanted);
	return 0;
}

static long keep(const char *path, const char *value)
{
	char line[ROOM];

	put(path, make_path(line, "%s\n", value));
	return 0;
}

/* All pages are free, and there are as many as are asked for. */
static long resize_pool(const char *value)
{
	static const char *const files[] = {NODE "nr_hugepages", NODE "free_hugepages",
					    GLOBAL "nr_hugepages", GLOBAL "free_hugepages"};
	char line[ROOM];

	make_path(line, "%s\n", value);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		put(files[i], line);
	return 0;
}

void played_match(const char *text)
{
	for (int i = 0; i < MATCHES; i++) {
		if (!matches[i]) {
			matches[i] = text;
			return;
		}
	}
}

static void write_to(const char *path, const char *value, long *result)
{
	const char *name = strrchr(path, '/') + 1;
	char driver[ROOM];

	if (!strcmp(name, "driver_override"))
		*result = keep(path, value[0] ? value : "(null)");
	else if (!strcmp(name, "drivers_probe"))
		*result = probe(value);
	else if (!strcmp(name, "unbind"))
		*result = detach(value);
	else if (sscanf(path, DRIVERS "/%63[^/]/bind", driver) == 1 && !strcmp(name, "bind"))
		*result = attach(value, driver);
	else if (!strcmp(path, NODE "nr_hugepages"))
		*result = resize_pool(value);
	else
		*result = keep(path, value);
}

static void find_file(const struct played *call, char path[ROOM])
{
	char link[ROOM];
	ssize_t length;

	make_path(link, "/proc/%d/fd/%d", call->pid, (int)call->first);
	length = readlink(link, path, ROOM - 1);
	path[length > 0 ? length : 0] = '\0';
}

/* Whether the file of the call's descriptor is below /sys. */
static bool is_of_sysfs(const struct played *call, char path[ROOM])
{
	find_file(call, path);
	return !strncmp(path, "/sys/", strlen("/sys/"));
}

static bool peek(const struct played *call, unsigned long long from, void *to, size_t size)
{
	struct iovec here = {to, size}, there = {(void *)from, size};

	return process_vm_readv(call->pid, &here, 1, &there, 1, 0) > 0;
}

static bool poke(const struct played *call, unsigned long long to, void *from, size_t size)
{
	struct iovec here = {from, size}, there = {(void *)to, size};

	*call->result = process_vm_writev(call->pid, &here, 1, &there, 1, 0) < 0 ? -EFAULT : 0;
	return true;
}

static bool play_write(const struct played *call)
{
	char path[ROOM], value[ROOM] = "";
	size_t size = call->third < ROOM ? call->third : ROOM - 1;

	if (!is_of_sysfs(call, path) || !peek(call, call->second, value, size))
		return false;
	value[strcspn(value, "\n")] = '\0';
	write_to(path, value, call->result);
	if (*call->result == 0)
		*call->result = (long)call->third;
	return true;
}

static bool play_stat(const struct played *call)
{
	struct stat first = {.st_ino = FIRST_PID_NAMESPACE};
	char path[sizeof(PIDS)] = "";

	return peek(call, call->second, path, sizeof(path)) && !memcmp(path, PIDS, sizeof(PIDS)) &&
	       poke(call, call->third, &first, sizeof(first));
}

static bool play_fstatfs(const struct played *call)
{
	struct statfs sysfs = {.f_type = SYSFS_MAGIC};
	char path[ROOM];

	return is_of_sysfs(call, path) && poke(call, call->second, &sysfs, sizeof(sysfs));
}

static void rename_interfaces(void)
{
	char addr[16];

	for (int i = 0; i < MATCHES && matches[i]; i++)
		if (sscanf(matches[i], "%15[^=]=", addr) == 1 &&
		    has_interface(strchr(matches[i], '=') + 1))
			rename_interface(addr);
}

/* Files of sysfs are not made empty by who opens them to write. */
static bool play_openat(const struct played *call)
{
	struct user_regs_struct regs;
	char path[ROOM] = "";

	if (!peek(call, call->second, path, ROOM - 1) || strncmp(path, "/sys/", strlen("/sys/")))
		return false;
	if (strstr(path, "/net"))
		rename_interfaces();
	if (!(call->third & O_TRUNC) || ptrace(PTRACE_GETREGS, call->pid, NULL, &regs))
		return false;
	regs.rdx &= ~(unsigned long long)O_TRUNC;
	ptrace(PTRACE_SETREGS, call->pid, NULL, &regs);
	return false;
}

/* The disk is there as soon as it is served, and then its server ends. */
static bool play_ioctl(const struct played *call)
{
	char path[ROOM];

	find_file(call, path);
	if (strcmp(path, NBD))
		return false;
	if (call->second == NBD_DO_IT)
		put(NBD_PID, "1\n");
	*call->result = 0;
	return true;
}

/* One that is set, and not asked for. */
static bool play_limit(const struct played *call)
{
	*call->result = 0;
	return call->third != 0;
}

void played_begin(void)
{
	unlink(NBD_PID);
	rename_interfaces();
}

const long played_calls[PLAYED_CALLS] = {SYS_write,  SYS_newfstatat, SYS_fstatfs,
					 SYS_openat, SYS_ioctl,      SYS_prlimit64};

bool played(const struct played *call)
{
	if (call->number == SYS_write)
		return play_write(call);
	if (call->number == SYS_newfstatat)
		return play_stat(call);
	if (call->number == SYS_openat)
		return play_openat(call);
	if (call->number == SYS_ioctl)
		return play_ioctl(call);
	if (call->number == SYS_prlimit64)
		return play_limit(call);
	return call->number == SYS_fstatfs && play_fstatfs(call);
}
