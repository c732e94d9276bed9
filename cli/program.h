/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Looks for the program as execvp(3) does, before a device is taken. Returns 0 or an errno. */
int program_find(const char *program);
