// SPDX-License-Identifier: BSD-2-Clause
/*
 * Events of the kernel: what their words mean, and which driver let go of a device.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "monitor/monitor.h"

static struct usrpci_event next(struct monitor_table *table, const char *action, const char *driver)
{
	const struct monitor_words words = {action, "0000:01:00.0", "8086:10D3", driver};
	struct usrpci_event event;

	assert_int_equal(monitor_event(table, &words, &event), 1);
	assert_int_equal(event.addr.bus, 1);
	assert_int_equal(event.vendor, 0x8086);
	assert_int_equal(event.device, 0x10d3);
	return event;
}

static void an_event_says_who_had_the_device_and_who_has_it(void **state)
{
	struct monitor_table table = {0};
	struct usrpci_event event = next(&table, "add", NULL);

	(void)state;
	assert_int_equal(event.kind, USRPCI_EVENT_ADDED);
	event = next(&table, "bind", "e1000e");
	assert_int_equal(event.kind, USRPCI_EVENT_BOUND);
	assert_string_equal(event.was, "");
	assert_string_equal(event.driver, "e1000e");
	event = next(&table, "unbind", NULL);
	assert_int_equal(event.kind, USRPCI_EVENT_UNBOUND);
	assert_string_equal(event.was, "e1000e");
	assert_string_equal(event.driver, "");
	next(&table, "bind", "vfio-pci");
	event = next(&table, "remove", NULL);
	assert_int_equal(event.kind, USRPCI_EVENT_REMOVED);
	assert_string_equal(event.was, "vfio-pci");
	assert_int_equal(table.count, 0);
	free(table.rows);
}

static void words_that_make_no_sense_are_no_event(void **state)
{
	static const struct monitor_words odd[] = {
		{NULL, "0000:01:00.0", "8086:10D3", NULL},
		{"add", NULL, "8086:10D3", NULL},
		{"add", "0000:01:00.0", NULL, NULL},
		{"change", "0000:01:00.0", "8086:10D3", NULL},
		{"add", "somewhere", "8086:10D3", NULL},
		{"add", "0000:01:00.0", "nonsense", NULL},
		{"bind", "0000:01:00.0", "8086:10D3", "a-driver-with-a-name-that-is-too-long"},
	};
	struct monitor_table table = {0};
	struct usrpci_event event;

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_int_equal(monitor_event(&table, &odd[i], &event), 0);
	assert_int_equal(table.count, 0);
}

static void the_table_begins_with_who_holds_each_device(void **state)
{
	const struct fixture_device nic = {
		.addr = "0000:01:00.0", .vendor = 0x8086, .device = 0x10d3, .driver = "e1000e"};
	struct kernel *kernel = *state;
	struct monitor_table table = {0};
	struct usrpci_event event;

	fixture_add(kernel->fixture, &nic);
	assert_int_equal(monitor_fill(kernel->host, &table), 0);
	event = next(&table, "unbind", NULL);
	assert_string_equal(event.was, "e1000e");
	free(table.rows);
}

static void a_host_of_files_has_no_events(void **state)
{
	struct kernel *kernel = *state;
	struct usrpci_monitor *monitor;

	assert_int_equal(usrpci_host_monitor_open(kernel->host, &monitor), -EOPNOTSUPP);
	assert_null(monitor);
	assert_logged(kernel->fixture, "no events");
	usrpci_host_monitor_close(NULL);
}

static void a_monitor_of_this_machine_waits_no_longer_than_it_is_told(void **state)
{
	struct usrpci_monitor *monitor;
	struct usrpci_event event;
	struct usrpci_host *host;
	struct usrpci_ctx *ctx;

	(void)state;
	assert_int_equal(usrpci_ctx_open(NULL, &ctx), 0);
	assert_int_equal(usrpci_host_open(ctx, NULL, &host), 0);
	if (usrpci_host_monitor_open(host, &monitor)) {
		usrpci_host_close(host);
		usrpci_ctx_close(ctx);
		skip();
	}
	assert_true(usrpci_host_monitor_fd(monitor) >= 0);
	assert_in_range(usrpci_host_monitor_next(monitor, 0, &event), 0, 1);
	usrpci_host_monitor_close(monitor);
	usrpci_host_close(host);
	usrpci_ctx_close(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_says_who_had_the_device_and_who_has_it),
		cmocka_unit_test(words_that_make_no_sense_are_no_event),
		cmocka_unit_test_setup_teardown(the_table_begins_with_who_holds_each_device,
						kernel_setup, kernel_teardown),
		cmocka_unit_test_setup_teardown(a_host_of_files_has_no_events, kernel_setup,
						kernel_teardown),
		cmocka_unit_test(a_monitor_of_this_machine_waits_no_longer_than_it_is_told),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
