/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Looks for the program as execvp(3) does, before a device is taken. Returns 0 or an errno. */
int program_find(const char *program);

/* Looks for the rump kernel that RUMP_PREFIX names, if any. Returns 0, or an errno, reported. */
int rump_kernel_find(void);

#define PROGRAM_PATH 4096

/*
 * Finds a program that belongs to this one: beside it, as in a build, or where it is installed.
 * Returns 0 or an errno; the path is that of the installed one when there is none.
 */
int program_of_ours(const char *name, char path[PROGRAM_PATH]);
