// SPDX-License-Identifier: BSD-2-Clause
/*
 * Programs that open vfio's files by themselves, as QEMU and DPDK do. They get their own /dev/vfio,
 * with the nodes of the devices that are lent to them, which they may open. It exists only in the
 * program's mount namespace and ends with it. On the host the nodes still belong to root, so nobody
 * else can open them, not even the same user, and nothing has to be put back.
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
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lend/lend.h"

#define LOG_SUBJECT "lend"
#include "log.h"

#define NODES     "/dev/vfio"
#define IOMMU     "/dev/iommu"
#define IOMMU_OWN NODES "/iommu"
#define HUGEPAGES "/dev/hugepages"
#define NODES_MAX LEND_FILES_MAX

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

/*
 * A program that is linked to the library contains its file name; one that includes the library
 * contains the name of the variable.
 */
static bool is_of_libusrpci(const char *program)
{
	static const char *const signs[] = {"libusrpci.so", "USRPCI_BROKER"};
	int fd = open_program(program);
	struct stat status;
	bool found = false;
	void *bytes;

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode) || !status.st_size) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return false;
	for (int i = 0; i < 2; i++)
		found = found || memmem(bytes, (size_t)status.st_size, signs[i], strlen(signs[i]));
	munmap(bytes, (size_t)status.st_size);
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

/* Lists the nodes that exist, before the mount covers the directory. Several devices share some. */
static int list_nodes(const struct lend *lend, struct node nodes[NODES_MAX])
{
	struct stat status;
	int count = 0;

	for (size_t i = 0; i < lend->file_count; i++) {
		const char *path = lend->files[i].path;

		if (!stat(path, &status) && S_ISCHR(status.st_mode) &&
		    !is_listed(nodes, count, status.st_rdev))
			nodes[count++] = (struct node){path, status.st_rdev};
	}
	return count;
}

static int make_node(const struct lend *lend, const struct node *node)
{
	bool iommu = !strcmp(node->path, IOMMU);
	const char *path = iommu ? IOMMU_OWN : node->path;

	if (mknod(path, S_IFCHR | 0600, node->number) ||
	    chown(path, lend->user.uid, lend->user.gid))
		return -errno;
	return iommu && mount(path, IOMMU, NULL, MS_BIND, NULL) ? -errno : 0;
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

int lend_nodes_make(const struct lend *lend)
{
	const unsigned long flags = MS_NOSUID | MS_NOEXEC;
	struct node nodes[NODES_MAX];
	int count = list_nodes(lend, nodes), error = 0;

	if (mount("none", NODES, "tmpfs", flags, "mode=0755,size=64k") ||
	    mkdir(NODES "/devices", 0755))
		return -errno;
	for (int i = 0; !error && i < count; i++)
		error = make_node(lend, &nodes[i]);
	if (!error && mount(NULL, NODES, NULL, MS_REMOUNT | MS_RDONLY | flags, NULL))
		error = -errno;
	return error ? error : mount_hugepages(lend);
}
