// SPDX-License-Identifier: BSD-2-Clause
/*
 * Waiting for a device that is in use, see wait.h. The guard is asked again each time, because no
 * event tells when the last use has ended.
 */

#include <errno.h>
#include <getopt.h>
#include <time.h>

#include "number.h"
#include "wait.h"

enum { TRIES_APART_MS = 250, LONGEST_WAIT_S = 1000000 };

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int wait_option(struct cli *cli)
{
	if (!parse_number(optarg, 10, LONGEST_WAIT_S, &cli->wait_s))
		return cli->stopped = usage_error(cli, NULL, "\"%s\" is not a number of seconds",
						  optarg);
	return STATUS_DONE;
}

void wait_begin(struct cli *cli)
{
	if (!cli->wait_s || cli->dry_run)
		return;
	if (!cli->wait_until_ms)
		cli->wait_until_ms = now_ms() + cli->wait_s * 1000;
	hold_messages();
}

/* Prints the reason of the first refusal, so that the user knows why the command waits. */
static void say_once(struct cli *cli)
{
	char object[256], text[640];

	if (cli->wait_said || !first_held_message(object, sizeof(object), text, sizeof(text)))
		return;
	cli->wait_said = true;
	forget_held_messages();
	note(cli, *object ? object : NULL, "waits up to %u s: %s", (unsigned int)cli->wait_s, text);
}

bool wait_and_try_again(struct cli *cli, int error)
{
	const struct timespec pause = {.tv_nsec = TRIES_APART_MS * 1000000L};

	if (error != -EBUSY || now_ms() >= cli->wait_until_ms) {
		print_held_messages();
		return false;
	}
	say_once(cli);
	forget_held_messages();
	nanosleep(&pause, NULL);
	hold_messages();
	return true;
}
