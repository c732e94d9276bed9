/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The QEMU process, its command line and its monitor. This part knows nothing about the machine
 * inside.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <wordexp.h>

struct usrpci_ctx;

/* The process as others see it: descriptors to talk to it, and to end it. */
struct qemu_process {
	pid_t pid;
	int life;      /* a pipe's end: QEMU is killed when its last copy is closed */
	int messages;  /* a file that QEMU's stdout and stderr write to */
	FILE *monitor; /* QMP */
	int qtest;
	int doorbell; /* speaks as ivshmem's server */
};

#define QEMU_NO_PROCESS \
	((struct qemu_process){.pid = -1, .life = -1, .messages = -1, .qtest = -1, .doorbell = -1})

/* What QEMU inherits, at the same numbers. */
enum qemu_inherited {
	QEMU_FD_RAM,
	QEMU_FD_BIOS,
	QEMU_FD_QTEST,
	QEMU_FD_MONITOR,
	QEMU_FD_DOORBELL,
	QEMU_FD_LIFE,
	QEMU_FD_COUNT,
};

/* The parsed name of a device. */
struct qemu_model {
	struct usrpci_ctx *ctx;
	const char *object; /* for messages */
	const char *text;   /* all of it, without "qemu:" */
	wordexp_t words;    /* "MODEL,property=value", then arguments for QEMU */
};

/* Splits text into words as a shell does, without running commands. Logs failures. */
int qemu_words(struct usrpci_ctx *ctx, const char *object, const char *text, wordexp_t *words);

/* Understands text, which with object outlives the model. Logs failures. */
int qemu_model_parse(struct usrpci_ctx *ctx, const char *object, const char *text,
		     struct qemu_model *model);
void qemu_model_free(struct qemu_model *model);

/*
 * Makes the argument of -device and device_add for a device in a slot: "edu" becomes
 * "edu,romfile=,id=slot0,bus=port0". The caller frees it; NULL: there is no memory.
 */
char *qemu_device_option(unsigned int slot, const char *what);

/* Logs why QEMU refuses a device, from what QEMU said, and returns the errno for it. */
int qemu_model_refused(struct usrpci_ctx *ctx, const char *object, const char *reason);

/*
 * Makes the command line, beginning with the program's name, for descriptors by enum
 * qemu_inherited, with the model in slot 0. It is freed with qemu_arguments_free(), which takes
 * NULL. Logs failures.
 */
int qemu_arguments(const struct qemu_model *model, const int *fds, size_t ram_size, char ***list);
void qemu_arguments_free(char **list);

/* Starts QEMU with the model in slot 0 and waits until its machine runs. Logs failures. */
int qemu_process_spawn(const struct qemu_model *model, int ram, size_t ram_size,
		       struct qemu_process *process);
void qemu_process_end(struct qemu_process *process);

/*
 * Copies the first line that QEMU wrote to stderr and that is a complaint, no warning; "" if there
 * is none.
 */
void qemu_message(const struct qemu_process *process, char *text, size_t size);

/*
 * Returns a descriptor that QEMU can inherit: fd, or a copy of it above standard error that takes
 * its place. For fd -1 returns -errno.
 */
int qemu_above_stdio(int fd);

/* Sends a QMP command. The reply is one line, which the caller frees. Errors: as qemu_monitor(). */
int qemu_monitor_execute(FILE *monitor, const char *command, size_t length, char **reply);

/*
 * Runs a command of the human monitor. Copies the line "Error: ..." that QEMU printed to reply, or
 * else the first line; it is "" where a command says nothing when it succeeds. Errors: -ENODEV
 * (QEMU is gone); -ETIMEDOUT; -ENOMEM; -E2BIG; -EINVAL (control characters in the command).
 */
int qemu_monitor(FILE *monitor, const char *command, char *reply, size_t size);
