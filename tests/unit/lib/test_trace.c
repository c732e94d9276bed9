// SPDX-License-Identifier: BSD-2-Clause
/*
 * The trace of what a driver does, on a device in memory.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake/fake.h"
#include "fixture.h"

static const struct fake_model model = {
	.vendor = 0x1234,
	.device = 0x5678,
	.irq_pin = 1,
	.msix = 4,
	.bars[1] = {.size = 4096},
};

/* The lines of a file without their times, and how long each was. */
static void read_trace(struct fixture *fixture, char *text, size_t size)
{
	char *file = fixture_read(fixture, "/trace"), *line, *rest = file;
	size_t length = 0;

	assert_non_null(file);
	text[0] = '\0';
	while ((line = strsep(&rest, "\n")) && *line) {
		char *after;

		assert_true(strtod(line, &after) > 0);
		assert_int_equal(*after, ' ');
		length += (size_t)snprintf(text + length, size - length, "%s\n", after + 1);
	}
	free(file);
}

static void use(struct usrpci_ctx *ctx, struct usrpci_dev *dev)
{
	struct usrpci_dma_request request = {.size = 100};
	struct usrpci_dma_block block;
	struct usrpci_bar bar;
	uint16_t vendor;

	assert_int_equal(usrpci_config_read16(dev, 0, &vendor), 0);
	assert_int_equal(usrpci_bar_map_range(dev, 1, 0x100, 256, &bar), 0);
	usrpci_write32(&bar, 0x10, 0xdeadbeef);
	assert_int_equal(usrpci_read16(&bar, 0x12), 0xdead);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	fake_intx(dev, true);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, -1), 1);
	fake_intx(dev, false);
	assert_int_equal(usrpci_irq_done(dev, USRPCI_IRQ_INTX, 0), 0);
	assert_int_equal(usrpci_dma_block_alloc(ctx, &request, &block), 0);
	usrpci_dma_block_free(ctx, &block);
}

static void says_what_a_driver_does(void **state)
{
	struct fixture *fixture = *state;
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_dev *dev;
	char path[80], text[2048];

	snprintf(path, sizeof(path), "%s/trace", fixture->root);
	setenv("USRPCI_TRACE", path, 1);
	assert_int_equal(fake_open(ctx, &model, &dev), 0);
	use(ctx, dev);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	read_trace(fixture, text, sizeof(text));
	assert_string_equal(text, "fake:1234:5678 open fake\n"
				  "fake:1234:5678 config read16 0x0 0x1234\n"
				  "fake:1234:5678 config read16 0x4 0x0000\n"
				  "fake:1234:5678 config write8 0x4 0x02\n"
				  "fake:1234:5678 bar1 write32 0x110 0xdeadbeef\n"
				  "fake:1234:5678 bar1 read16 0x112 0xdead\n"
				  "fake:1234:5678 irq intx enable 1\n"
				  "fake:1234:5678 irq intx take 0 1\n"
				  "fake:1234:5678 irq intx unmask 0\n"
				  "- dma alloc 0x200000 100\n"
				  "- dma free 0x200000\n"
				  "fake:1234:5678 irq intx disable\n"
				  "fake:1234:5678 config read16 0x4 0x0002\n"
				  "fake:1234:5678 close\n");
}

static void costs_nothing_where_it_is_not_asked_for(void **state)
{
	struct fixture *fixture = *state;
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_dev *dev;
	struct usrpci_bar bar;

	assert_int_equal(fake_open(ctx, &model, &dev), 0);
	assert_int_equal(usrpci_bar_map(dev, 1, &bar), 0);
	assert_int_equal(bar.direct_size, 4096);
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
}

static void two_contexts_write_to_one_file(void **state)
{
	struct fixture *fixture = *state;
	struct usrpci_ctx *ctx[2];
	struct usrpci_dev *dev[2];
	char path[80], text[1024];

	snprintf(path, sizeof(path), "%s/trace", fixture->root);
	setenv("USRPCI_TRACE", path, 1);
	for (unsigned int i = 0; i < 2; i++) {
		ctx[i] = fixture_ctx(fixture);
		assert_int_equal(fake_open(ctx[i], &model, &dev[i]), 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		usrpci_dev_close(dev[i]);
		usrpci_ctx_close(ctx[i]);
	}
	read_trace(fixture, text, sizeof(text));
	assert_non_null(strstr(text, "open fake\nfake:1234:5678 open fake\n"));
}

static void a_file_that_cannot_be_written_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct usrpci_ctx *ctx = fixture_ctx(fixture);
	struct usrpci_dev *dev;

	setenv("USRPCI_TRACE", "/nowhere/at/all", 1);
	assert_int_equal(fake_open(ctx, &model, &dev), -ENOENT);
	assert_logged(fixture, "cannot write the trace");
	usrpci_ctx_close(ctx);
}

static int teardown(void **state)
{
	unsetenv("USRPCI_TRACE");
	return fixture_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(says_what_a_driver_does),
		TEST(costs_nothing_where_it_is_not_asked_for),
		TEST(two_contexts_write_to_one_file),
		TEST(a_file_that_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
