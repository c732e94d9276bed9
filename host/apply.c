// SPDX-License-Identifier: BSD-2-Clause
/*
 * The one writer: every change to the host passes through apply(), which shows it as a line of
 * shell and then makes it, unless this is a dry run. The callers decide what to change and in which
 * order. usrpci's own notes below /run/usrpci do not pass through here, because they change nothing
 * about the host (state.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <usrpci/config.h>

#include "guard/netlink.h"
#include "wait/errand.h"
#include "file.h"
#include "host.h"
#include "modules.h"
#include "shell.h"

/* This has room for a path and a value, each quoted. */
#define COMMAND_SIZE (2 * PATH_SIZE)
#define WHY_SIZE     256

/* Text that does not fit is cut, since only people read the line. */
static void append_word(char *line, size_t size, const char *word)
{
	size_t at = strlen(line);

	shell_word(word, line + at, size - at);
}

static void append(char *line, size_t size, const char *text)
{
	size_t at = strlen(line);

	snprintf(line + at, size - at, "%s", text);
}

static void format_command(char *line, size_t size, const struct change *change)
{
	static const struct {
		const char *verb, *option, *tail;
	} forms[] = {
		[CHANGE_WRITE] = {"echo"},
		[CHANGE_MODULE] = {"modprobe"},
		[CHANGE_OWNER] = {"chown"},
		[CHANGE_MODE] = {"chmod"},
		[CHANGE_MOUNT] = {"mount -t", " -o ", " none"},
		[CHANGE_UNMOUNT] = {"umount"},
		[CHANGE_REMOVE] = {"rm"},
		[CHANGE_RENAME] = {"ip link set", " name ", ""},
		[CHANGE_UP] = {"ip link set", " ", ""},
		[CHANGE_CONFIG] = {"setpci -s", " ", ""},
		[CHANGE_RESET] = {"echo"},
		[CHANGE_TAP] = {"ip tuntap add mode tap"},
		[CHANGE_TAP_END] = {"ip tuntap del mode tap"},
	};

	if (change->kind == CHANGE_NETLINK) {
		snprintf(line, size, "%s", change->value);
		return;
	}

	snprintf(line, size, "%s", forms[change->kind].verb);
	if (change->kind == CHANGE_RESET && !change->path)
		snprintf(line, size, ": reset by its own registers:");
	if (change->value[0]) {
		append(line, size, " ");
		append_word(line, size, change->value);
	}
	if (change->options) {
		append(line, size, forms[change->kind].option);
		append_word(line, size, change->options);
		append(line, size, forms[change->kind].tail);
	}
	if (!change->path)
		return;
	append(line, size, strcmp(forms[change->kind].verb, "echo") ? " " : " > ");
	append_word(line, size, change->path);
}

static int apply(struct usrpci_host *host, const struct change *change)
{
	const struct usrpci_host_options *options = &host->options;
	usrpci_host_change_fn *show = host->undoes ? options->undo : options->change;
	char command[COMMAND_SIZE], why[WHY_SIZE];

	if (show) {
		format_command(command, sizeof(command), change);
		make_printable(command);
		snprintf(why, sizeof(why), "%s", change->why);
		make_printable(why);
		show(options->change_data,
		     &(struct usrpci_host_change){command, change->path, change->value, why});
	}
	return options->dry_run ? 0 : host->kernel->perform(host, change);
}

int apply_write(struct usrpci_host *host, const char *why, const char *value,
		struct patience *patience, const char *format, ...)
{
	char path[PATH_SIZE];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	return apply(host, &(struct change){CHANGE_WRITE, path, value, why, .patience = patience});
}

int apply_module(struct usrpci_host *host, const char *why, const char *module)
{
	return apply(host, &(struct change){CHANGE_MODULE, NULL, module, why});
}

int apply_owner(struct usrpci_host *host, const char *why, const char *path, uid_t uid, gid_t gid)
{
	char value[32] = "";
	size_t at = 0;

	if (uid != (uid_t)-1)
		at = (size_t)snprintf(value, sizeof(value), "%u", uid);
	if (gid != (gid_t)-1)
		snprintf(value + at, sizeof(value) - at, ":%u", gid);
	return apply(host, &(struct change){CHANGE_OWNER, path, value, why, uid, gid});
}

int apply_mode(struct usrpci_host *host, const char *why, const char *path, mode_t mode)
{
	char value[8];

	snprintf(value, sizeof(value), "%04o", mode & 07777);
	return apply(host, &(struct change){CHANGE_MODE, path, value, why, .mode = mode});
}

int apply_mount(struct usrpci_host *host, const char *why, const char *type, const char *path,
		const char *options)
{
	return apply(host, &(struct change){CHANGE_MOUNT, path, type, why, .options = options});
}

int apply_unmount(struct usrpci_host *host, const char *why, const char *path)
{
	return apply(host, &(struct change){CHANGE_UNMOUNT, path, "", why});
}

int apply_remove(struct usrpci_host *host, const char *why, const char *path)
{
	return apply(host, &(struct change){CHANGE_REMOVE, path, "", why});
}

int apply_rename(struct usrpci_host *host, const char *why, const char *interface, const char *name)
{
	return apply(host, &(struct change){CHANGE_RENAME, NULL, interface, why, .options = name});
}

int apply_up(struct usrpci_host *host, const char *why, const char *interface)
{
	return apply(host, &(struct change){CHANGE_UP, NULL, interface, why, .options = "up"});
}

int apply_config(struct usrpci_host *host, const char *why, struct usrpci_dev *dev,
		 unsigned int offset, uint16_t clear, uint16_t set)
{
	char bits[32];
	uint16_t now;
	int error = usrpci_config_read16(dev, offset, &now);

	if (error || ((now & ~clear) | set) == now)
		return error;
	snprintf(bits, sizeof(bits), "%x.w=%04x:%04x", offset, set, clear | set);
	return apply(host, &(struct change){CHANGE_CONFIG, NULL, usrpci_dev_name(dev), why,
					    .options = bits, .dev = dev, .offset = offset,
					    .clear = clear, .set = set});
}

int apply_reset(struct usrpci_host *host, const char *why, struct usrpci_dev *dev)
{
	const char *name = usrpci_dev_name(dev);
	char path[PATH_SIZE];

	/*
	 * For some models the kernel knows no reset, but the device has one in its own registers.
	 */
	if (!file_exists(host->ctx, PCI_DEVICES "/%s/reset", name))
		return apply(host, &(struct change){CHANGE_RESET, NULL, name, why, .dev = dev});
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/reset", name);
	return apply(host, &(struct change){CHANGE_RESET, path, "1", why, .dev = dev});
}

static ssize_t write_line(struct usrpci_host *host, int fd, const char *line, size_t length,
			  struct patience *patience)
{
	struct errand errand = {.fd = fd, .text = line, .length = length};
	ssize_t put;

	if (!patience) {
		put = write(fd, line, length);
		return put < 0 ? -errno : put;
	}
	errand.held = patience->held;
	errand.deadline_ms = patience->deadline_ms;
	return errand_run(&host->runner, &errand, NULL, &patience->pid);
}

/* Writes the same bytes as echo does, in one write(2) as sysfs requires. */
static int write_value(struct usrpci_host *host, const struct change *change)
{
	char line[PATH_SIZE];
	int length = snprintf(line, sizeof(line), "%s\n", change->value);
	AUTO_CLOSE int fd = -1;
	ssize_t put;

	if (length < 0 || (size_t)length >= sizeof(line))
		return -E2BIG;
	fd = file_open(host->ctx, O_WRONLY | O_TRUNC, "%s", change->path);
	put = fd < 0 ? fd : write_line(host, fd, line, (size_t)length, change->patience);
	return put < 0 ? (int)put : put == length ? 0 : -EIO;
}

static int mount_on(const char *path, const char *type, const char *options)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	return mount("none", path, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, options) ? -errno : 0;
}

/* Nothing needs to be done if it is not mounted or does not exist. */
static int unmount_from(const char *path)
{
	if (umount2(path, UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT)
		return -errno;
	return rmdir(path) && errno != ENOENT ? -errno : 0;
}

static int rename_interface(int fd, const struct change *change)
{
	struct ifreq request = {0};

	if (strlen(change->options) >= sizeof(request.ifr_newname))
		return -ENAMETOOLONG;
	strcpy(request.ifr_name, change->value);
	strcpy(request.ifr_newname, change->options);
	return ioctl(fd, SIOCSIFNAME, &request) ? -errno : 0;
}

static int take_interface_up(int fd, const struct change *change)
{
	struct ifreq request = {0};

	strcpy(request.ifr_name, change->value);
	if (ioctl(fd, SIOCGIFFLAGS, &request))
		return -errno;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) ? -errno : 0;
}

/* With another root directory, the interfaces of this machine must not be changed. */
static int change_interface(struct usrpci_host *host, const struct change *change)
{
	AUTO_CLOSE int fd = -1;

	if (!host_is_live(host))
		return -EOPNOTSUPP;
	if (strlen(change->value) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	return change->kind == CHANGE_UP ? take_interface_up(fd, change)
					 : rename_interface(fd, change);
}

int apply_netlink(struct usrpci_host *host, const char *why, const char *command,
		  struct nlmsghdr *message)
{
	return apply(host,
		     &(struct change){CHANGE_NETLINK, NULL, command, why, .message = message});
}

int apply_tap(struct usrpci_host *host, const char *why, const char *name, int *tap,
	      unsigned int queues)
{
	memset(tap, 0, queues * sizeof(*tap));
	return apply(host,
		     &(struct change){CHANGE_TAP, NULL, name, why, .tap = tap, .queues = queues});
}

int apply_tap_end(struct usrpci_host *host, const char *why, const char *name, int *tap,
		  unsigned int queues)
{
	return apply(host, &(struct change){CHANGE_TAP_END, NULL, name, why, .tap = tap,
					    .queues = queues});
}

/* The kernel acknowledges each request. */
static int send_netlink(struct nlmsghdr *message)
{
	char buffer[8192] __attribute__((aligned(8)));
	struct mnl_socket *socket = netlink_open();
	ssize_t size = -1;
	int state = -1;

	if (!socket)
		return -errno;
	message->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	message->nlmsg_seq = 1;
	message->nlmsg_pid = 0;
	if (mnl_socket_sendto(socket, message, message->nlmsg_len) >= 0)
		size = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	if (size > 0)
		state = mnl_cb_run(buffer, (size_t)size, 1, mnl_socket_get_portid(socket), NULL,
				   NULL);
	state = state < 0 ? -errno : 0;
	mnl_socket_close(socket);
	return state;
}

/*
 * It is root's, because a device without an owner can be had by whoever may open /dev/net/tun, once
 * the process that made it has been killed.
 */
static int open_queue(struct ifreq *request)
{
	int size = sizeof(struct virtio_net_hdr_v1);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, TUNSETIFF, request) || ioctl(fd, TUNSETVNETHDRSZ, &size) ||
	    ioctl(fd, TUNSETOWNER, 0)) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

/* A queue of a TAP that was deleted is in a bad state, and then there is nothing to end. */
static int close_queues(const struct change *change, unsigned int count)
{
	bool failed = count > 0 && ioctl(change->tap[0], TUNSETPERSIST, 0) && errno != EBADFD;
	int error = failed ? -errno : 0;

	for (unsigned int i = 0; i < count; i++)
		close(change->tap[i]);
	return error;
}

/* The kernel finds out the state of a link when its carrier changes. A new TAP has one already. */
static void tell_state(int tap)
{
	int no = 0, yes = 1;

	if (!ioctl(tap, TUNSETCARRIER, &no))
		ioctl(tap, TUNSETCARRIER, &yes);
}

/*
 * Without IFF_NAPI: with it, Linux 6.1 merges frames that count as a socket's memory, and then
 * counts that down too far ("refcount_t: underflow"). The first queue must be that of a new device:
 * a TAP of the same name that is there already is another's, and would be deleted at the end.
 */
static int make_tap(const struct change *change)
{
	struct ifreq request = {
		.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL),
	};
	unsigned int count;

	if (change->queues > 1)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", change->value);
	for (count = 0; count < change->queues; count++) {
		int fd = open_queue(&request);

		if (fd < 0) {
			close_queues(change, count);
			return fd;
		}
		change->tap[count] = fd;
		request.ifr_flags &= ~IFF_TUN_EXCL;
	}
	if (ioctl(change->tap[0], TUNSETPERSIST, 1)) {
		int error = -errno;

		close_queues(change, count);
		return error;
	}
	tell_state(change->tap[0]);
	return 0;
}

static int change_network(struct usrpci_host *host, const struct change *change)
{
	if (!host_is_live(host))
		return -EOPNOTSUPP;
	if (change->kind == CHANGE_TAP)
		return make_tap(change);
	if (change->kind == CHANGE_TAP_END)
		return close_queues(change, change->queues);
	return send_netlink(change->message);
}

int apply_perform(struct usrpci_host *host, const struct change *change)
{
	char path[PATH_SIZE];
	int error;

	if (change->kind == CHANGE_WRITE)
		return write_value(host, change);
	if (change->kind == CHANGE_MODULE)
		return module_insert(host, change->value);
	if (change->kind == CHANGE_RENAME || change->kind == CHANGE_UP)
		return change_interface(host, change);
	if (change->kind >= CHANGE_NETLINK)
		return change_network(host, change);
	if (change->kind == CHANGE_CONFIG)
		return usrpci_config_update16(change->dev, change->offset, change->clear,
					      change->set);
	if (change->kind == CHANGE_RESET)
		return usrpci_dev_reset(change->dev, USRPCI_RESET_FUNCTION);
	error = path_format(host->ctx, path, "%s", change->path);
	if (error)
		return error;
	if (change->kind == CHANGE_MOUNT)
		return mount_on(path, change->value, change->options);
	if (change->kind == CHANGE_UNMOUNT)
		return unmount_from(path);
	if (change->kind == CHANGE_REMOVE)
		return unlink(path) ? -errno : 0;
	if (change->kind == CHANGE_OWNER)
		return chown(path, change->uid, change->gid) ? -errno : 0;
	return chmod(path, change->mode) ? -errno : 0;
}
