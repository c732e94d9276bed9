/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Changes that go back unless they are confirmed (--confirm), as bind and apply share it. */

#include "cli.h"

enum { OPTION_CONFIRM = OPTION_LONG + 66 };

/* A row for a command's table of options. */
#define CONFIRM_OPTION                                                          \
	{                                                                       \
		OPTION_CONFIRM, "confirm", "SECONDS",                           \
			"all goes back unless \"usrpci confirm\" comes in time" \
	}

/* Reads the option's argument in optarg. Returns 0, or a status for a usage error. */
int confirm_option(struct cli *cli);

/* Tells the user what is expected, if something was changed. */
void say_confirm(struct cli *cli);
