// SPDX-License-Identifier: BSD-2-Clause
/*
 * Programs that open vfio's files by themselves, as QEMU and DPDK do. They get their own /dev/vfio,
 * with the nodes of the devices that are lent to them, which they may open. On the host the nodes
 * still belong to root, so nobody else can open them, not even the same user.
 *
 * The program's nodes lie below /run/usrpci, and outlive the broker. At the end they become root's:
 * another process of the same user may have kept one without opening it (open(2), O_PATH), by the
 * program's help or through /proc, and could open it when the device is somebody else's.
 *
 * The broker still answers requests, because such a program may start another one that uses
 * libusrpci.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apply.h"
#include "file.h"
#include "lend/lend.h"
#include "state.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define NODES       "/dev/vfio"
#define IOMMU       "/dev/iommu"
#define IOMMU_OWN   "/iommu"
#define HUGEPAGES   "/dev/hugepages"
#define SIGN_SIZE   16
#define PROGRAM_MAX (256u << 20)
#define NODES_MAX   LEND_FILES_MAX
#define OWN         STATE_DIR "/nodes-%s"
#define FLAGS       (MS_NOSUID | MS_NOEXEC)

struct node {
	const char *path;
	dev_t number;
};

/* Opens the program where execvp(3) will find it. */
static int open_program(const char *program)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];
	int fd = -1;

	if (strchr(program, '/'))
		return open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	for (path = path ? path : "/bin:/usr/bin"; fd < 0 && *path; path += *path == ':') {
		int length = (int)strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/%s", length, length ? path : ".", program);
		fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		path += length;
	}
	return fd;
}

static bool has_sign(const char *bytes, size_t length)
{
	static const char *const signs[] = {"libusrpci.so", "USRPCI_BROKER"};
	bool found = false;

	for (int i = 0; i < 2; i++)
		found = found || memmem(bytes, length, signs[i], strlen(signs[i]));
	return found;
}

/*
 * A program that is linked to the library contains its file name; one that includes the library
 * contains the name of the variable. It is read and not mapped, as its owner may change it now.
 */
static bool is_of_libusrpci(const char *program)
{
	AUTO_CLOSE int fd = open_program(program);
	char bytes[SIGN_SIZE + 65536];
	size_t before = 0, total = 0;
	struct stat status;
	bool found = false;
	ssize_t got;

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
		return false;
	while (!found && total < PROGRAM_MAX &&
	       (got = read(fd, bytes + before, sizeof(bytes) - before)) > 0) {
		size_t length = before + (size_t)got;

		found = has_sign(bytes, length);
		/* A sign may begin in what was read and end in what follows. */
		before = length < SIGN_SIZE ? length : SIGN_SIZE;
		memmove(bytes, bytes + length - before, before);
		total += (size_t)got;
	}
	return found;
}

int lend_nodes_choose(struct lend *lend)
{
	const struct usrpci_lend_options *options = lend->options;
	const char *without = NULL;

	for (size_t i = 0; i < lend->count; i++)
		without = lend->devices[i].vfio ? without : lend->devices[i].name;
	if (options->way == USRPCI_LEND_NODES && without)
		return refuse(lend->host->ctx, -EOPNOTSUPP, without,
			      "usrpci check says what is missing for vfio-pci",
			      "only programs of libusrpci can have it, because without an IOMMU "
			      "whoever opens it by itself could never be stopped");
	lend->nodes = options->way == USRPCI_LEND_NODES ||
		      (options->way == USRPCI_LEND_AUTO && !without &&
		       !is_of_libusrpci(options->argv[0]));
	log_info(lend->host->ctx, NULL,
		 lend->nodes ? "%s opens the devices by itself, in " NODES
			     : "the broker opens the devices for %s",
		 options->argv[0]);
	return 0;
}

static bool is_listed(const struct node *nodes, int count, dev_t number)
{
	for (int i = 0; i < count; i++)
		if (nodes[i].number == number)
			return true;
	return false;
}

/* Files of the list that are not vfio's are the broker's to open. */
static bool is_vfios(const char *path)
{
	return !strncmp(path, NODES "/", strlen(NODES "/")) || !strcmp(path, IOMMU);
}

/* Lists the nodes that exist. Several devices share some. */
static int list_nodes(const struct lend *lend, struct node nodes[NODES_MAX])
{
	struct stat status;
	int count = 0;

	for (size_t i = 0; i < lend->file_count; i++) {
		const char *path = lend->files[i].path;

		if (is_vfios(path) && !stat(path, &status) && S_ISCHR(status.st_mode) &&
		    !is_listed(nodes, count, status.st_rdev))
			nodes[count++] = (struct node){path, status.st_rdev};
	}
	return count;
}

/* Where a node lies in the program's own directory: that of iommufd elsewhere than on the host. */
static const char *name_of(const struct node *node)
{
	return strcmp(node->path, IOMMU) ? node->path + strlen(NODES) : IOMMU_OWN;
}

static int make_node(const struct lend *lend, const char *directory, const struct node *node)
{
	char path[PATH_SIZE];
	int length = snprintf(path, sizeof(path), "%s%s", directory, name_of(node));

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	return mknod(path, S_IFCHR | 0600, node->number) ||
			       chown(path, lend->user.uid, lend->user.gid)
		       ? -errno
		       : 0;
}

static int make_directory(const char *directory)
{
	char devices[PATH_SIZE];
	int length = snprintf(devices, sizeof(devices), "%s/devices", directory);

	if (length < 0 || (size_t)length >= sizeof(devices))
		return -ENAMETOOLONG;
	if (mkdir(directory, 0700) && errno != EEXIST)
		return -errno;
	return mount("none", directory, "tmpfs", FLAGS, "mode=0755,size=64k")
		       ? -errno
		       : state_make_directory(devices);
}

/* What a killed broker may have left there is taken back first. */
int lend_nodes_open(struct lend *lend)
{
	struct node nodes[NODES_MAX];
	char directory[PATH_SIZE];
	int count, error;

	if (!lend->nodes)
		return 0;
	error = lend_nodes_close(lend->host, lend->devices[0].name) ?:
		path_format(lend->host->ctx, directory, OWN, lend->devices[0].name) ?:
		make_directory(directory);
	count = error ? 0 : list_nodes(lend, nodes);
	for (int i = 0; !error && i < count; i++)
		error = make_node(lend, directory, &nodes[i]);
	return error ? report(lend->host->ctx, error, lend->devices[0].name, NULL,
			      "cannot make the program's " NODES)
		     : 0;
}

static int take_back(struct usrpci_host *host, const char *path)
{
	return apply_owner(host, "take the node from who has kept it", path, 0, 0);
}

int lend_nodes_close(struct usrpci_host *host, const char *device)
{
	char directory[64], devices[80];
	int error;

	snprintf(directory, sizeof(directory), OWN, device);
	snprintf(devices, sizeof(devices), "%s/devices", directory);
	error = file_find(host->ctx, "%s", directory);
	if (error > 0)
		error = lend_for_files(host, directory, take_back) ?:
			lend_for_files(host, devices, take_back) ?:
			apply_unmount(host, "remove the program's " NODES, directory);
	return error ? report(host->ctx, error, directory, "usrpci restore --all tries again",
			      "cannot take the nodes there from the program's user")
		     : 0;
}

/* A program that takes huge pages itself gets those that were reserved, and no others. */
static int mount_hugepages(const struct lend *lend)
{
	char options[96];

	if (!lend->options->hugepages || access(HUGEPAGES, F_OK))
		return 0;
	snprintf(options, sizeof(options), "pagesize=2M,size=%zuM,mode=0700,uid=%u,gid=%u",
		 lend->options->hugepages * (LEND_PAGE_SIZE >> 20), lend->user.uid, lend->user.gid);
	return mount("none", HUGEPAGES, "hugetlbfs", MS_NOSUID | MS_NODEV, options) ? -errno : 0;
}

/* It can neither make other nodes there nor give these to somebody else. */
static int mount_own(const char *directory)
{
	if (mount(directory, NODES, NULL, MS_BIND, NULL) ||
	    mount(NULL, NODES, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | FLAGS, NULL))
		return -errno;
	return !access(NODES IOMMU_OWN, F_OK) && mount(NODES IOMMU_OWN, IOMMU, NULL, MS_BIND, NULL)
		       ? -errno
		       : 0;
}

int lend_nodes_make(const struct lend *lend)
{
	char directory[PATH_SIZE];

	return path_format(lend->host->ctx, directory, OWN, lend->devices[0].name) ?:
	       mount_own(directory) ?:
	       mount_hugepages(lend);
}
