// SPDX-License-Identifier: BSD-2-Clause
/*
 * Three processes. The first talks to the clients and makes requests; the third drives the disk and
 * answers them; the second has only one thread, and starts the third again when it ends. Requests
 * are in shared memory. A new driver begins with the requests that are not done, so none is lost;
 * at worst the disk does a request twice.
 *
 * The next driver is started while the present one works, because to start a process takes longer
 * than to open the disk. It waits until the keeper orders it to open the disk. Where the kernel
 * resets a device whenever a process opens it, the keeper has it open, and drivers inherit it.
 *
 * The driver always ends when the first process ends, because it reads from a pipe whose other end
 * only the first process has.
 */

#define NBDKIT_API_VERSION 2

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <nbdkit-plugin.h>

#include "keeper.h"

#define SLOT_SIZE    (256u << 10) /* data of a request, at most */
#define TRIES_MAX    20           /* how many drivers in a row may end without doing anything */
#define PAUSE_MAX_MS 500
#define LOOK_MS      1000 /* how often a waiting thread checks that there is still a keeper */
#define SETTLE_MS    100  /* a driver works so long before the next one is started */

#define EXIT_GONE 3 /* exit status of the driver: the disk is gone */

enum slot_state { SLOT_IDLE, SLOT_ASKED, SLOT_DONE };

struct slot {
	uint32_t state; /* enum slot_state, and the futex that a waiting thread sleeps on */
	struct disk_request request;
};

struct shared {
	uint32_t ready;  /* the disk was opened once; the process that starts the keeper waits */
	uint32_t failed; /* no driver will come any more */
	int error;       /* why the first one could not open the disk */
	uint32_t open;   /* the current driver has the disk open */
	uint32_t done;   /* how many requests all drivers have done */
	struct disk_about about;
	struct slot slots[DISK_LANES_MAX];
};

struct keeper {
	const struct disk_options *options;
	struct disk_about about; /* what the first driver found; later drivers cannot change it */
	struct shared *shared;
	struct disk *held; /* the disk that drivers inherit; NULL: each prepares it for itself */
	uint8_t *data;     /* SLOT_SIZE for each slot, behind what is shared */
	size_t size;
	pid_t pid; /* the second process */
	int lives; /* the end of the pipe that the first process keeps open */
	int waits; /* the other end, which the driver reads */
};

/* A driver, which first waits for an order. */
struct driver {
	pid_t pid; /* -1: it could not be started */
	int link;  /* a socket: a byte is the order; each end notices when the other process ends */
};

/* Held for writing when the driver ends. */
static pthread_rwlock_t in_use = PTHREAD_RWLOCK_INITIALIZER;

/* The disk is open, so that the driver's threads can begin. */
static uint32_t is_open;

/* One of the driver's threads. */
struct worker {
	pthread_t thread;
	struct keeper *keeper;
	struct disk *disk;
	unsigned int lane;
};

static void sleep_on(uint32_t *word, uint32_t value, unsigned int ms)
{
	const struct timespec limit = {ms / 1000, ms % 1000 * 1000000L};

	syscall(SYS_futex, word, FUTEX_WAIT, value, ms ? &limit : NULL, NULL, 0);
}

static void wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	wake(word);
}

/* The third process. */

static void *work(void *data)
{
	struct worker *worker = data;
	struct shared *shared = worker->keeper->shared;
	struct slot *slot = &shared->slots[worker->lane];
	uint8_t *memory = worker->keeper->data + (size_t)worker->lane * SLOT_SIZE;

	while (!load(&is_open))
		sleep_on(&is_open, false, 0);
	for (;;) {
		uint32_t state = load(&slot->state);

		if (state != SLOT_ASKED) {
			sleep_on(&slot->state, state, 0);
			continue;
		}
		pthread_rwlock_rdlock(&in_use);
		disk_do(worker->disk, worker->lane, &slot->request, memory);
		pthread_rwlock_unlock(&in_use);
		__atomic_fetch_add(&shared->done, 1, __ATOMIC_RELAXED);
		store(&slot->state, SLOT_DONE);
	}
	return NULL;
}

static bool is_same(const struct disk_about *old, const struct disk_about *new)
{
	return old->ns.blocks == new->ns.blocks && old->ns.block_size == new->ns.block_size &&
	       old->ns.read_only == new->ns.read_only && old->features == new->features &&
	       old->buffer == new->buffer && old->lanes <= new->lanes;
}

/* If the disk was replaced by another one, it must not get the old requests. */
static int introduce(struct keeper *keeper, const struct disk *disk)
{
	struct shared *shared = keeper->shared;
	const struct disk_about *about = disk_about(disk);

	if (!load(&shared->ready))
		shared->about = *about;
	else if (!is_same(&shared->about, about))
		return -ENODEV;
	store(&shared->open, true);
	store(&shared->ready, true);
	return 0;
}

/* The disk can turn out to have fewer lanes; then some threads never have anything to do. */
static int start_workers(struct keeper *keeper, struct disk *disk)
{
	static struct worker workers[DISK_LANES_MAX];
	int error = 0;

	for (unsigned int i = 0; i < keeper->options->lanes && !error; i++) {
		workers[i] = (struct worker){.keeper = keeper, .disk = disk, .lane = i};
		error = -pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	return error;
}

/* Does not return. Begins no request after the first process has ended or asks for the end. */
static void drive(struct keeper *keeper, struct disk *disk, int error)
{
	char none;

	error = error ?: disk_open(disk) ?: introduce(keeper, disk);
	if (error) {
		keeper->shared->error = error;
		_exit(error == -ENODEV ? EXIT_GONE : EXIT_FAILURE);
	}
	store(&is_open, true);
	while (read(keeper->waits, &none, 1) < 0 && errno == EINTR)
		;
	pthread_rwlock_wrlock(&in_use);
	disk_close(disk);
	_exit(EXIT_SUCCESS);
}

/* Does not return. Prepares everything, and waits for the order. */
static void stand_by(struct keeper *keeper, int link)
{
	struct disk *disk = keeper->held;
	int error = disk ? 0 : disk_prepare(keeper->options, &disk);
	ssize_t got;
	char order;

	error = error ?: start_workers(keeper, disk);
	do
		got = read(link, &order, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(EXIT_SUCCESS);
	prctl(PR_SET_NAME, "nvme-driver");
	drive(keeper, disk, error);
}

/* The second process. */

static bool is_wanted(const struct keeper *keeper)
{
	struct pollfd pipe = {.fd = keeper->waits};

	return poll(&pipe, 1, 0) == 0;
}

static bool is_asked(const struct keeper *keeper)
{
	for (unsigned int i = 0; i < keeper->shared->about.lanes; i++)
		if (load(&keeper->shared->slots[i].state) == SLOT_ASKED)
			return true;
	return false;
}

/* Several threads may notice it; only the first one says why. */
static void give_up(struct keeper *keeper, const char *why)
{
	struct shared *shared = keeper->shared;

	if (!__atomic_exchange_n(&shared->failed, true, __ATOMIC_ACQ_REL) && load(&shared->ready))
		nbdkit_error("%.31s: its driver does not start again: %s", shared->about.name, why);
	wake(&shared->ready);
	for (unsigned int i = 0; i < DISK_LANES_MAX; i++)
		wake(&shared->slots[i].state);
}

static struct driver start_driver(struct keeper *keeper)
{
	struct driver driver = {.pid = -1};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return driver;
	driver.pid = fork();
	if (driver.pid == 0) {
		close(ends[0]);
		prctl(PR_SET_NAME, "nvme-spare");
		stand_by(keeper, ends[1]);
	}
	close(ends[1]);
	driver.link = ends[0];
	if (driver.pid < 0)
		close(driver.link);
	return driver;
}

static void complain(const struct keeper *keeper, int status)
{
	if (WIFSIGNALED(status))
		nbdkit_error("%.31s: signal %d has ended its driver, which starts again",
			     keeper->shared->about.name, WTERMSIG(status));
}

/*
 * Runs a driver until it has ended, and starts the next one meanwhile. A message about the last one
 * costs time, so it comes when nobody waits for the disk.
 */
static int run_driver(struct keeper *keeper, struct driver *next, int last_status)
{
	const struct driver driver = *next;
	struct pollfd link = {.fd = driver.link};
	int status = 0;

	if (driver.pid > 0 && send(driver.link, "", 1, MSG_NOSIGNAL) == 1)
		poll(&link, 1, SETTLE_MS);
	complain(keeper, last_status);
	*next = start_driver(keeper);
	if (driver.pid < 0)
		return 0;
	while (waitpid(driver.pid, &status, 0) < 0 && errno == EINTR)
		;
	close(driver.link);
	return status;
}

/* The kernel resets a disk that is closed and opened again, which helps where a driver did not. */
static void hold_again(struct keeper *keeper, struct driver *next)
{
	if (next->pid > 0) {
		close(next->link);
		while (waitpid(next->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	disk_close(keeper->held);
	keeper->shared->error = disk_hold(keeper->options, &keeper->held);
	*next = start_driver(keeper);
}

/*
 * Does not return. A driver that is killed while there are no requests does not count as a failure.
 */
static void keep(struct keeper *keeper)
{
	struct shared *shared = keeper->shared;
	struct driver next = start_driver(keeper);
	const char *why = "it ends again and again";
	int status = 0;

	for (unsigned int tries = 0; tries < TRIES_MAX; tries++) {
		uint32_t done = load(&shared->done);
		unsigned int pause = tries > 1 ? 4u << tries : 0;

		if (pause > 0)
			poll(NULL, 0, pause < PAUSE_MAX_MS ? (int)pause : PAUSE_MAX_MS);
		if (pause > 0 && keeper->held)
			hold_again(keeper, &next);
		store(&shared->open, false);
		status = run_driver(keeper, &next, status);
		if (!is_wanted(keeper))
			_exit(EXIT_SUCCESS);
		if (!load(&shared->ready))
			break;
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_GONE) {
			why = "the disk is gone";
			break;
		}
		if (load(&shared->done) != done || (load(&shared->open) && !is_asked(keeper)))
			tries = 0;
	}
	give_up(keeper, why);
	_exit(EXIT_FAILURE);
}

/* Signals of a terminal must reach only the first process; the other two end after it. */
static void start_second(struct keeper *keeper)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

	for (unsigned int i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	close(keeper->lives);
	prctl(PR_SET_NAME, "nvme-keeper");
	keeper->shared->error = disk_hold(keeper->options, &keeper->held);
	if (keeper->shared->error)
		_exit(EXIT_FAILURE);
	keep(keeper);
}

/* The first process. */

/* Returns whether no driver will ever answer again. */
static bool is_lost(struct keeper *keeper)
{
	if (!load(&keeper->shared->failed) && waitpid(keeper->pid, NULL, WNOHANG) != 0)
		give_up(keeper, "its keeper has ended");
	return load(&keeper->shared->failed);
}

static int await_disk(struct keeper *keeper)
{
	struct shared *shared = keeper->shared;

	while (!load(&shared->ready)) {
		if (is_lost(keeper))
			return shared->error ? shared->error : -EIO;
		sleep_on(&shared->ready, false, LOOK_MS);
	}
	keeper->about = shared->about;
	keeper->about.name[sizeof(keeper->about.name) - 1] = '\0';
	if (keeper->about.lanes > DISK_LANES_MAX || keeper->about.buffer > SLOT_SIZE)
		return -EPROTO;
	return 0;
}

static int start(struct keeper *keeper)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t head = (sizeof(*keeper->shared) + page - 1) & ~(page - 1);
	int ends[2];

	keeper->size = head + (size_t)DISK_LANES_MAX * SLOT_SIZE;
	keeper->shared = mmap(NULL, keeper->size, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (keeper->shared == MAP_FAILED || pipe2(ends, O_CLOEXEC))
		return -errno;
	keeper->data = (uint8_t *)keeper->shared + head;
	keeper->waits = ends[0];
	keeper->lives = ends[1];
	keeper->pid = fork();
	if (keeper->pid == 0)
		start_second(keeper);
	close(keeper->waits);
	return keeper->pid < 0 ? -EAGAIN : await_disk(keeper);
}

int keeper_start(const struct disk_options *options, struct keeper **result)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int error;

	if (!keeper)
		return -ENOMEM;
	keeper->options = options;
	error = start(keeper);
	if (error)
		keeper_stop(keeper);
	else
		*result = keeper;
	return error;
}

void keeper_stop(struct keeper *keeper)
{
	if (!keeper)
		return;
	if (keeper->pid > 0) {
		close(keeper->lives);
		waitpid(keeper->pid, NULL, 0);
	}
	if (keeper->shared != MAP_FAILED)
		munmap(keeper->shared, keeper->size);
	free(keeper);
}

const struct disk_about *keeper_about(const struct keeper *keeper)
{
	return &keeper->about;
}

static int await(struct keeper *keeper, struct slot *slot)
{
	while (load(&slot->state) == SLOT_ASKED) {
		if (is_lost(keeper))
			return -EIO;
		sleep_on(&slot->state, SLOT_ASKED, LOOK_MS);
	}
	return slot->request.error > 0 ? -EIO : slot->request.error;
}

void keeper_do(struct keeper *keeper, unsigned int lane, struct disk_request *request, void *data)
{
	struct slot *slot = &keeper->shared->slots[lane];
	uint8_t *memory = keeper->data + (size_t)lane * SLOT_SIZE;
	size_t size = (size_t)request->blocks << keeper->about.ns.block_shift;

	slot->request = *request;
	if (request->op == USRPCI_NVME_OP_WRITE)
		memcpy(memory, data, size);
	store(&slot->state, SLOT_ASKED);
	request->error = await(keeper, slot);
	request->status = slot->request.status;
	if (request->op == USRPCI_NVME_OP_READ && !request->error)
		memcpy(data, memory, size);
}
