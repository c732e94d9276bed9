// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loads libkmod, libmount and libudev at run time, see libraries.h.
 */

#include <stdlib.h>

#include "array.h"
#include "libraries.h"
#include "library.h"

static const char *const kmod_names[] = {LIBRARY_KMOD(LIBRARY_NAME)};
static const char *const mount_names[] = {LIBRARY_MOUNT(LIBRARY_NAME)};
static const char *const udev_names[] = {LIBRARY_UDEV(LIBRARY_NAME)};

static void *load(const char *path, const char *file, const char *const *names, size_t count)
{
	void **functions = calloc(count, sizeof(*functions));

	if (functions && library_load(path, file, names, count, functions))
		return functions;
	free(functions);
	return NULL;
}

struct library_kmod *library_load_kmod(void)
{
	return load(LIBRARY_DIR "/libkmod.so.2", "libkmod.so.2", kmod_names,
		    ARRAY_SIZE(kmod_names));
}

struct library_mount *library_load_mount(void)
{
	return load(LIBRARY_DIR "/libmount.so.1", "libmount.so.1", mount_names,
		    ARRAY_SIZE(mount_names));
}

struct library_udev *library_load_udev(void)
{
	return load(LIBRARY_DIR "/libudev.so.1", "libudev.so.1", udev_names,
		    ARRAY_SIZE(udev_names));
}
