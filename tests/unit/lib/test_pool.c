// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pools, on a fake device's memory.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fake/fake.h"
#include "fixture.h"

#define MOST 4096

struct place {
	struct usrpci_ctx *ctx;
	struct usrpci_dev *dev;
};

static struct place open_place(struct fixture *fixture)
{
	static const struct fake_model model = {.vendor = 0x1234, .device = 1};
	struct place place = {.ctx = fixture_ctx(fixture)};

	assert_int_equal(fake_open(place.ctx, &model, &place.dev), 0);
	return place;
}

static void close_place(struct place *place)
{
	usrpci_dev_close(place->dev);
	usrpci_ctx_close(place->ctx);
}

static struct usrpci_pool *create(struct place *place, struct usrpci_pool_options options)
{
	struct usrpci_pool *pool;

	assert_int_equal(usrpci_pool_create(place->ctx, &options, &pool), 0);
	assert_int_equal(usrpci_pool_available(pool), options.count);
	return pool;
}

static struct usrpci_dma_stats stats_of(struct place *place)
{
	struct usrpci_dma_stats stats;

	usrpci_dma_stats(place->ctx, &stats);
	return stats;
}

static int compare(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return (x > y) - (x < y);
}

/* Takes everything and looks at every buffer. */
static void assert_sound(struct place *place, const struct usrpci_pool_options *options)
{
	struct usrpci_pool *pool = create(place, *options);
	size_t align = options->align ? options->align : 64;
	char *buffers[MOST] = {NULL};

	for (size_t i = 0; i < options->count; i++) {
		usrpci_dma_t addr, last;

		buffers[i] = usrpci_pool_get(pool);
		assert_non_null(buffers[i]);
		assert_true(usrpci_dma_contains(place->ctx, buffers[i], options->size));
		addr = usrpci_dma_addr(place->ctx, buffers[i]);
		last = addr + options->size - 1;
		assert_int_equal(addr % align, 0);
		if (options->boundary)
			assert_int_equal(addr / options->boundary, last / options->boundary);
		if (options->limit)
			assert_true(last <= options->limit);
	}
	assert_null(usrpci_pool_get(pool));
	qsort(buffers, options->count, sizeof(*buffers), compare);
	for (size_t i = 1; i < options->count; i++)
		assert_true(buffers[i] - buffers[i - 1] >= (ptrdiff_t)options->size);
	usrpci_pool_destroy(pool);
	assert_int_equal(stats_of(place).blocks, 0);
}

static void buffers_are_as_asked_and_apart(void **state)
{
	struct place place = open_place(*state);

	assert_sound(&place, &(struct usrpci_pool_options){.size = 2048, .count = 1000});
	assert_sound(&place, &(struct usrpci_pool_options){.size = 1, .count = MOST});
	assert_sound(&place,
		     &(struct usrpci_pool_options){.size = 1536, .boundary = 4096, .count = 500});
	assert_sound(&place, &(struct usrpci_pool_options){
				     .size = 100, .align = 1024, .boundary = 128, .count = 300});
	assert_sound(&place,
		     &(struct usrpci_pool_options){.size = 300000, .align = 4096, .count = 7});
	assert_sound(&place,
		     &(struct usrpci_pool_options){.size = 9000, .limit = 0x7ffffff, .count = 500});
	close_place(&place);
}

static void storage_is_packed(void **state)
{
	struct place place = open_place(*state);
	struct usrpci_pool *pool = create(&place,
					  (struct usrpci_pool_options){.size = 2048, .count = 512});

	assert_int_equal(stats_of(&place).bytes_used, 512 * 2048);
	usrpci_pool_destroy(pool);
	pool = create(&place,
		      (struct usrpci_pool_options){.size = 2048, .boundary = 4096, .count = 512});
	assert_int_equal(stats_of(&place).bytes_used, 512 * 2048);
	usrpci_pool_destroy(pool);
	close_place(&place);
}

static void bad_options_are_refused(void **state)
{
	static const struct usrpci_pool_options bad[] = {
		{.size = 0, .count = 1},
		{.size = 64, .count = 0},
		{.size = 64, .count = 1, .align = 96},
		{.size = 64, .count = 1, .boundary = 96},
		{.size = 128, .count = 1, .boundary = 64},
		{.size = 64, .count = 1, .node = -1},
	};
	static const struct usrpci_pool_options large[] = {
		{.size = SIZE_MAX, .count = 1},
		{.size = 64, .count = SIZE_MAX},
		{.size = SIZE_MAX / 2, .count = 4},
		{.size = 64, .count = 1, .align = (size_t)1 << 63},
		{.size = 2u << 30, .count = 1},
		{.size = 64, .count = 2, .limit = 64},
	};
	struct place place = open_place(*state);
	struct usrpci_pool *pool;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(usrpci_pool_create(place.ctx, &bad[i], &pool), -EINVAL);
	for (unsigned int i = 0; i < sizeof(large) / sizeof(*large); i++)
		assert_int_equal(usrpci_pool_create(place.ctx, &large[i], &pool), -ENOMEM);
	assert_int_equal(stats_of(&place).blocks, 0);
	close_place(&place);
}

static void a_bulk_is_taken_whole_or_not_at_all(void **state)
{
	struct place place = open_place(*state);
	struct usrpci_pool *pool = create(&place,
					  (struct usrpci_pool_options){.size = 64, .count = 1000});
	void *buffers[1001] = {NULL};

	assert_int_equal(usrpci_pool_get_bulk(pool, buffers, 1001), 0);
	assert_null(buffers[0]);
	assert_int_equal(usrpci_pool_get_bulk(pool, buffers, 999), 999);
	assert_int_equal(usrpci_pool_get_bulk(pool, buffers, 2), 0);
	assert_int_equal(usrpci_pool_available(pool), 1);
	assert_int_equal(usrpci_pool_get_bulk(pool, buffers + 999, 1), 1);
	usrpci_pool_put_bulk(pool, buffers, 1000);
	assert_int_equal(usrpci_pool_available(pool), 1000);
	assert_int_equal(usrpci_pool_get_bulk(pool, buffers, 1000), 1000);
	qsort(buffers, 1000, sizeof(*buffers), compare);
	for (unsigned int i = 1; i < 1000; i++)
		assert_ptr_not_equal(buffers[i], buffers[i - 1]);
	usrpci_pool_destroy(pool);
	close_place(&place);
}

static void singles_and_bulks_mix(void **state)
{
	struct place place = open_place(*state);
	struct usrpci_pool *pool = create(&place,
					  (struct usrpci_pool_options){.size = 64, .count = 300});
	void *held[300];
	unsigned int count = 0, seed = 1;

	for (unsigned int i = 0; i < 100000; i++) {
		unsigned int many = (seed = seed * 1103515245 + 12345) >> 16 & 127;

		if (i % 4 == 0 && (held[count] = usrpci_pool_get(pool)))
			count++;
		if (i % 4 == 1 && count > 0)
			usrpci_pool_put(pool, held[--count]);
		if (i % 4 == 2 && count + many <= 300)
			count += usrpci_pool_get_bulk(pool, held + count, many);
		if (i % 4 == 3 && count >= many)
			usrpci_pool_put_bulk(pool, held + (count -= many), many);
		assert_int_equal(usrpci_pool_available(pool), 300 - count);
	}
	usrpci_pool_destroy(pool);
	close_place(&place);
}

static void putting_back_nothing_does_nothing(void **state)
{
	struct place place = open_place(*state);
	struct usrpci_pool *pool = create(&place,
					  (struct usrpci_pool_options){.size = 64, .count = 400});
	void *buffers[400];

	usrpci_pool_put(pool, NULL);
	for (unsigned int i = 0; i < 400; i++)
		assert_non_null(buffers[i] = usrpci_pool_get(pool));
	usrpci_pool_put(pool, NULL);
	assert_null(usrpci_pool_get(pool));
	for (unsigned int i = 0; i < 400; i++) {
		usrpci_pool_put(pool, buffers[i]);
		usrpci_pool_put(pool, NULL);
		usrpci_pool_put(pool, NULL);
		assert_int_equal(usrpci_pool_available(pool), i + 1);
	}
	for (unsigned int i = 0; i < 400; i++)
		assert_non_null(usrpci_pool_get(pool));
	usrpci_pool_destroy(pool);
	close_place(&place);
}

static void putting_back_too_much_is_logged(void **state)
{
	struct place place = open_place(*state);
	struct usrpci_pool *pool = create(&place,
					  (struct usrpci_pool_options){.size = 64, .count = 200});
	void *buffer = usrpci_pool_get(pool), *buffers[200];

	usrpci_pool_put(pool, NULL);
	for (unsigned int i = 0; i < 1000; i++)
		usrpci_pool_put(pool, buffer);
	assert_logged(*state, "more were put back");
	assert_true(usrpci_pool_get_bulk(pool, buffers, 200) == 200);
	usrpci_pool_destroy(pool);
	usrpci_pool_destroy(NULL);
	close_place(&place);
}

/*
 * Threads.
 */

struct worker {
	struct usrpci_pool *pool;
	unsigned int count;
	pthread_barrier_t *done;
};

static void *take_and_put_back(void *data)
{
	struct worker *worker = data;
	void *buffers[64];

	for (unsigned int i = 0; i < worker->count; i++)
		buffers[i] = usrpci_pool_get(worker->pool);
	for (unsigned int i = 0; i < worker->count; i++)
		usrpci_pool_put(worker->pool, buffers[i]);
	if (worker->done) {
		pthread_barrier_wait(worker->done);
		pthread_barrier_wait(worker->done);
	}
	return NULL;
}

static void assert_all_can_be_had(struct usrpci_pool *pool, unsigned int count)
{
	void *buffers[MOST];

	for (unsigned int i = 0; i < count; i++) {
		buffers[i] = usrpci_pool_get(pool);
		assert_non_null(buffers[i]);
	}
	assert_null(usrpci_pool_get(pool));
	for (unsigned int i = 0; i < count; i++)
		usrpci_pool_put(pool, buffers[i]);
}

static void buffers_that_a_living_thread_keeps_can_be_had(void **state)
{
	struct place place = open_place(*state);
	struct usrpci_pool *pool = create(&place,
					  (struct usrpci_pool_options){.size = 64, .count = 128});
	pthread_barrier_t done;
	struct worker worker = {pool, 64, &done};
	pthread_t thread;

	pthread_barrier_init(&done, NULL, 2);
	pthread_create(&thread, NULL, take_and_put_back, &worker);
	pthread_barrier_wait(&done);
	assert_all_can_be_had(pool, 128);
	pthread_barrier_wait(&done);
	pthread_join(thread, NULL);
	assert_all_can_be_had(pool, 128);
	pthread_barrier_destroy(&done);
	usrpci_pool_destroy(pool);
	close_place(&place);
}

static void threads_that_end_strand_nothing(void **state)
{
	struct place place = open_place(*state);
	struct usrpci_pool *pool = create(&place,
					  (struct usrpci_pool_options){.size = 64, .count = 128});
	struct worker worker = {pool, 64, NULL};

	for (unsigned int i = 0; i < 300; i++) {
		pthread_t threads[2];

		pthread_create(&threads[0], NULL, take_and_put_back, &worker);
		pthread_create(&threads[1], NULL, take_and_put_back, &worker);
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
	}
	assert_int_equal(usrpci_pool_available(pool), 128);
	assert_all_can_be_had(pool, 128);
	usrpci_pool_destroy(pool);
	close_place(&place);
}

/* Threads hand buffers to each other and mark whose they are: nobody may see another's mark. */
#define THREADS 4
#define BUFFERS 24 /* few, so that threads take from each other all the time */
#define ROUNDS  100000

struct stress {
	struct usrpci_pool *pool;
	_Atomic(uint64_t *) mailbox[8];
	atomic_uint wrong;
	atomic_uint number;
};

static void use(struct stress *stress, uint64_t *buffer, uint64_t mark)
{
	if (atomic_exchange((_Atomic uint64_t *)buffer, mark) != 0)
		atomic_fetch_add(&stress->wrong, 1);
}

static void put_back(struct stress *stress, uint64_t *buffer)
{
	if (!buffer)
		return;
	atomic_store((_Atomic uint64_t *)buffer, 0);
	usrpci_pool_put(stress->pool, buffer);
}

static void *exchange(void *data)
{
	struct stress *stress = data;
	uint64_t mark = 1 + atomic_fetch_add(&stress->number, 1);
	unsigned int seed = (unsigned int)mark;
	void *bulk[16];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int many = (seed = seed * 1103515245 + 12345) >> 16 & 15;
		uint64_t *buffer = usrpci_pool_get(stress->pool);

		if (buffer) {
			use(stress, buffer, mark);
			put_back(stress, atomic_exchange(&stress->mailbox[many & 7], buffer));
		}
		many = usrpci_pool_get_bulk(stress->pool, bulk, many);
		for (unsigned int j = 0; j < many; j++)
			use(stress, bulk[j], mark);
		for (unsigned int j = 0; j < many; j++)
			atomic_store((_Atomic uint64_t *)bulk[j], 0);
		usrpci_pool_put_bulk(stress->pool, bulk, many);
	}
	return NULL;
}

static unsigned int run_stress(struct place *place)
{
	struct stress stress = {
		.pool = create(place, (struct usrpci_pool_options){.size = 64, .count = BUFFERS})};
	void *buffers[BUFFERS];
	pthread_t threads[THREADS];

	for (unsigned int i = 0; i < BUFFERS; i++)
		memset(buffers[i] = usrpci_pool_get(stress.pool), 0, 64);
	for (unsigned int i = 0; i < BUFFERS; i++)
		usrpci_pool_put(stress.pool, buffers[i]);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, exchange, &stress);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < 8; i++)
		put_back(&stress, atomic_exchange(&stress.mailbox[i], NULL));
	if (usrpci_pool_available(stress.pool) != BUFFERS ||
	    usrpci_pool_get_bulk(stress.pool, buffers, BUFFERS) != BUFFERS)
		atomic_fetch_add(&stress.wrong, 1);
	usrpci_pool_destroy(stress.pool);
	return atomic_load(&stress.wrong);
}

static void no_buffer_is_had_by_two_threads(void **state)
{
	struct place place = open_place(*state);

	assert_int_equal(run_stress(&place), 0);
	close_place(&place);
}

static int forbid_membarrier(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#define FIFO_ROUNDS  400
#define SLOW_MS      400 /* far above a nap, and below what a spinning thread took */
#define FIFO_BUFFERS 150

struct contest {
	struct usrpci_pool *pool;
	atomic_bool ended;
	unsigned int slow;
	bool forbidden;
};

/* Both threads of a contest have one processor between them. */
static void use_first_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *take_and_put_until_the_end(void *data)
{
	struct contest *contest = data;

	use_first_processor();
	while (!contest->ended) {
		void *buffer = usrpci_pool_get(contest->pool);

		if (buffer)
			usrpci_pool_put(contest->pool, buffer);
	}
	return NULL;
}

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *take_all_at_once(void *data)
{
	const struct sched_param priority = {.sched_priority = 50};
	struct contest *contest = data;
	void *buffers[FIFO_BUFFERS];

	use_first_processor();
	contest->forbidden = pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) != 0;
	for (int i = 0; i < FIFO_ROUNDS && !contest->forbidden; i++) {
		long start = milliseconds();
		unsigned int got;

		got = usrpci_pool_get_bulk(contest->pool, buffers, FIFO_BUFFERS);
		contest->slow += milliseconds() - start > SLOW_MS;
		usrpci_pool_put_bulk(contest->pool, buffers, got);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	contest->ended = true;
	return NULL;
}

static void a_real_time_thread_does_not_starve_the_one_it_waits_for(void **state)
{
	struct place place = open_place(*state);
	struct contest contest = {
		.pool = create(&place,
			       (struct usrpci_pool_options){.size = 256, .count = FIFO_BUFFERS}),
	};
	pthread_t low, high;

	assert_int_equal(pthread_create(&low, NULL, take_and_put_until_the_end, &contest), 0);
	assert_int_equal(pthread_create(&high, NULL, take_all_at_once, &contest), 0);
	pthread_join(high, NULL);
	pthread_join(low, NULL);
	usrpci_pool_destroy(contest.pool);
	close_place(&place);
	if (contest.forbidden)
		skip();
	assert_int_equal(contest.slow, 0);
}

static void the_kernel_may_forbid_membarrier(void **state)
{
	struct place place = open_place(*state);
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (forbid_membarrier())
			_exit(77);
		_exit(run_stress(&place) != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	close_place(&place);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# seccomp filters are not to be had here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(buffers_are_as_asked_and_apart),
		TEST(storage_is_packed),
		TEST(bad_options_are_refused),
		TEST(a_bulk_is_taken_whole_or_not_at_all),
		TEST(singles_and_bulks_mix),
		TEST(putting_back_nothing_does_nothing),
		TEST(putting_back_too_much_is_logged),
		TEST(buffers_that_a_living_thread_keeps_can_be_had),
		TEST(threads_that_end_strand_nothing),
		TEST(no_buffer_is_had_by_two_threads),
		TEST(a_real_time_thread_does_not_starve_the_one_it_waits_for),
		TEST(the_kernel_may_forbid_membarrier),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
