/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_TESTS_FIXTURE_H
#define USRPCI_TESTS_FIXTURE_H

/*
 * A host made of files: a temporary directory that stands for "/", filled with the parts of sysfs
 * that a test needs, laid out and linked as the kernel does it. What goes wrong here fails the
 * test.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <usrpci/usrpci.h>

struct fixture {
	char root[64];
	const char *vf_token; /* option of contexts of fixture_ctx() */
	char log[4096]; /* what contexts of fixture_ctx() reported, a line a message, hints too */
};

/* For cmocka_unit_test_setup_teardown(): *state is the struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Paths are absolute, as the host would have them; directories are made as needed. */
void fixture_bytes(struct fixture *fixture, const char *path, const void *bytes, size_t size);
void fixture_text(struct fixture *fixture, const char *path, const char *text);
void fixture_mkdir(struct fixture *fixture, const char *path);
void fixture_link(struct fixture *fixture, const char *path, const char *target);
void fixture_remove(struct fixture *fixture, const char *path);

/* What a file holds, with its white space; the caller frees it. NULL: no such file. */
char *fixture_read(struct fixture *fixture, const char *path);

struct fixture_bar {
	uint64_t address;
	uint64_t size;
	uint64_t flags; /* of the kernel: 0x200 memory, 0x100 I/O */
};

/* Zero means: as an ordinary endpoint would have it. */
struct fixture_device {
	const char *addr; /* in full */
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t class_code;
	uint8_t revision;
	uint8_t header_type;
	uint8_t irq_pin;
	const char *driver;       /* NULL: none */
	const char *iommu_group;  /* NULL: none */
	const char *numa_node;    /* NULL: "-1" */
	const char *parent;       /* address of the bridge above; NULL: the root bus */
	unsigned int config_size; /* 0: 256 */
	struct fixture_bar bars[USRPCI_BARS];
	int uio; /* N + 1 of /dev/uioN, a pipe into which a test writes counts; 0: none */
};

/* Adds a device with its config file, resource files, links and driver directory. */
void fixture_add(struct fixture *fixture, const struct fixture_device *device);

/* As fixture_add(), with a driver_override that nobody has written. */
void fixture_add_bindable(struct fixture *fixture, const struct fixture_device *device);

/* Changes bytes of the device's config file. */
void fixture_config(struct fixture *fixture, const char *addr, unsigned int offset,
		    const void *bytes, size_t size);
void fixture_config_read(struct fixture *fixture, const char *addr, unsigned int offset,
			 void *bytes, size_t size);

/* A context on the fixture, whose messages go to fixture->log. */
struct usrpci_ctx *fixture_ctx(struct fixture *fixture);

/* The log has a message with this text in it. */
void assert_logged(struct fixture *fixture, const char *text);

/* Whether no QEMU is installed whose devices could be opened. */
bool is_qemu_missing(void);

/* Says why none of the tests is run, which is a success. cmocka's skip() is a failure in TAP. */
int skip_all(const char *reason);

/* What main() of a program of tests returns that need QEMU. */
#define run_tests_on_qemu(tests)                                                       \
	(is_qemu_missing() ? skip_all("QEMU is not installed; make check installs it") \
			   : cmocka_run_group_tests(tests, NULL, NULL))

#endif
