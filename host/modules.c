// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loads drivers' modules as modprobe(8) does, with libkmod, and says why one cannot be loaded. As
 * with modprobe, "blacklist" lines stop the kernel from loading a module on its own, not who asks
 * for it by name; "install" lines stop both.
 */

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base.h"
#include "file.h"
#include "guard/look.h"
#include "host.h"
#include "kernel.h"
#include "libraries.h"
#include "modules.h"

#define LOG_SUBJECT "module"
#include "log.h"

static const char *kernel_release(struct usrpci_host *host, char release[65])
{
	struct utsname name;

	if (file_read(host->ctx, release, 65, "/proc/sys/kernel/osrelease") > 0)
		return release;
	uname(&name);
	snprintf(release, 65, "%s", name.release);
	return release;
}

static struct kmod_ctx *open_kmod(struct usrpci_host *host)
{
	char path[PATH_SIZE], release[65];
	char configuration[PATH_SIZE];
	const char *const directories[] = {configuration, NULL};

	if (host->kmod)
		return host->kmod;
	if (!host->lib)
		host->lib = library_load_kmod();
	if (!host->lib)
		return NULL;
	if (host_is_live(host))
		host->kmod = host->lib->kmod_new(NULL, NULL);
	else if (!path_format(host->ctx, path, "/lib/modules/%s", kernel_release(host, release)) &&
		 !path_format(host->ctx, configuration, "/etc/modprobe.d"))
		host->kmod = host->lib->kmod_new(path, directories);
	return host->kmod;
}

/* Returns the module, which the caller unrefs, or NULL. */
static struct kmod_module *find_module(struct usrpci_host *host, const char *name)
{
	struct kmod_ctx *kmod = open_kmod(host);
	struct kmod_list *list = NULL;
	struct kmod_module *module;

	if (!kmod || host->lib->kmod_module_new_from_lookup(kmod, name, &list) < 0 || !list)
		return NULL;
	module = host->lib->kmod_module_get_module(list);
	host->lib->kmod_module_unref_list(list);
	return module;
}

/* The kernel's own list of forbidden modules: module_blacklist=a,b on its command line. */
static bool on_command_line(struct usrpci_host *host, const char *name)
{
	char line[4096], *list, *word;

	if (file_read(host->ctx, line, sizeof(line), "/proc/cmdline") < 0)
		return false;
	list = strstr(line, "module_blacklist=");
	if (!list)
		return false;
	list += strlen("module_blacklist=");
	list[strcspn(list, " ")] = '\0';
	while ((word = strsep(&list, ",")))
		if (!strcmp(word, name))
			return true;
	return false;
}

static bool is_barred(struct usrpci_host *host, const struct kmod_module *module)
{
	const char *install = host->lib->kmod_module_get_install_commands(module);

	return (install && (strstr(install, "/bin/false") || strstr(install, "/bin/true"))) ||
	       on_command_line(host, host->lib->kmod_module_get_name(module));
}

static bool is_loaded(struct usrpci_host *host, const char *name)
{
	char underscored[NAME_SIZE], *at;

	if (snprintf(underscored, sizeof(underscored), "%s", name) >= NAME_SIZE)
		return false;
	for (at = underscored; *at; at++)
		*at = *at == '-' ? '_' : *at;
	return file_exists(host->ctx, "/sys/module/%s", underscored);
}

enum module_state module_state(struct usrpci_host *host, const char *name)
{
	struct kmod_module *module;
	enum module_state state = MODULE_PRESENT;

	if (is_loaded(host, name))
		return MODULE_LOADED;
	module = find_module(host, name);
	if (!module)
		return MODULE_MISSING;
	if (is_loaded(host, host->lib->kmod_module_get_name(module)) ||
	    !host->lib->kmod_module_get_path(module))
		state = MODULE_LOADED;
	else if (is_barred(host, module))
		state = MODULE_BARRED;
	host->lib->kmod_module_unref(module);
	return state;
}

/* Of two patterns that match, the one with fewer wildcards was written for the device. */
static int count_wildcards(const char *pattern)
{
	int count = 0;

	while ((pattern = strchr(pattern, '*'))) {
		count++;
		pattern++;
	}
	return count;
}

/* Takes the module of a line "alias vfio_pci:PATTERN MODULE" if it fits the device better. */
static void try_alias(const char *line, const char *alias, char name[NAME_SIZE], int *wildcards)
{
	char pattern[128], module[NAME_SIZE];
	int count;

	if (sscanf(line, "alias %127s %31[a-zA-Z0-9_-]", pattern, module) != 2 ||
	    !strcmp(module, "vfio_pci") || fnmatch(pattern, alias, 0))
		return;
	count = count_wildcards(pattern);
	if (*wildcards >= 0 && count >= *wildcards)
		return;
	*wildcards = count;
	strcpy(name, module);
}

static int search_aliases(const char *lines, const char *alias, char name[NAME_SIZE])
{
	int wildcards = -1;

	for (const char *line = lines; *line; line = strchr(line, '\n') + 1)
		try_alias(line, alias, name, &wildcards);
	return wildcards;
}

/* Returns the few lines that are about variants of vfio-pci, for the caller to free, or NULL. */
static char *pick_lines(const char *text, size_t size)
{
	static const char prefix[] = "alias vfio_pci:";
	const char *at = text, *end = text + size, *stop;
	char *lines = NULL;
	size_t length;
	FILE *stream = open_memstream(&lines, &length);

	while (stream && (at = memmem(at, (size_t)(end - at), prefix, sizeof(prefix) - 1))) {
		stop = memchr(at, '\n', (size_t)(end - at)) ?: end;
		fprintf(stream, "%.*s\n", (int)(stop - at), at);
		at = stop;
	}
	if (stream && !fclose(stream))
		return lines;
	free(lines);
	return NULL;
}

/* Opens the text file, since its index does not tell which of several patterns fits best. */
static int open_aliases(struct usrpci_host *host, size_t *size)
{
	char release[65];
	struct stat status;
	int fd = file_open(host->ctx, O_RDONLY | O_NONBLOCK, "/lib/modules/%s/modules.alias",
			   kernel_release(host, release));

	if (fd < 0 || (!fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size > 0)) {
		*size = fd < 0 ? 0 : (size_t)status.st_size;
		return fd;
	}
	close(fd);
	return -EINVAL;
}

static char *read_aliases(struct usrpci_host *host)
{
	char *lines = NULL;
	size_t size;
	int fd = open_aliases(host, &size);
	void *text;

	if (fd < 0)
		return NULL;
	text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (text != MAP_FAILED) {
		lines = pick_lines(text, size);
		munmap(text, size);
	}
	return lines;
}

bool module_find_variant(struct usrpci_host *host, const struct usrpci_dev_info *info,
			 char name[NAME_SIZE])
{
	char alias[80], *own = NULL, **lines = host->look ? &host->look->aliases : &own;
	bool found;

	if (!*lines)
		*lines = read_aliases(host) ?: strdup("");
	snprintf(alias, sizeof(alias), "vfio_pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X",
		 info->vendor, info->device, info->subsystem_vendor, info->subsystem_device,
		 info->class_code >> 16 & 0xff, info->class_code >> 8 & 0xff,
		 info->class_code & 0xff);
	found = *lines && search_aliases(*lines, alias, name) >= 0;
	free(own);
	return found;
}

int module_insert(struct usrpci_host *host, const char *name)
{
	struct kmod_module *module;
	int error;

	/* With another root directory, the kernel of this machine must not be changed. */
	if (!host_is_live(host))
		return -EOPNOTSUPP;
	module = find_module(host, name);
	if (!module)
		return -ENOENT;
	error = host->lib->kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);
	host->lib->kmod_module_unref(module);
	return error > 0 ? -EIO : error;
}

void module_cure(struct usrpci_host *host, char *cure, size_t size)
{
	char release[65];
	const char *last;

	kernel_release(host, release);
	last = strrchr(release, '-'); /* 6.1.0-40-cloud-arm64: the packages are named so too */
	if (!file_exists(host->ctx, "/lib/modules"))
		snprintf(cure, size,
			 "run on the host itself: this container has no /lib/modules to load from");
	else if (!file_exists(host->ctx, "/lib/modules/%s", release))
		snprintf(
			cure, size,
			"reboot if the kernel was upgraded: there are no modules for the running one");
	else if (strstr(release, "cloud") && last)
		snprintf(cure, size, "apt install linux-image%s: cloud kernels have few drivers",
			 last);
	else
		snprintf(cure, size,
			 "check the spelling; on Ubuntu, apt install linux-modules-extra-%s",
			 release);
}

int module_missing(struct usrpci_host *host, const char *name)
{
	char release[65], cure[192];

	module_cure(host, cure, sizeof(cure));
	return refuse(host->ctx, -ENOENT, name, cure,
		      "no such driver: kernel %s has neither it nor a module of its name",
		      kernel_release(host, release));
}

static int explain(struct usrpci_host *host, const char *name, int error)
{
	const char *hint = "dmesg | tail";

	if (error == -ENOENT)
		return module_missing(host, name);
	if (error == -EKEYREJECTED || error == -ENOKEY)
		hint = "the kernel takes only modules signed with a key that it knows (Secure Boot)";
	else if (error == -EPERM && kernel_is_locked_down(host->ctx))
		hint = "the kernel is locked down (Secure Boot): it takes signed modules only";
	else if (error == -EPERM)
		hint = "run as root";
	else if (error == -EOPNOTSUPP)
		hint = "load it on the host that this directory stands for";
	return report(host->ctx, error, name, hint, "cannot load the module");
}

int module_load(struct usrpci_host *host, const char *name, const char *why)
{
	int error;

	switch (module_state(host, name)) {
	case MODULE_LOADED:
		return 0;
	case MODULE_MISSING:
		return module_missing(host, name);
	case MODULE_BARRED:
		return refuse(host->ctx, -EPERM, name, MODULE_BARRED_CURE,
			      "loading the module is forbidden on this host");
	case MODULE_PRESENT:
		break;
	}
	error = apply_module(host, why, name);
	return error ? explain(host, name, error) : 0;
}
