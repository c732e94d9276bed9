// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loads libraries at run time, see library.h. Which, and what is used of them, their users know.
 */

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#include "library.h"

bool library_load(const char *path, const char *file, const char *const *names, size_t count,
		  void *functions)
{
	void *library = dlopen(path, RTLD_LAZY) ?: dlopen(file, RTLD_LAZY);

	for (size_t i = 0; library && i < count; i++) {
		void *function = dlsym(library, names[i]);

		if (!function)
			return false;
		memcpy((void **)functions + i, &function, sizeof(function));
	}
	return library != NULL;
}
