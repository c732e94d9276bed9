// SPDX-License-Identifier: BSD-2-Clause
/*
 * usrpci monitor: devices that come, go and change their driver, a line each as it happens.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "device.h"

static const struct option_spec monitor_options[] = {
	{'p', "present", NULL, "begin with the devices that are there"},
	{0},
};

struct watch {
	struct cli *cli;
	struct usrpci_monitor *monitor;
	struct usrpci_addr *wanted;
	size_t wanted_count; /* 0: all devices are wanted */
};

static bool is_wanted(const struct watch *watch, const struct usrpci_addr *addr)
{
	for (size_t i = 0; i < watch->wanted_count; i++)
		if (!usrpci_addr_compare(&watch->wanted[i], addr))
			return true;
	return !watch->wanted_count;
}

static void time_text(char text[32])
{
	struct timespec now;
	struct tm when;

	clock_gettime(CLOCK_REALTIME, &now);
	text[0] = '\0';
	if (localtime_r(&now.tv_sec, &when))
		strftime(text, 32, "%F %T", &when);
}

static void print_line(const char *word, const struct usrpci_event *event)
{
	char addr[USRPCI_ADDR_STRLEN], when[32];
	const char *driver = event->driver[0] ? event->driver : event->was;

	time_text(when);
	printf("%s  ", when);
	if (event->kind == USRPCI_EVENT_LOST)
		printf("%s\n", word);
	else
		printf("%s  %-8s %04x:%04x%s%s\n", usrpci_addr_format(&event->addr, addr), word,
		       event->vendor, event->device, *driver ? "  " : "", driver);
}

static void print_json(const char *word, const struct usrpci_event *event)
{
	char addr[USRPCI_ADDR_STRLEN], id[16], when[32];
	bool is_of_device = event->kind != USRPCI_EVENT_LOST;
	struct json json;

	time_text(when);
	snprintf(id, sizeof(id), "%04x:%04x", event->vendor, event->device);
	json_line(&json);
	json_text(&json, "event", word);
	json_text(&json, "when", when);
	json_text(&json, "addr", is_of_device ? usrpci_addr_format(&event->addr, addr) : NULL);
	json_text(&json, "id", is_of_device ? id : NULL);
	json_text(&json, "was", event->was[0] ? event->was : NULL);
	json_text(&json, "driver", event->driver[0] ? event->driver : NULL);
	json_line_end();
}

/* Returns false when nobody reads any more. */
static bool print(const struct watch *watch, const char *word, const struct usrpci_event *event)
{
	if (watch->cli->json)
		print_json(word, event);
	else
		print_line(word, event);
	return !fflush(stdout);
}

static int print_present(const struct watch *watch)
{
	struct usrpci_dev_info *infos;
	int count = usrpci_dev_list(watch->cli->ctx, &infos);

	for (int i = 0; i < count; i++) {
		struct usrpci_event event = {.kind = USRPCI_EVENT_ADDED,
					     .addr = infos[i].addr,
					     .vendor = infos[i].vendor,
					     .device = infos[i].device};

		strcpy(event.driver, infos[i].driver);
		if (is_wanted(watch, &event.addr))
			print(watch, "present", &event);
	}
	usrpci_dev_list_free(infos);
	return count < 0 ? STATUS_FAILED : STATUS_DONE;
}

static int follow(const struct watch *watch)
{
	static const char *const words[] = {
		[USRPCI_EVENT_ADDED] = "added",      [USRPCI_EVENT_REMOVED] = "removed",
		[USRPCI_EVENT_BOUND] = "bound",      [USRPCI_EVENT_UNBOUND] = "unbound",
		[USRPCI_EVENT_LOST] = "events-lost",
	};
	struct usrpci_event event;
	int result;

	do {
		result = usrpci_host_monitor_next(watch->monitor, -1, &event);
		if (result > 0 &&
		    (event.kind == USRPCI_EVENT_LOST || is_wanted(watch, &event.addr)) &&
		    !print(watch, words[event.kind], &event))
			return STATUS_DONE; /* main() says whether that is a failure */
	} while (result >= 0 || result == -EINTR);
	return failed(NULL, NULL, "cannot read the kernel's events: %s", strerror(-result));
}

/* An address is valid without a device, because one may be plugged in later. */
static int find_wanted(struct watch *watch)
{
	struct cli *cli = watch->cli;

	for (int i = 0; i < cli->argc; i++) {
		struct usrpci_addr addr;
		int error = 0;

		if (usrpci_addr_parse(cli->argv[i], &addr))
			error = find_address(cli, cli->argv[i], &addr);
		if (error)
			return status_of(error);
		named_before(cli, &addr);
	}
	watch->wanted = cli->named;
	watch->wanted_count = cli->named_count;
	return STATUS_DONE;
}

static int run(struct watch *watch, bool present)
{
	static const struct usrpci_event ready = {.kind = USRPCI_EVENT_LOST};
	int status = STATUS_DONE;

	if (usrpci_host_monitor_open(watch->cli->host, &watch->monitor))
		return STATUS_FAILED;
	if (present)
		status = print_present(watch);
	if (!status && print(watch, "listening", &ready))
		status = follow(watch);
	usrpci_host_monitor_close(watch->monitor);
	return status;
}

static int cmd_monitor(struct cli *cli)
{
	struct watch watch = {.cli = cli};
	bool present = false;
	int key, status;

	while ((key = option_next(cli))) {
		if (key != 'p')
			return cli->stopped;
		present = true;
	}
	status = find_wanted(&watch);
	if (status)
		return status;
	return open_host(cli) ? STATUS_FAILED : run(&watch, present);
}

const struct command command_monitor = {
	.name = "monitor",
	.operands = "[ADDR...]",
	.summary = "watch devices come, go and change their driver",
	.options = monitor_options,
	.run = cmd_monitor,
};
