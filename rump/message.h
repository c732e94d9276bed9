/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdio.h>

/*
 * A rump kernel's console is its process's standard output; what goes wrong here is the user's to
 * read.
 */
#define rump_message(format, ...) fprintf(stderr, "usrpci-rump: " format "\n", ##__VA_ARGS__)
