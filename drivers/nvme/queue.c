// SPDX-License-Identifier: BSD-2-Clause
/*
 * Queues for I/O: making them, waiting, deadlines, and setting them up again after the controller
 * was reset. Follows [NVMe] 5.1, 5.3 to 5.6 and 7.6.1.
 *
 * A queue has an interrupt vector of its own where there are enough. Where queues share a vector,
 * as with INTx, the queue that takes the interrupt tells the others through their eventfds, and the
 * first queue that has nothing left to reap arms it again.
 */

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "deadline.h"
#include "nvme_private.h"

#define DEPTH_DEFAULT 128
#define ABORT_MS      1000
#define IDLE_MS       1000
#define STRIKES_MAX   3
#ifndef LOOKS_MAX
#define LOOKS_MAX (1u << 18) /* how often a queue without an interrupt looks without a pause */
#endif
#define LOOKS_A_YIELD 64
#define POLL_US       5 /* pause afterwards */

/* Executes an admin command without data. The lock is held. */
static int order(struct usrpci_nvme *nvme, uint8_t opcode, uint64_t prp1, uint32_t cdw10,
		 uint32_t cdw11)
{
	struct nvme_command command = {
		.cdw0 = usrpci_le32(opcode),
		.prp1 = usrpci_le64(prp1),
		.cdw10 = usrpci_le32(cdw10),
		.cdw11 = usrpci_le32(cdw11),
	};
	unsigned int timeout = opcode == ADMIN_ABORT ? ABORT_MS : nvme->options.timeout_ms;

	return nvme_admin_try(nvme, &command, timeout, NULL);
}

/* The lock is held. */
static int create_rings(struct usrpci_nvme_queue *queue)
{
	const struct nvme_ring *ring = &queue->ring;
	uint64_t cq = ring->block.addr + (uint64_t)((uintptr_t)ring->cq - (uintptr_t)ring->sq);
	uint32_t size = (ring->entries - 1) << 16 | ring->qid;
	uint32_t interrupt = (queue->irq ? QUEUE_INTERRUPT : 0) | queue->vector << 16;
	int status;

	nvme_ring_clear(&queue->ring);
	status = order(queue->nvme, ADMIN_CREATE_CQ, cq, size, QUEUE_CONTIGUOUS | interrupt);
	if (!status)
		status = order(queue->nvme, ADMIN_CREATE_SQ, ring->block.addr, size,
			       QUEUE_CONTIGUOUS | ring->qid << 16);
	return status <= 0 ? status : -EIO;
}

/*
 * A controller that does not delete them is reset, or forbidden to access memory. The caller holds
 * the lock.
 */
static void delete_rings(struct usrpci_nvme_queue *queue)
{
	static const uint8_t opcodes[] = {ADMIN_DELETE_SQ, ADMIN_DELETE_CQ};
	struct usrpci_nvme *nvme = queue->nvme;
	int status = queue->generation == nvme->generation ? 0 : -ECANCELED;

	for (unsigned int i = 0; i < 2 && !status && !nvme->error; i++) {
		status = order(nvme, opcodes[i], 0, queue->ring.qid, 0);
		if (status > 0)
			nvme_reset(nvme);
	}
}

/* Submits the commands under way again, but gives up those that have seen too many resets. */
static void repeat(struct usrpci_nvme_queue *queue)
{
	bool any = false;

	for (unsigned int i = 0; i < queue->depth; i++) {
		struct nvme_slot *slot = &queue->slots[i];

		if (slot->cid & SLOT_IDLE)
			continue;
		slot->strikes += slot->aborted ? 2 : 1;
		slot->aborted = false;
		slot->tick = queue->tick;
		slot->cid = (uint16_t)(slot->cid + (1 << NVME_SLOT_BITS));
		if (queue->error || slot->strikes > STRIKES_MAX) {
			slot->error = queue->error ? queue->error : -ETIMEDOUT;
			slot->cid |= SLOT_IDLE;
			queue->ended++;
			queue->calls_left = 1;
		} else {
			nvme_queue_put(queue, i);
			any = true;
		}
	}
	if (any)
		usrpci_write32(&queue->nvme->bar, queue->ring.sq_doorbell, queue->ring.tail);
}

/*
 * Tries again when creating the rings led to a reset, as it does when somebody else resets the
 * controller meanwhile. The lock is held.
 */
static int set_up(struct usrpci_nvme_queue *queue)
{
	struct usrpci_nvme *nvme = queue->nvme;
	unsigned int tries = 0;
	int error;

	do {
		queue->generation = nvme->generation;
		error = nvme->error ?: create_rings(queue);
	} while (queue->generation != nvme->generation && ++tries <= STRIKES_MAX);
	return error;
}

int nvme_queue_attend(struct usrpci_nvme_queue *queue)
{
	struct usrpci_nvme *nvme = queue->nvme;
	int error;

	if (queue->error)
		return queue->error;
	pthread_mutex_lock(&nvme->lock);
	error = set_up(queue);
	if (error)
		nvme_give_up(nvme, -ENOTRECOVERABLE);
	queue->error = nvme->error;
	queue->generation = nvme->generation - (queue->error ? 1 : 0);
	pthread_mutex_unlock(&nvme->lock);
	repeat(queue);
	return queue->error;
}

/* Gives up a controller that is gone, and resets any other unless that was done meanwhile. */
static void recover(struct usrpci_nvme_queue *queue, int error)
{
	struct usrpci_nvme *nvme = queue->nvme;

	pthread_mutex_lock(&nvme->lock);
	if (error == -ENODEV)
		nvme_give_up(nvme, error);
	else if (queue->generation == nvme->generation)
		nvme_reset(nvme);
	pthread_mutex_unlock(&nvme->lock);
}

static void abort_command(struct usrpci_nvme_queue *queue, struct nvme_slot *slot)
{
	struct usrpci_nvme *nvme = queue->nvme;

	slot->aborted = true;
	slot->tick = queue->tick;
	__atomic_fetch_add(&nvme->stats.aborts, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&nvme->lock);
	if (queue->generation == nvme->generation)
		order(nvme, ADMIN_ABORT, 0, queue->ring.qid | (uint32_t)slot->cid << 16, 0);
	pthread_mutex_unlock(&nvme->lock);
}

/*
 * Aborts late commands. If one is not back after another quarter of its time, resets the
 * controller.
 */
static void look_at_deadlines(struct usrpci_nvme_queue *queue)
{
	struct usrpci_nvme *nvme = queue->nvme;

	for (unsigned int i = 0; i < queue->depth; i++) {
		struct nvme_slot *slot = &queue->slots[i];
		uint32_t age = queue->tick - slot->tick;

		if (slot->cid & SLOT_IDLE)
			continue;
		if (slot->aborted && age > nvme->late / 4 + 1)
			recover(queue, -ETIMEDOUT);
		else if (!slot->aborted && age > nvme->late)
			abort_command(queue, slot);
		if (!nvme_queue_is_current(queue))
			return;
	}
}

void nvme_queue_tick(struct usrpci_nvme_queue *queue)
{
	uint64_t now = now_us();
	int error;

	if (now < queue->next_tick)
		return;
	queue->next_tick = now + queue->nvme->tick_us;
	queue->tick++;
	if (queue->error)
		return;
	error = nvme_check_alive(queue->nvme);
	if (error)
		recover(queue, error);
	else if (usrpci_nvme_queue_used(queue) > 0 && !nvme_ring_has(&queue->ring))
		look_at_deadlines(queue);
	nvme_look_at_request(queue->nvme);
}

void nvme_queue_arm(struct usrpci_nvme_queue *queue)
{
	struct usrpci_nvme *nvme = queue->nvme;

	if (__atomic_load_n(&nvme->irq_taken, __ATOMIC_ACQUIRE) &&
	    __atomic_exchange_n(&nvme->irq_taken, false, __ATOMIC_ACQ_REL))
		usrpci_irq_done(nvme->dev, nvme->irq, queue->vector);
}

/*
 * The queue that reads the interrupt tells the others. One that is alone reads it only at a tick,
 * so that a trace says how many came. Completions of the admin queue also keep INTx raised.
 */
static void take_shared(struct usrpci_nvme_queue *queue, bool tick)
{
	struct usrpci_nvme *nvme = queue->nvme;
	bool taken;

	pthread_mutex_lock(&nvme->irq_lock);
	taken = (!tick && nvme->queues == queue && !queue->next) ||
		usrpci_irq_wait(nvme->dev, nvme->irq, queue->vector, 0) > 0;
	if (taken) {
		__atomic_store_n(&nvme->irq_taken, true, __ATOMIC_RELEASE);
		nvme_kick(nvme, queue);
	}
	pthread_mutex_unlock(&nvme->irq_lock);
	if (taken && pthread_mutex_trylock(&nvme->lock) == 0) {
		if (!nvme->error)
			nvme_admin_poll(nvme);
		pthread_mutex_unlock(&nvme->lock);
	}
}

/*
 * Polls while commands are under way: a sleep takes longer than most of them. Other threads that
 * want the processor get it. The clock is not read: that takes as long as many looks.
 */
static bool spin(const struct usrpci_nvme_queue *queue)
{
	unsigned int looks = usrpci_nvme_queue_used(queue) > 0 ? LOOKS_MAX : 0;

	while (looks-- > 0) {
		if (nvme_ring_has(&queue->ring))
			return true;
		if (looks % LOOKS_A_YIELD == 0)
			sched_yield();
	}
	return false;
}

/*
 * One system call, because each interrupt makes its descriptor ready again although nobody has read
 * the last one. It is read when nothing came for a while, so that a trace says how many came.
 */
static int sleep_until_irq(struct usrpci_nvme_queue *queue, int timeout_ms)
{
	struct epoll_event event = {
		.data.fd = queue->timer}; /* the end of the time is a tick too */
	bool tick;

	if (queue->shared)
		nvme_queue_arm(queue);
	if (epoll_wait(queue->poll, &event, 1, timeout_ms) < 0)
		return -errno;
	tick = event.data.fd == queue->timer;
	if (tick)
		queue->timer_runs = false;
	if (queue->shared)
		take_shared(queue, tick);
	else if (tick)
		usrpci_irq_wait(queue->nvme->dev, queue->nvme->irq, queue->vector, 0);
	return 0;
}

/*
 * Sleeps until an interrupt comes or the time is over. Without an interrupt it polls for a moment.
 */
static int rest(struct usrpci_nvme_queue *queue, int timeout_ms)
{
	if (queue->irq)
		return sleep_until_irq(queue, timeout_ms);
	if (timeout_ms != 0 && !spin(queue))
		nap_us(POLL_US);
	return 0;
}

/* Starts the timer for the next tick. It then runs while many commands come and go. */
static bool start_timer(struct usrpci_nvme_queue *queue)
{
	struct itimerspec tick = {.it_value.tv_nsec = queue->nvme->tick_us * 1000};

	if (!queue->timer_runs)
		queue->timer_runs = timerfd_settime(queue->timer, 0, &tick, NULL) == 0;
	return queue->timer_runs;
}

/* Returns how long it may sleep before it must check the deadlines and the device again. */
static int choose_rest(struct usrpci_nvme_queue *queue, int timeout_ms, deadline_t deadline)
{
	bool busy = usrpci_nvme_queue_used(queue) > 0;
	int left = timeout_ms < 0 ? INT_MAX : deadline_left_ms(deadline);
	int most = busy ? (int)(queue->nvme->tick_us / 1000) + 1 : IDLE_MS;

	if (busy && timeout_ms < 0 && queue->irq && start_timer(queue))
		return -1; /* a sleep without an end of its own costs less */
	return nvme_min(left, most);
}

int usrpci_nvme_wait(struct usrpci_nvme_queue *queue, int timeout_ms)
{
	deadline_t deadline = timeout_ms > 0 ? deadline_in_ms((unsigned int)timeout_ms) : 0;
	bool late = false;
	int error;

	for (;;) {
		error = nvme_queue_follow(queue);
		if (queue->ended > 0)
			return 0;
		if (error)
			return error;
		if (nvme_ring_has(&queue->ring))
			return 0;
		if (late)
			return -ETIMEDOUT;
		late = timeout_ms >= 0 && deadline_left_ms(deadline) == 0;
		error = rest(queue, late ? 0 : choose_rest(queue, timeout_ms, deadline));
		if (error)
			return error;
		if (!nvme_ring_has(&queue->ring))
			nvme_queue_tick(queue);
	}
}

int usrpci_nvme_queue_fd(const struct usrpci_nvme_queue *queue)
{
	return queue->irq ? queue->poll : -EINVAL;
}

static int watch(struct usrpci_nvme_queue *queue, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	return epoll_ctl(queue->poll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int watch_irq(struct usrpci_nvme_queue *queue)
{
	int fd = usrpci_irq_fd(queue->nvme->dev, queue->nvme->irq, queue->vector);

	queue->poll = epoll_create1(EPOLL_CLOEXEC);
	queue->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	queue->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->poll < 0 || queue->timer < 0 || queue->kick < 0)
		return -errno;
	return watch(queue, queue->timer) ?: watch(queue, queue->kick) ?: watch(queue, fd);
}

/* Vector 0 belongs to the admin queue. Each queue has one of the others, or all share one. */
static int choose_irq(struct usrpci_nvme_queue *queue, bool poll)
{
	const struct usrpci_nvme *nvme = queue->nvme;

	queue->poll = queue->timer = queue->kick = -1;
	queue->irq = !poll && nvme->info.vectors > 0;
	queue->shared = queue->irq && nvme->info.vectors <= nvme->info.queues;
	if (queue->irq && !queue->shared)
		queue->vector = queue->ring.qid;
	queue->calls_left = queue->shared ? 1 : NVME_CALLS;
	return queue->irq ? watch_irq(queue) : 0;
}

/* The size of a list is a power of two, so that no list crosses a page. */
static int alloc_lists(struct usrpci_nvme_queue *queue)
{
	struct usrpci_nvme *nvme = queue->nvme;
	struct usrpci_dma_request request = {.align = nvme->page};

	queue->list_size = sizeof(struct nvme_dsm_range);
	while (queue->list_size < nvme->info.max_transfer / nvme->page * sizeof(uint64_t))
		queue->list_size *= 2;
	request.size = (size_t)queue->list_size * queue->depth;
	return usrpci_dma_block_alloc(nvme->ctx, &request, &queue->lists);
}

static int reserve_number(struct usrpci_nvme *nvme)
{
	uint64_t unused = ~nvme->queues_used;
	int number = __builtin_ffsll((long long)unused);

	if (number == 0 || (unsigned int)number > nvme->info.queues)
		return -ENOSPC;
	nvme->queues_used |= UINT64_C(1) << (number - 1);
	return number;
}

static void unlink_queue(struct usrpci_nvme_queue *queue)
{
	struct usrpci_nvme_queue **link = &queue->nvme->queues;

	pthread_mutex_lock(&queue->nvme->irq_lock);
	while (*link && *link != queue)
		link = &(*link)->next;
	if (*link)
		*link = queue->next;
	pthread_mutex_unlock(&queue->nvme->irq_lock);
}

/* The caller holds the lock, and the controller does not know the queue any more. */
static void free_queue(struct usrpci_nvme_queue *queue)
{
	const int fds[] = {queue->poll, queue->timer, queue->kick};
	struct usrpci_nvme *nvme = queue->nvme;

	unlink_queue(queue);
	nvme->queues_used &= ~(UINT64_C(1) << (queue->ring.qid - 1));
	usrpci_dma_block_free(nvme->ctx, &queue->ring.block);
	usrpci_dma_block_free(nvme->ctx, &queue->lists);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(queue);
}

static void link_queue(struct usrpci_nvme_queue *queue)
{
	pthread_mutex_lock(&queue->nvme->irq_lock);
	queue->next = queue->nvme->queues;
	queue->nvme->queues = queue;
	pthread_mutex_unlock(&queue->nvme->irq_lock);
}

/* The lock is held. */
static int start_queue(struct usrpci_nvme_queue *queue, bool poll)
{
	struct usrpci_nvme *nvme = queue->nvme;
	int error = choose_irq(queue, poll) ?:
		    alloc_lists(queue) ?:
		    nvme_ring_alloc(nvme, queue->ring.qid, queue->depth + 1, &queue->ring);

	if (error)
		return error;
	error = set_up(queue);
	if (error)
		delete_rings(queue);
	else
		link_queue(queue);
	return error;
}

static int create(struct usrpci_nvme *nvme, unsigned int depth, bool poll,
		  struct usrpci_nvme_queue **result)
{
	struct usrpci_nvme_queue *queue;
	unsigned int slots = 2;
	int number, error;
	size_t size;

	while (slots < depth)
		slots *= 2;
	size = sizeof(*queue) + slots * sizeof(queue->slots[0]);
	queue = aligned_alloc(64, size);
	number = queue ? reserve_number(nvme) : -ENOMEM;
	if (number < 0) {
		free(queue);
		return number;
	}
	memset(queue, 0, size);
	queue->nvme = nvme;
	queue->ring.qid = (unsigned int)number;
	queue->depth = queue->free_count = depth;
	queue->slot_mask = slots - 1;
	for (unsigned int i = 0; i < slots; i++)
		queue->slots[i] = (struct nvme_slot){.cid = i | SLOT_IDLE, .free = (uint16_t)i};
	error = start_queue(queue, poll);
	if (error)
		free_queue(queue);
	else
		*result = queue;
	return error;
}

int usrpci_nvme_queue_create(struct usrpci_nvme *nvme,
			     const struct usrpci_nvme_queue_options *options,
			     struct usrpci_nvme_queue **queue)
{
	unsigned int depth = options ? options->depth : 0;
	int error;

	if (depth == 0)
		depth = nvme->info.depth < DEPTH_DEFAULT ? nvme->info.depth : DEPTH_DEFAULT;
	if (depth > nvme->info.depth)
		return -EINVAL;
	pthread_mutex_lock(&nvme->lock);
	error = nvme->error ?: create(nvme, depth, options && options->poll, queue);
	pthread_mutex_unlock(&nvme->lock);
	return error;
}

void usrpci_nvme_queue_destroy(struct usrpci_nvme_queue *queue)
{
	struct usrpci_nvme *nvme;

	if (!queue)
		return;
	nvme = queue->nvme;
	pthread_mutex_lock(&nvme->lock);
	delete_rings(queue);
	free_queue(queue);
	pthread_mutex_unlock(&nvme->lock);
}
