// SPDX-License-Identifier: BSD-2-Clause
/*
 * Builds a host of files for unit tests, see fixture.h. Leaves out what the kernel does when a file
 * is written: files here are plain files.
 */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "fixture.h"

#define PATH_ROOM 512

__attribute__((format(printf, 2, 3))) static void format_path(char path[PATH_ROOM],
							      const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(path, PATH_ROOM, format, args);
	va_end(args);
	assert_in_range(length, 1, PATH_ROOM - 1);
}

static void full_path(struct fixture *fixture, char full[PATH_ROOM], const char *path)
{
	assert_int_equal(path[0], '/');
	format_path(full, "%s%s", fixture->root, path);
}

static void make_parents(char *full)
{
	for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(full, 0755))
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
}

int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	/* Files are made by the thousand, so they are in memory where that can be had. */
	sprintf(fixture->root, "%s/usrpci-test-XXXXXX",
		access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(fixture->root)) {
		free(fixture);
		return -1;
	}
	fixture_mkdir(fixture, "/sys/bus/pci/devices");
	fixture_mkdir(fixture, "/sys/bus/pci/drivers");
	*state = fixture;
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	int error = nftw(fixture->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);

	free(fixture);
	return error;
}

void fixture_mkdir(struct fixture *fixture, const char *path)
{
	char full[PATH_ROOM];

	full_path(fixture, full, path);
	make_parents(full);
	if (mkdir(full, 0755))
		assert_int_equal(errno, EEXIST);
}

void fixture_bytes(struct fixture *fixture, const char *path, const void *bytes, size_t size)
{
	char full[PATH_ROOM];
	int fd;

	full_path(fixture, full, path);
	make_parents(full);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

void fixture_text(struct fixture *fixture, const char *path, const char *text)
{
	fixture_bytes(fixture, path, text, strlen(text));
}

void fixture_link(struct fixture *fixture, const char *path, const char *target)
{
	char full[PATH_ROOM];

	full_path(fixture, full, path);
	make_parents(full);
	assert_int_equal(symlink(target, full), 0);
}

void fixture_remove(struct fixture *fixture, const char *path)
{
	char full[PATH_ROOM];

	full_path(fixture, full, path);
	assert_int_equal(nftw(full, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

char *fixture_read(struct fixture *fixture, const char *path)
{
	char full[PATH_ROOM], *text = NULL;
	size_t room = 0;
	FILE *file;

	full_path(fixture, full, path);
	file = fopen(full, "re");
	if (!file)
		return NULL;
	if (getdelim(&text, &room, '\0', file) < 0)
		text[0] = '\0';
	fclose(file);
	return text;
}

/* Where a device's directory is, below the root or a bridge of the root bus. */
static void device_dir(char path[PATH_ROOM], const struct fixture_device *device)
{
	const char *parent = device->parent ? device->parent : "";

	format_path(path, "/sys/devices/pci0000:00/%s%s%s", parent, *parent ? "/" : "",
		    device->addr);
}

static void add_config(struct fixture *fixture, const char *dir,
		       const struct fixture_device *device)
{
	uint8_t bytes[USRPCI_CONFIG_SIZE_EXPRESS] = {0};
	unsigned int size = device->config_size ? device->config_size : USRPCI_CONFIG_SIZE;
	char path[PATH_ROOM];

	put_le16(bytes + PCI_VENDOR_ID, device->vendor);
	put_le16(bytes + PCI_DEVICE_ID, device->device);
	put_le32(bytes + PCI_REVISION_ID, device->class_code << 8 | device->revision);
	put_le16(bytes + PCI_STATUS, 0x0010);
	bytes[PCI_HEADER_TYPE] = device->header_type;
	bytes[PCI_INTERRUPT_PIN] = device->irq_pin;
	if (device->header_type == PCI_HEADER_TYPE_NORMAL) {
		put_le16(bytes + PCI_SUBSYSTEM_VENDOR_ID, device->subsystem_vendor);
		put_le16(bytes + PCI_SUBSYSTEM_ID, device->subsystem_device);
	}
	format_path(path, "%s/config", dir);
	fixture_bytes(fixture, path, bytes, size);
}

/* A memory BAR is mapped by whole pages. */
static void add_resource_file(struct fixture *fixture, const char *dir, unsigned int index,
			      const struct fixture_bar *bar)
{
	const uint64_t below_page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	char path[PATH_ROOM], full[PATH_ROOM];
	uint64_t size = bar->flags & 0x100 ? bar->size : (bar->size + below_page) & ~below_page;

	format_path(path, "%s/resource%u", dir, index);
	fixture_text(fixture, path, "");
	full_path(fixture, full, path);
	assert_int_equal(truncate(full, (off_t)size), 0);
}

static void add_resources(struct fixture *fixture, const char *dir,
			  const struct fixture_device *device)
{
	char path[PATH_ROOM], text[2048] = "";

	/* Six BARs, the expansion ROM, and six windows that only bridges and SR-IOV have. */
	for (unsigned int i = 0; i < 13; i++) {
		struct fixture_bar bar = i < USRPCI_BARS ? device->bars[i]
							 : (struct fixture_bar){0};
		size_t length = strlen(text);

		snprintf(text + length, sizeof(text) - length, "0x%016lx 0x%016lx 0x%016lx\n",
			 bar.address, bar.size ? bar.address + bar.size - 1 : 0, bar.flags);
		if (bar.size)
			add_resource_file(fixture, dir, i, &bar);
	}
	format_path(path, "%s/resource", dir);
	fixture_text(fixture, path, text);
}

static void add_driver(struct fixture *fixture, const char *dir,
		       const struct fixture_device *device)
{
	char path[PATH_ROOM], target[PATH_ROOM];
	const char *up = device->parent ? "../../../../" : "../../../";

	format_path(path, "/sys/bus/pci/drivers/%s", device->driver);
	fixture_mkdir(fixture, path);
	format_path(path, "/sys/bus/pci/drivers/%s/%s", device->driver, device->addr);
	format_path(target, "../../../..%s", dir + strlen("/sys"));
	fixture_link(fixture, path, target);
	format_path(path, "%s/driver", dir);
	format_path(target, "%sbus/pci/drivers/%s", up, device->driver);
	fixture_link(fixture, path, target);
}

static void add_group(struct fixture *fixture, const char *dir, const struct fixture_device *device)
{
	char path[PATH_ROOM], target[PATH_ROOM];
	const char *up = device->parent ? "../../../../" : "../../../";

	format_path(path, "/sys/kernel/iommu_groups/%s/devices/%s", device->iommu_group,
		    device->addr);
	format_path(target, "../../../..%s", dir + strlen("/sys"));
	fixture_link(fixture, path, target);
	format_path(path, "%s/iommu_group", dir);
	format_path(target, "%skernel/iommu_groups/%s", up, device->iommu_group);
	fixture_link(fixture, path, target);
}

static void add_uio(struct fixture *fixture, const char *dir, const struct fixture_device *device)
{
	char path[PATH_ROOM], target[PATH_ROOM];
	int number = device->uio - 1;

	format_path(path, "%s/uio/uio%d/event", dir, number);
	fixture_text(fixture, path, "0\n");
	format_path(path, "/sys/class/uio/uio%d", number);
	format_path(target, "../..%s/uio/uio%d", dir + strlen("/sys"), number);
	fixture_link(fixture, path, target);
	format_path(path, "/dev/uio%d", number);
	full_path(fixture, target, path);
	make_parents(target);
	assert_int_equal(mkfifo(target, 0600), 0);
}

void fixture_add(struct fixture *fixture, const struct fixture_device *device)
{
	char dir[PATH_ROOM], path[PATH_ROOM], text[PATH_ROOM];

	device_dir(dir, device);
	add_config(fixture, dir, device);
	add_resources(fixture, dir, device);
	format_path(path, "%s/numa_node", dir);
	fixture_text(fixture, path, device->numa_node ? device->numa_node : "-1\n");
	format_path(path, "%s/uevent", dir);
	snprintf(text, sizeof(text), "PCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n",
		 device->class_code, device->vendor, device->device, device->subsystem_vendor,
		 device->subsystem_device);
	fixture_text(fixture, path, text);
	if (device->driver)
		add_driver(fixture, dir, device);
	if (device->iommu_group)
		add_group(fixture, dir, device);
	if (device->uio)
		add_uio(fixture, dir, device);
	format_path(path, "/sys/bus/pci/devices/%s", device->addr);
	format_path(text, "../../..%s", dir + strlen("/sys"));
	fixture_link(fixture, path, text);
}

void fixture_add_bindable(struct fixture *fixture, const struct fixture_device *device)
{
	char path[PATH_ROOM];

	fixture_add(fixture, device);
	format_path(path, "/sys/bus/pci/devices/%s/driver_override", device->addr);
	fixture_text(fixture, path, "(null)\n");
}

static int open_config(struct fixture *fixture, const char *addr)
{
	char path[PATH_ROOM], full[PATH_ROOM];
	int fd;

	format_path(path, "/sys/bus/pci/devices/%s/config", addr);
	full_path(fixture, full, path);
	fd = open(full, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void fixture_config(struct fixture *fixture, const char *addr, unsigned int offset,
		    const void *bytes, size_t size)
{
	int fd = open_config(fixture, addr);

	assert_int_equal(pwrite(fd, bytes, size, offset), size);
	close(fd);
}

void fixture_config_read(struct fixture *fixture, const char *addr, unsigned int offset,
			 void *bytes, size_t size)
{
	int fd = open_config(fixture, addr);

	assert_int_equal(pread(fd, bytes, size, offset), size);
	close(fd);
}

static void remember(void *data, const struct usrpci_log_entry *entry)
{
	struct fixture *fixture = data;
	size_t length = strlen(fixture->log);

	snprintf(fixture->log + length, sizeof(fixture->log) - length, "%s: %s: %s%s%s\n",
		 entry->subject, entry->object ? entry->object : "-", entry->text,
		 entry->hint ? ": hint: " : "", entry->hint ? entry->hint : "");
}

struct usrpci_ctx *fixture_ctx(struct fixture *fixture)
{
	struct usrpci_ctx_options options = {
		.log = remember,
		.log_data = fixture,
		.log_level = USRPCI_LOG_INFO,
		.root = fixture->root,
		.vf_token = fixture->vf_token,
	};
	struct usrpci_ctx *ctx;

	assert_int_equal(usrpci_ctx_open(&options, &ctx), 0);
	return ctx;
}

void assert_logged(struct fixture *fixture, const char *text)
{
	if (!strstr(fixture->log, text))
		fail_msg("the log lacks \"%s\":\n%s", text, fixture->log);
}

bool is_qemu_missing(void)
{
	return system("command -v \"${USRPCI_QEMU:-qemu-system-x86_64}\" >/dev/null") != 0;
}

int skip_all(const char *reason)
{
	printf("1..0 # SKIP %s\n", reason);
	return 0;
}
