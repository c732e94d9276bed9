// SPDX-License-Identifier: BSD-2-Clause
/*
 * Kills the driver of a served disk again and again, and says how long it takes until a read that
 * begins after the kill is complete.
 *
 * usage: reincarnate DEVICE KILLS MILLISECONDS
 *
 * Each time goes to standard error, their median to standard output. There is one driver on this
 * machine, the test machine: the process that is called nvme-driver. Fails when a read fails.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096

static struct {
	int fd;
	uint64_t began; /* the read that is under way, or was complete last; microseconds */
	uint64_t ended;
	bool stop;
} reader;

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void nap(unsigned int us)
{
	const struct timespec time = {us / 1000000, us % 1000000 * 1000L};

	nanosleep(&time, NULL);
}

/* The end is stored first: whoever sees the next beginning sees it. */
static void *read_on(void *data)
{
	static uint8_t block[BLOCK] __attribute__((aligned(BLOCK)));
	off_t offset = 0;

	while (!__atomic_load_n(&reader.stop, __ATOMIC_RELAXED)) {
		uint64_t began = now();

		if (pread(reader.fd, block, BLOCK, offset) != BLOCK) {
			printf("a read fails: %s\n", strerror(errno));
			exit(1);
		}
		__atomic_store_n(&reader.ended, now(), __ATOMIC_RELEASE);
		__atomic_store_n(&reader.began, began, __ATOMIC_RELEASE);
		offset = (offset + BLOCK) % (16 << 20);
		nap(500);
	}
	return data;
}

static bool is_driver(const char *pid)
{
	char path[300], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	return !strcmp(name, "nvme-driver\n");
}

static pid_t find_driver(void)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	pid_t pid = 0;

	while (processes && !pid && (entry = readdir(processes))) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_driver(entry->d_name))
			pid = atoi(entry->d_name);
	}
	if (processes)
		closedir(processes);
	return pid;
}

/* Returns the microseconds until the first read behind the kill was complete. */
static uint64_t kill_one(void)
{
	uint64_t killed, deadline = now() + 20000000;
	pid_t driver;

	while (!(driver = find_driver()) && now() < deadline)
		nap(1000);
	killed = now();
	if (!driver || kill(driver, SIGKILL)) {
		printf("there is no driver\n");
		exit(1);
	}
	while (__atomic_load_n(&reader.began, __ATOMIC_ACQUIRE) <= killed) {
		if (now() > deadline) {
			printf("no read is complete 20 seconds after a kill\n");
			exit(1);
		}
		nap(200);
	}
	return __atomic_load_n(&reader.ended, __ATOMIC_ACQUIRE) - killed;
}

static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

int main(int argc, char **argv)
{
	unsigned int kills, pause;
	pthread_t thread;
	uint64_t *took;

	if (argc != 4)
		return 2;
	kills = (unsigned int)atoi(argv[2]);
	pause = (unsigned int)atoi(argv[3]) * 1000;
	took = calloc(kills + 1, sizeof(*took));
	reader.fd = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (!took || reader.fd < 0 || pthread_create(&thread, NULL, read_on, NULL))
		return 1;
	for (unsigned int i = 0; i < kills; i++) {
		nap(pause);
		took[i] = kill_one();
		fprintf(stderr, "%.1f ms\n", (double)took[i] / 1000);
	}
	reader.stop = true;
	pthread_join(thread, NULL);
	qsort(took, kills, sizeof(*took), compare);
	printf("%u kills; until a read is complete, median %.1f ms, most %.1f ms\n", kills,
	       (double)took[kills / 2] / 1000, (double)took[kills ? kills - 1 : 0] / 1000);
	free(took);
	return 0;
}
