// SPDX-License-Identifier: BSD-2-Clause
/*
 * Serves a disk as a block device of the kernel's. A child lends the device to nbdkit, whose
 * standard input and output are one end of a connection; this process gives the other end to the
 * kernel, and stays in the call that serves it. When one of them ends, the others follow: a broken
 * connection ends the block device and nbdkit, and the end of nbdkit ends the loan.
 *
 * The child has its own process group, so that signals of a terminal reach only this process. It
 * first writes the kernel's cached data to the disk.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "lend/lend.h"
#include "modules.h"
#include "serve/serve.h"
#include "wait/service.h"
#include "state.h"

#define LOG_SUBJECT "serve"
#include "log.h"

#define QUEUES_DEFAULT 16
#define QUEUES_MAX     64
#define LOOK_MS        1000 /* how often it looks whether there is still a disk */

struct server {
	struct usrpci_host *host;
	const struct usrpci_serve_options *options;
	char device[USRPCI_ADDR_STRLEN];
	uint32_t nsid;
	sigset_t signals_before;
	int signals; /* signalfd */
	int over;    /* eventfd: signals need no handling any more */
	pid_t lender;
	int result; /* the result of the child that lends the device */
	int socket;
	struct block block;
	bool wanted; /* somebody has asked to end the service, and nothing keeps it */
	bool gone;   /* the disk was pulled out */
	bool ended;  /* nothing serves the block device any more; atomic */
};

static void mark_name(const char *device, char name[64])
{
	snprintf(name, 64, "served/%s", device);
}

/* The functions of the child. */

static int lend_to_nbdkit(struct server *server, int socket)
{
	const struct usrpci_serve_options *options = server->options;
	char device[32], namespace[32], queues[32], threads[32], rump[64];
	const char *const argv[] = {
		"nbdkit",
		"--single",
		threads,
		"usrpci-nvme",
		device,
		namespace,
		queues,
		options->poll ? "poll=on" : "poll=off",
		options->restart ? "restart=on" : "restart=off",
		options->rump ? rump : NULL,
		NULL,
	};
	const struct usrpci_lend_options lend = {
		.addrs = &options->addr,
		.count = 1,
		.bind = options->bind,
		.user = options->user,
		.way = USRPCI_LEND_BROKER,
		.argv = (char *const *)argv,
	};
	unsigned int count = options->queues ? options->queues : QUEUES_DEFAULT;

	snprintf(threads, sizeof(threads), "--threads=%u", count);
	snprintf(device, sizeof(device), "device=%s", server->device);
	snprintf(rump, sizeof(rump), "rump=%s", options->rump);
	snprintf(namespace, sizeof(namespace), "namespace=%u", server->nsid);
	snprintf(queues, sizeof(queues), "queues=%u", count);
	return lend_on(server->host, &lend, socket);
}

static _Noreturn void be_the_lender(struct server *server, int socket, int result)
{
	int status;

	close(server->socket);
	close(server->signals);
	setpgid(0, 0);
	sigprocmask(SIG_SETMASK, &server->signals_before, NULL);
	status = lend_to_nbdkit(server, socket);
	(void)!write(result, &status, sizeof(status));
	_exit(0);
}

static int start_lender(struct server *server)
{
	int connection[2], result[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, connection))
		return -errno;
	if (pipe2(result, O_CLOEXEC)) {
		close(connection[0]);
		close(connection[1]);
		return -errno;
	}
	server->socket = connection[0];
	server->result = result[0];
	fflush(NULL);
	server->lender = fork();
	if (server->lender == 0)
		be_the_lender(server, connection[1], result[1]);
	close(connection[1]);
	close(result[1]);
	return server->lender < 0 ? -EAGAIN : 0;
}

/*
 * The child has already reported its failures. If it was killed, the next command recovers the
 * device.
 */
static int await_lender(struct server *server)
{
	int status = 0;
	ssize_t got;

	do
		got = read(server->result, &status, sizeof(status));
	while (got < 0 && errno == EINTR);
	while (waitpid(server->lender, NULL, 0) < 0 && errno == EINTR)
		;
	if (got == sizeof(status))
		return status;
	log_error(server->host->ctx, server->device, NULL, "its broker was killed");
	return usrpci_host_recover(server->host) < 0 ? -EUCLEAN : -EIO;
}

/* The functions of this process. */

static void end(struct server *server)
{
	struct signalfd_siginfo info;
	int error;

	if (read(server->signals, &info, sizeof(info)) != sizeof(info) || server->wanted)
		return;
	server->wanted = true;
	error = block_detach(server->host, &server->block);
	server->wanted = !error;
	if (error == -EBUSY)
		log_warning(server->host->ctx, server->block.name,
			    "unmount it, then end this again",
			    "it is in use, so the server of %s goes on", server->device);
	else if (error && !__atomic_load_n(&server->ended, __ATOMIC_ACQUIRE))
		report(server->host->ctx, error, server->block.name, NULL,
		       "its data cannot be written to the disk, so the server of %s goes on",
		       server->device);
}

/* Nothing can be written to a disk that was pulled out, so nobody who uses it is waited for. */
static void end_when_gone(struct server *server)
{
	if (server->gone || file_exists(server->host->ctx, PCI_DEVICES "/%s", server->device))
		return;
	server->gone = true;
	log_error(server->host->ctx, server->device, NULL, "the disk is gone");
	block_cut(&server->block);
}

/* The second thread handles signals, because the first one is in the kernel. */
static void *serve_watch(void *data)
{
	struct server *server = data;
	const struct usrpci_serve_options *options = server->options;
	struct pollfd pollers[] = {
		{.fd = server->signals, .events = POLLIN},
		{.fd = server->over, .events = POLLIN},
	};

	block_settle(server->host, &server->block);
	if (options->ready)
		options->ready(options->data, server->block.name);
	for (;;) {
		int ready = poll(pollers, 2, LOOK_MS);

		if (ready == 0)
			end_when_gone(server);
		else if (ready > 0 && pollers[1].revents)
			return NULL;
		else if (ready > 0)
			end(server);
	}
}

/*
 * Makes a file that is locked while the service runs; a process that wants to end it finds it
 * there.
 */
static int leave_mark(struct server *server)
{
	char name[64], text[64];
	int fd, error, length;

	mark_name(server->device, name);
	error = state_hold(server->host, name, &fd);
	if (error)
		return error;
	length = snprintf(text, sizeof(text), "%d %s\n", getpid(), server->block.name);
	error = pwrite_exact(fd, text, (size_t)length, 0);
	return error ? error : fd;
}

static int run(struct server *server)
{
	pthread_t watcher;
	int error;

	server->over = eventfd(0, EFD_CLOEXEC);
	if (server->over < 0)
		return -errno;
	error = -pthread_create(&watcher, NULL, serve_watch, server);
	if (!error) {
		error = block_run(&server->block);
		__atomic_store_n(&server->ended, true, __ATOMIC_RELEASE);
		block_fail(&server->block); /* the watcher may wait for a request */
		while (eventfd_write(server->over, 1) && errno == EINTR)
			;
		pthread_join(watcher, NULL);
	}
	close(server->over);
	if (server->wanted)
		return 0;
	return report(server->host->ctx, error ? error : -EPIPE, server->block.name, NULL,
		      "the server of %s has ended", server->device);
}

static int serve(struct server *server, int *mark)
{
	struct nbd_export export;
	int error = nbd_handshake(server->socket, server->signals, &export);

	if (error == -EPROTO || error == -ETIMEDOUT)
		return report(server->host->ctx, error, server->device, NULL,
			      "its server does not say what it serves");
	if (error)
		return error;
	error = block_attach(server->host, &export, server->socket, &server->block);
	if (error)
		return error;
	*mark = leave_mark(server);
	return *mark < 0 ? *mark : run(server);
}

/* A signal that comes before the disk exists also ends the service. */
static int serve_until_the_end(struct server *server)
{
	int mark = -1, error, status;
	char name[64];

	error = start_lender(server) ?: serve(server, &mark);
	block_close(&server->block);
	if (server->socket >= 0)
		close(server->socket);
	status = server->lender > 0 ? await_lender(server) : 0;
	mark_name(server->device, name);
	state_let_go(server->host, name, mark, NULL);
	if (server->result >= 0)
		close(server->result);
	status = state_left(server->host) ?: status;
	if (status < 0)
		return status;
	if (error == -EINTR)
		return 0;
	return error == -EPIPE || (!error && status) ? -EIO : error;
}

static int find_namespace(struct server *server)
{
	const struct usrpci_serve_options *options = server->options;
	uint64_t nsid = options->nsid;

	if (!nsid && options->disk)
		file_read_u64(server->host->ctx, &nsid, "/sys/class/block/%.32s/nsid",
			      options->disk);
	server->nsid = nsid && nsid <= UINT32_MAX ? (uint32_t)nsid : 1;
	return options->queues <= QUEUES_MAX ? 0 : -EINVAL;
}

static int open_signals(struct server *server)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &server->signals_before);
	server->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return server->signals < 0 ? -errno : 0;
}

/* Signals that come after the end are dropped. */
static void close_signals(struct server *server)
{
	struct signalfd_siginfo info;

	while (read(server->signals, &info, sizeof(info)) > 0)
		;
	close(server->signals);
	sigprocmask(SIG_SETMASK, &server->signals_before, NULL);
}

int usrpci_host_serve(struct usrpci_host *host, const struct usrpci_serve_options *options)
{
	struct server server = {
		.host = host,
		.options = options,
		.socket = -1,
		.result = -1,
		.block.fd = -1,
	};
	int error;

	usrpci_addr_format(&options->addr, server.device);
	error = find_namespace(&server)
			?: module_load(host, "nbd", "the kernel's part of a network block device");
	if (error || host->options.dry_run)
		return error ? error : lend_to_nbdkit(&server, -1);
	error = open_signals(&server);
	if (error)
		return error;
	error = serve_until_the_end(&server);
	close_signals(&server);
	return error;
}

int serve_end(struct usrpci_host *host, const struct usrpci_addr *addr)
{
	char device[USRPCI_ADDR_STRLEN], mark[64], disk[NAME_SIZE];
	pid_t pid;

	mark_name(usrpci_addr_format(addr, device), mark);
	pid = service_find(host, mark, disk);
	if (!pid || host->options.dry_run)
		return 0;
	if (block_is_used(host, disk))
		return refuse(host->ctx, -EBUSY, device, "unmount it first",
			      "it is served as %s, which is in use", disk);
	return service_end(host, mark, device, pid);
}
