// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts: enabling, waiting, masking, and what is refused.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "fake/fake.h"
#include "fixture.h"

static struct usrpci_ctx *ctx;
static struct usrpci_dev *dev;

static int open_model(void **state, const struct fake_model *model)
{
	if (fixture_setup(state))
		return -1;
	ctx = fixture_ctx(*state);
	return fake_open(ctx, model, &dev);
}

static int setup(void **state)
{
	return open_model(
		state,
		&(struct fake_model){
			.vendor = 0x1234, .device = 0x11e8, .irq_pin = 1, .msi = 4, .msix = 8});
}

static int setup_without_pin(void **state)
{
	return open_model(state, &(struct fake_model){.vendor = 0x1234, .device = 0x11e8});
}

static int teardown(void **state)
{
	usrpci_dev_close(dev);
	usrpci_ctx_close(ctx);
	return fixture_teardown(state);
}

static bool readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return poll(&poller, 1, 0) == 1;
}

static void an_interrupt_is_waited_for_and_taken_once(void **state)
{
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 0), -ETIMEDOUT);
	fake_intx(dev, true);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 1000), 1);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 0), -ETIMEDOUT);
}

static void intx_stays_masked_until_it_is_unmasked(void **state)
{
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	fake_intx(dev, true);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, -1), 1);
	fake_intx(dev, false);
	fake_intx(dev, true);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 0), -ETIMEDOUT);
	assert_int_equal(usrpci_irq_unmask(dev, USRPCI_IRQ_INTX, 0), 0);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 1000), 1);
}

static void a_masked_line_waits_until_it_is_unmasked(void **state)
{
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	assert_int_equal(usrpci_irq_mask(dev, USRPCI_IRQ_INTX, 0), 0);
	fake_intx(dev, true);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 0), -ETIMEDOUT);
	assert_int_equal(usrpci_irq_unmask(dev, USRPCI_IRQ_INTX, 0), 0);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 0), 1);
}

static void vectors_are_told_apart_and_counted(void **state)
{
	assert_int_equal(usrpci_dev_set_bus_master(dev, true), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSIX, 8), 0);
	fake_msi(dev, USRPCI_IRQ_MSIX, 7);
	fake_msi(dev, USRPCI_IRQ_MSIX, 7);
	assert_false(readable(usrpci_irq_fd(dev, USRPCI_IRQ_MSIX, 0)));
	assert_true(readable(usrpci_irq_fd(dev, USRPCI_IRQ_MSIX, 7)));
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_MSIX, 7, -1), 2);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_MSIX, 0, 0), -ETIMEDOUT);
}

static void a_wait_ends_at_its_deadline(void **state)
{
	struct timespec before, after;
	long elapsed;

	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 1), 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_MSI, 0, 30), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &after);
	elapsed = (after.tv_sec - before.tv_sec) * 1000 +
		  (after.tv_nsec - before.tv_nsec) / 1000000;
	assert_in_range(elapsed, 29, 5000);
}

static void *fire_later(void *unused)
{
	usleep(20000);
	fake_msi(dev, USRPCI_IRQ_MSI, 0);
	return unused;
}

static void a_wait_without_limit_ends_with_the_interrupt(void **state)
{
	pthread_t thread;

	assert_int_equal(usrpci_dev_set_bus_master(dev, true), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, fire_later, NULL), 0);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_MSI, 0, -1), 1);
	pthread_join(thread, NULL);
}

static void one_type_at_a_time_is_enabled(void **state)
{
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 2), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSIX, 1), -EBUSY);
	assert_logged(*state, "cannot enable MSI-X while MSI is enabled");
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 2), -EBUSY);
	assert_int_equal(usrpci_irq_disable(dev, USRPCI_IRQ_MSI), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSIX, 1), 0);
}

static void more_vectors_than_there_are_is_refused(void **state)
{
	assert_int_equal(usrpci_irq_count(dev, USRPCI_IRQ_MSI), 4);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 5), -EINVAL);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 0), -EINVAL);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 2), -EINVAL);
	assert_int_equal(usrpci_irq_enable(dev, (enum usrpci_irq_type)99, 1), -EINVAL);
	assert_int_equal(usrpci_irq_count(dev, (enum usrpci_irq_type)99), 0);
	assert_logged(*state, "5 vectors of MSI were asked for, and it has 1 to 4");
}

static void a_vector_that_is_not_enabled_cannot_be_used(void **state)
{
	assert_int_equal(usrpci_irq_fd(dev, USRPCI_IRQ_MSI, 0), -EINVAL);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_MSI, 0, -1), -EINVAL);
	assert_int_equal(usrpci_irq_unmask(dev, USRPCI_IRQ_INTX, 0), -EINVAL);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 2), 0);
	assert_int_equal(usrpci_irq_fd(dev, USRPCI_IRQ_MSI, 2), -EINVAL);
	assert_int_equal(usrpci_irq_disable(dev, USRPCI_IRQ_MSI), 0);
	assert_int_equal(usrpci_irq_fd(dev, USRPCI_IRQ_MSI, 0), -EINVAL);
	assert_int_equal(usrpci_irq_disable(dev, USRPCI_IRQ_MSI), 0);
	assert_int_equal(usrpci_irq_disable(dev, (enum usrpci_irq_type)99), -EINVAL);
}

static void enabling_that_fails_leaves_it_disabled(void **state)
{
	fake_fail(dev, 1, -EPERM);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 4), -EPERM);
	assert_int_equal(usrpci_irq_fd(dev, USRPCI_IRQ_MSI, 0), -EINVAL);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSIX, 1), 0);
}

static void an_interrupt_of_a_device_that_is_gone_ends_the_wait(void **state)
{
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	fake_unplug(dev);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, -1), -ENODEV);
	assert_int_equal(usrpci_irq_unmask(dev, USRPCI_IRQ_INTX, 0), -ENODEV);
}

static void a_device_without_interrupts_says_what_it_lacks(void **state)
{
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), -EOPNOTSUPP);
	assert_logged(*state, "no interrupt pin");
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSI, 1), -EOPNOTSUPP);
	assert_logged(*state, "the device has no MSI interrupt");
}

static struct usrpci_dev *open_other(const struct fake_model *model)
{
	struct usrpci_dev *other;

	assert_int_equal(fake_open(ctx, model, &other), 0);
	return other;
}

static void the_best_interrupt_is_the_newest_with_as_many_vectors_as_there_are(void **state)
{
	static const struct fake_model with_msi = {.irq_pin = 1, .msi = 4};
	static const struct fake_model with_intx = {.irq_pin = 1};
	struct usrpci_dev *msi = open_other(&with_msi);
	struct usrpci_dev *intx = open_other(&with_intx);
	enum usrpci_irq_type type;

	assert_int_equal(usrpci_irq_enable_best(dev, 3, &type), 3);
	assert_int_equal(type, USRPCI_IRQ_MSIX);
	assert_true(usrpci_irq_fd(dev, type, 2) >= 0);
	assert_int_equal(usrpci_irq_fd(dev, type, 3), -EINVAL);
	assert_int_equal(usrpci_irq_enable_best(msi, 100, &type), 4);
	assert_int_equal(type, USRPCI_IRQ_MSI);
	assert_int_equal(usrpci_irq_enable_best(intx, 2, &type), 1);
	assert_int_equal(type, USRPCI_IRQ_INTX);
	assert_int_equal(usrpci_irq_enable_best(intx, 1, &type), -EBUSY);
	assert_int_equal(usrpci_irq_disable(msi, USRPCI_IRQ_MSI), 0);
	assert_int_equal(usrpci_irq_enable_best(msi, 0, &type), -EINVAL);
	usrpci_dev_close(msi);
	usrpci_dev_close(intx);
}

static void the_best_interrupt_has_no_more_vectors_than_the_machine(void **state)
{
	static const struct fake_model model = {.irq_pin = 1, .msix = 8, .vectors_left = 5};
	struct usrpci_dev *other = open_other(&model);
	enum usrpci_irq_type type;

	assert_int_equal(usrpci_irq_enable(other, USRPCI_IRQ_MSIX, 8), -ENOSPC);
	assert_logged(*state, "8 vectors were asked for, and the machine has 5 left");
	assert_int_equal(usrpci_irq_enable_best(other, 8, &type), 5);
	assert_int_equal(type, USRPCI_IRQ_MSIX);
	assert_int_equal(usrpci_irq_disable(other, type), 0);
	usrpci_dev_close(other);
}

static void a_device_without_interrupts_has_no_best_one(void **state)
{
	enum usrpci_irq_type type;

	assert_int_equal(usrpci_irq_enable_best(dev, 1, &type), -EOPNOTSUPP);
	assert_logged(*state, "no interrupt pin");
}

static void done_unmasks_intx_and_is_right_for_messages_too(void **state)
{
	assert_int_equal(usrpci_irq_done(dev, USRPCI_IRQ_INTX, 0), -EINVAL);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_INTX, 1), 0);
	fake_intx(dev, true);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 1000), 1);
	fake_intx(dev, false);
	assert_int_equal(usrpci_irq_done(dev, USRPCI_IRQ_INTX, 0), 0);
	fake_intx(dev, true);
	assert_int_equal(usrpci_irq_wait(dev, USRPCI_IRQ_INTX, 0, 1000), 1);
	assert_int_equal(usrpci_irq_disable(dev, USRPCI_IRQ_INTX), 0);
	assert_int_equal(usrpci_irq_enable(dev, USRPCI_IRQ_MSIX, 1), 0);
	assert_int_equal(usrpci_irq_done(dev, USRPCI_IRQ_MSIX, 0), 0);
	assert_int_equal(usrpci_irq_done(dev, USRPCI_IRQ_MSIX, 1), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_interrupt_is_waited_for_and_taken_once),
		TEST(intx_stays_masked_until_it_is_unmasked),
		TEST(a_masked_line_waits_until_it_is_unmasked),
		TEST(vectors_are_told_apart_and_counted),
		TEST(a_wait_ends_at_its_deadline),
		TEST(a_wait_without_limit_ends_with_the_interrupt),
		TEST(one_type_at_a_time_is_enabled),
		TEST(more_vectors_than_there_are_is_refused),
		TEST(a_vector_that_is_not_enabled_cannot_be_used),
		TEST(enabling_that_fails_leaves_it_disabled),
		TEST(an_interrupt_of_a_device_that_is_gone_ends_the_wait),
		TEST(the_best_interrupt_has_no_more_vectors_than_the_machine),
		cmocka_unit_test_setup_teardown(a_device_without_interrupts_says_what_it_lacks,
						setup_without_pin, teardown),
		TEST(the_best_interrupt_is_the_newest_with_as_many_vectors_as_there_are),
		cmocka_unit_test_setup_teardown(a_device_without_interrupts_has_no_best_one,
						setup_without_pin, teardown),
		TEST(done_unmasks_intx_and_is_right_for_messages_too),
	};

	return cmocka_run_group_tests_name("irq", tests, NULL, NULL);
}
