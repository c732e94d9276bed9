// SPDX-License-Identifier: BSD-2-Clause
/*
 * A device's files in sysfs, each a part of the input: listing, inspecting and mapping either
 * work or fail, and what they say of the device is possible.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <usrpci/usrpci.h>

#define ADDR   "0000:00:03.0"
#define DEVICE "sys/bus/pci/devices/" ADDR

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int root = -1;
static struct usrpci_ctx *ctx;

static void make_directories(const char *path)
{
	char part[64];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		mkdirat(root, part, 0755);
	}
}

static void make_host(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[256];
	struct usrpci_ctx_options options = {.root = path};

	snprintf(path, sizeof(path), "%s/usrpci-fuzz-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(path))
		abort();
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_directories(DEVICE "/");
	symlinkat("../../drivers/e1000", root, DEVICE "/driver");
	if (usrpci_ctx_open(&options, &ctx))
		abort();
}

/* Takes the next part of the input, which ends with a line of its own, and makes a file of it. */
static void write_part(const char *file, const uint8_t **data, size_t *size, size_t most)
{
	const uint8_t *end = memchr(*data, 0xfe, *size);
	size_t length = end ? (size_t)(end - *data) : *size;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), DEVICE "/%s", file);
	fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, *data, length < most ? length : most) < 0)
		abort();
	close(fd);
	*data += length + (end != NULL);
	*size -= length + (end != NULL);
}

static void look_at_bars(struct usrpci_dev *dev)
{
	struct usrpci_bar_info info;
	struct usrpci_bar bar;

	for (unsigned int i = 0; i < USRPCI_BARS; i++) {
		if (usrpci_bar_info(dev, i, &info))
			continue;
		if (info.size == 0 || info.size - 1 > UINT64_MAX - info.address)
			abort();
		/* There is no file to map: only that it fails can be seen. */
		if (usrpci_bar_map(dev, i, &bar) == 0)
			abort();
	}
}

static void look(void)
{
	struct usrpci_dev_info *list;
	struct usrpci_cap caps[4];
	struct usrpci_dev *dev;
	int count = usrpci_dev_list(ctx, &list);

	if (count < 0 || count > 1)
		abort();
	if (count && (list->irq_pin > 4 || list->header_type > 127 || list->class_code > 0xffffff))
		abort();
	usrpci_dev_list_free(list);
	if (usrpci_dev_inspect(ctx, ADDR, &dev))
		return;
	usrpci_cap_list(dev, caps, 4);
	look_at_bars(dev);
	usrpci_dev_close(dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (root < 0)
		make_host();
	write_part("resource", &data, &size, 4096);
	write_part("uevent", &data, &size, 4096);
	write_part("numa_node", &data, &size, 64);
	write_part("config", &data, &size, 4096);
	look();
	return 0;
}
