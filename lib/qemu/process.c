// SPDX-License-Identifier: BSD-2-Clause
/*
 * The QEMU process: its birth and its end.
 *
 * Everything it needs is passed as a descriptor, so no file and no socket has a name. It has no
 * firmware but a page of hlt: the processor sleeps, the clock runs, the devices live. It is killed
 * by the kernel as soon as the last copy of one end of a pipe is closed, so it cannot outlive the
 * program, however that ends (fcntl(2), F_SETSIG; PR_SET_PDEATHSIG would follow a thread instead).
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/qemu.h"

#define LOG_SUBJECT "qemu"
#include "log.h"

#define MONITOR_TIMEOUT 20  /* seconds; QEMU under valgrind and friends on a busy machine */
#define END_TIMEOUT     500 /* milliseconds to end by itself, after that it is killed */

#define BIOS_SIZE 65536

struct spawn {
	const struct qemu_model *model;
	int fds[QEMU_FD_COUNT];
	char **argv;
};

/*
 * Makes 64 KiB of firmware: at the reset vector hlt, and a jump back to it for when the processor
 * wakes.
 * Returns a descriptor, or -1 with errno set.
 */
static int create_bios(void)
{
	static const uint8_t reset_vector[16] = {0xf4, 0xeb, 0xfd};
	int fd = memfd_create("usrpci-bios", MFD_CLOEXEC);

	if (fd < 0 || (ftruncate(fd, BIOS_SIZE) == 0 &&
		       pwrite(fd, reset_vector, sizeof(reset_vector),
			      BIOS_SIZE - sizeof(reset_vector)) == sizeof(reset_vector)))
		return fd;
	close(fd);
	return -1;
}

/* The rest runs in the child, where only system calls are safe. */

static void keep_in_child(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

/* The kernel sends SIGKILL to this process when the pipe's last writer is gone. */
static bool tie_life(int fd)
{
	struct pollfd poller = {.fd = fd};

	if (fcntl(fd, F_SETSIG, SIGKILL) || fcntl(fd, F_SETOWN, getpid()) ||
	    fcntl(fd, F_SETFL, O_ASYNC))
		return false;
	/* The writer may have gone before the signal was armed. */
	return poll(&poller, 1, 0) == 0;
}

static void child(const struct spawn *spawn, int messages, int status)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), error;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* An interrupt from the terminal reaches the driver alone, which then ends QEMU. */
	setsid();
	for (unsigned int i = 0; i < QEMU_FD_COUNT; i++)
		keep_in_child(spawn->fds[i]);
	if (null >= 0 && dup2(null, 0) == 0 && dup2(messages, 1) == 1 && dup2(messages, 2) == 2 &&
	    tie_life(spawn->fds[QEMU_FD_LIFE]))
		execvp(spawn->argv[0], spawn->argv);
	error = errno;
	if (write(status, &error, sizeof(error)) != sizeof(error))
		_exit(126);
	_exit(127);
}

/* The program may have closed descriptors 0 to 2, which are QEMU's standard ones. */
int qemu_above_stdio(int fd)
{
	int copy, error;

	if (fd < 0)
		return -errno;
	if (fd > STDERR_FILENO)
		return fd;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	error = -errno;
	close(fd);
	return copy < 0 ? error : copy;
}

static int pair(bool socket, int *ours, int *theirs)
{
	int ends[2];

	if (socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
		   : pipe2(ends, O_CLOEXEC))
		return -errno;
	*theirs = qemu_above_stdio(ends[0]);
	*ours = qemu_above_stdio(ends[1]);
	return *theirs < 0 ? *theirs : *ours < 0 ? *ours : 0;
}

static int make_descriptors(struct spawn *spawn, struct qemu_process *process, int *monitor)
{
	int error = pair(true, &process->qtest, &spawn->fds[QEMU_FD_QTEST]) ?:
		    pair(true, monitor, &spawn->fds[QEMU_FD_MONITOR]) ?:
		    pair(true, &process->doorbell, &spawn->fds[QEMU_FD_DOORBELL]) ?:
		    pair(false, &process->life, &spawn->fds[QEMU_FD_LIFE]);

	if (error)
		return error;
	process->messages = qemu_above_stdio(memfd_create("usrpci-messages", MFD_CLOEXEC));
	spawn->fds[QEMU_FD_BIOS] = qemu_above_stdio(create_bios());
	if (process->messages < 0)
		return process->messages;
	return spawn->fds[QEMU_FD_BIOS] < 0 ? spawn->fds[QEMU_FD_BIOS] : 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Waits until the child runs QEMU, which closes the pipe, or has written why it cannot. */
static int await_exec(const struct spawn *spawn, int status)
{
	struct pollfd poller = {.fd = status, .events = POLLIN};
	int error = 0;
	ssize_t got;

	/* Another thread may just have forked a child that holds the pipe open too. */
	if (poll(&poller, 1, MONITOR_TIMEOUT * 1000) == 0)
		return 0;
	do {
		got = read(status, &error, sizeof(error));
	} while (got < 0 && errno == EINTR);
	if (got == 0)
		return 0;
	if (got != sizeof(error) || error == 0)
		error = EIO;
	/* execvp(3) fails with EACCES when it cannot search one directory of PATH. */
	if (error == EACCES && !strchr(spawn->argv[0], '/'))
		error = ENOENT;
	return report(spawn->model->ctx, -error, spawn->model->object,
		      error == ENOENT ? "apt-get install qemu-system-x86, or set USRPCI_QEMU to "
					"the path of qemu-system-x86_64"
				      : NULL,
		      "cannot run %s", spawn->argv[0]);
}

static int run(const struct spawn *spawn, struct qemu_process *process)
{
	int status = -1, report_end = -1;
	int error = pair(false, &report_end, &status);

	if (!error) {
		process->pid = fork();
		error = process->pid < 0 ? -errno : 0;
	}
	if (process->pid == 0)
		child(spawn, process->messages, report_end);
	close_fd(&report_end);
	if (error)
		report(spawn->model->ctx, error, spawn->model->object, NULL,
		       "cannot make a process");
	else
		error = await_exec(spawn, status);
	close_fd(&status);
	return error;
}

static int open_monitor(struct qemu_process *process, int *fd)
{
	struct timeval timeout = {.tv_sec = MONITOR_TIMEOUT};

	if (setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		return -errno;
	process->monitor = fdopen(*fd, "r");
	if (!process->monitor)
		return -errno;
	*fd = -1; /* belongs to the stream */
	return 0;
}

void qemu_message(const struct qemu_process *process, char *text, size_t size)
{
	char buffer[2048], *rest = buffer, *line;
	ssize_t got = pread(process->messages, buffer, sizeof(buffer) - 1, 0);

	buffer[got > 0 ? got : 0] = '\0';
	do {
		line = strsep(&rest, "\n");
	} while (rest && (strstr(line, " warning: ") || strstr(line, " info: ")));
	snprintf(text, size, "%s", line);
}

static void reap(struct qemu_process *process)
{
	while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
		;
	process->pid = -1;
}

/* "qemu-system-x86_64: -device e1000,foo=1,...: Property 'e1000.foo' not found" */
static int explain_end(const struct spawn *spawn, const char *complaint)
{
	const struct qemu_model *model = spawn->model;
	char *device = qemu_device_option(0, model->words.we_wordv[0]);
	const char *reason = device ? strstr(complaint, device) : NULL;
	const char *hint = secure_getenv("USRPCI_QEMU_ARGS") ? "see USRPCI_QEMU_ARGS" : NULL;

	if (reason)
		reason += strlen(device);
	free(device);
	if (reason && !strncmp(reason, ": ", 2))
		return qemu_model_refused(model->ctx, model->object, reason + 2);
	if (model->words.we_wordc > 1)
		hint = "what follows the model in the device's name are arguments for QEMU";
	return refuse(model->ctx, -EINVAL, model->object, hint, "%s did not start: %s",
		      spawn->argv[0], *complaint ? complaint : "it gave no reason");
}

/* Waits until the machine runs. QEMU ends before that if it refuses its arguments. */
static int greet(const struct spawn *spawn, struct qemu_process *process)
{
	static const char command[] = "{\"execute\": \"qmp_capabilities\"}\n";
	char *reply = NULL, text[2048];
	int error = qemu_monitor_execute(process->monitor, command, sizeof(command) - 1, &reply);

	free(reply);
	if (!error) {
		log_debug(spawn->model->ctx, spawn->model->object, "%s runs as process %d",
			  spawn->argv[0], process->pid);
		return 0;
	}
	if (error != -ENODEV)
		return report(spawn->model->ctx, error, spawn->model->object,
			      error == -ETIMEDOUT
				      ? "it may wait for the other end of a -chardev or -netdev, "
					"as ivshmem-doorbell does for its server"
				      : NULL,
			      "%s does not answer after its start", spawn->argv[0]);
	reap(process);
	qemu_message(process, text, sizeof(text));
	return explain_end(spawn, text);
}

static int start(struct spawn *spawn, struct qemu_process *process, size_t ram_size, int *monitor)
{
	int error = make_descriptors(spawn, process, monitor);

	if (error)
		return report(spawn->model->ctx, error, spawn->model->object, NULL,
			      "cannot prepare to run QEMU");
	return qemu_arguments(spawn->model, spawn->fds, ram_size, &spawn->argv) ?:
	       open_monitor(process, monitor) ?:
	       run(spawn, process);
}

int qemu_process_spawn(const struct qemu_model *model, int ram, size_t ram_size,
		       struct qemu_process *process)
{
	struct spawn spawn = {
		.model = model,
		.fds = {ram, -1, -1, -1, -1, -1},
	};
	int monitor = -1, error;

	*process = QEMU_NO_PROCESS;
	error = start(&spawn, process, ram_size, &monitor);
	for (unsigned int i = QEMU_FD_RAM + 1; i < QEMU_FD_COUNT; i++)
		close_fd(&spawn.fds[i]);
	close_fd(&monitor);
	if (!error)
		error = greet(&spawn, process);
	qemu_arguments_free(spawn.argv);
	if (error)
		qemu_process_end(process);
	return error;
}

/* Asks QEMU to end, so that it can write to its disks; kills it if it does not answer. */
static void end(struct qemu_process *process)
{
	static const char command[] = "{\"execute\": \"quit\"}\n";
	struct pollfd hangup = {.fd = process->monitor ? fileno(process->monitor) : -1};

	if (!process->monitor ||
	    send(hangup.fd, command, sizeof(command) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
	    poll(&hangup, 1, END_TIMEOUT) != 1)
		kill(process->pid, SIGKILL);
	reap(process);
}

void qemu_process_end(struct qemu_process *process)
{
	if (process->pid > 0)
		end(process);
	if (process->monitor)
		fclose(process->monitor);
	close_fd(&process->life);
	close_fd(&process->messages);
	close_fd(&process->qtest);
	close_fd(&process->doorbell);
	*process = QEMU_NO_PROCESS;
}
