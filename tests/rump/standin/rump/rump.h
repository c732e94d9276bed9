/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What rump/examples use of a rump kernel, played by server.c. */

int rump_init(void);
int rump_init_server(const char *url);
