// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loads libkmod, libmount and libudev at run time, see libraries.h.
 */

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "libraries.h"

#define LIBRARY_NAME(name) #name,

static const char *const kmod_names[] = {LIBRARY_KMOD(LIBRARY_NAME)};
static const char *const mount_names[] = {LIBRARY_MOUNT(LIBRARY_NAME)};
static const char *const udev_names[] = {LIBRARY_UDEV(LIBRARY_NAME)};

/*
 * The structures are arrays of pointers to functions, in the order of the names. path is where the
 * library was when this was built, and file is its name alone, by which it is found elsewhere.
 */
static void *load(const char *path, const char *file, const char *const *names, size_t count)
{
	void *library = dlopen(path, RTLD_LAZY) ?: dlopen(file, RTLD_LAZY);
	void **functions = library ? calloc(count, sizeof(*functions)) : NULL;

	for (size_t i = 0; functions && i < count; i++) {
		void *function = dlsym(library, names[i]);

		if (!function) {
			free(functions);
			return NULL;
		}
		memcpy(&functions[i], &function, sizeof(function));
	}
	return functions;
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
