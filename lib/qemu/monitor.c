// SPDX-License-Identifier: BSD-2-Clause
/*
 * QEMU's monitor: commands of the human monitor, whose syntax for devices is that of the command
 * line, wrapped in QMP, which says where an answer ends. Leaves out JSON beyond the strings that
 * this needs, and events. Follows QEMU's manual, "QEMU Machine Protocol".
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "qemu/process.h"

/* A signal that the program handles is no reason to read no more. */
static bool read_line(FILE *monitor, char **line, size_t *size)
{
	ssize_t got;

	do {
		clearerr(monitor);
		errno = 0;
		got = getline(line, size, monitor);
	} while (got < 0 && errno == EINTR);
	return got > 0;
}

/*
 * Reads lines until one is a reply, and ignores events in between. Returns the reply, which is to
 * be freed; NULL on failure, with errno set, or 0 in it at the end of the stream.
 */
static char *read_reply(FILE *monitor)
{
	char *line = NULL;
	size_t size = 0;

	while (read_line(monitor, &line, &size))
		if (!strncmp(line, "{\"return\"", 9) || !strncmp(line, "{\"error\"", 8))
			return line;
	free(line);
	return NULL;
}

static int monitor_error(int error)
{
	return error == EAGAIN ? -ETIMEDOUT : error == ENOMEM ? -ENOMEM : -ENODEV;
}

int qemu_monitor_execute(FILE *monitor, const char *command, size_t length, char **reply)
{
	if (send(fileno(monitor), command, length, MSG_NOSIGNAL) != (ssize_t)length)
		return monitor_error(errno);
	*reply = read_reply(monitor);
	return *reply ? 0 : monitor_error(errno);
}

/* Copies the text of a JSON string, of which json is the first character, as far as it fits. */
static void decode_string(const char *json, char *text, size_t size)
{
	static const char letters[] = "nrt", meanings[] = "\n\r\t";
	const char *letter;
	size_t length = 0;

	for (; *json && *json != '"' && length < size - 1; json++) {
		if (*json != '\\' || !json[1]) {
			text[length++] = *json;
			continue;
		}
		json++;
		letter = strchr(letters, *json);
		text[length++] = letter ? meanings[letter - letters] : *json;
	}
	text[length] = '\0';
}

/* Writes command as a string in JSON. */
static int encode_string(const char *command, char *json, size_t size)
{
	size_t length = 0;

	for (; *command; command++) {
		if ((unsigned char)*command < ' ')
			return -EINVAL;
		if (length + 3 > size)
			return -E2BIG;
		if (*command == '"' || *command == '\\')
			json[length++] = '\\';
		json[length++] = *command;
	}
	json[length] = '\0';
	return 0;
}

/* Copies the error from what QEMU printed, or the first line if there is none. */
static void parse_reply(const char *reply, char *text, size_t size)
{
	const char *string = strstr(reply, "\"desc\": \""), *error;
	char whole[2048];

	if (!strncmp(reply, "{\"return\": \"", 12))
		string = reply + 12;
	else if (string)
		string += 9;
	decode_string(string ? string : "", whole, sizeof(whole));
	error = strstr(whole, "Error: ");
	string = error ?: whole;
	snprintf(text, size, "%.*s", (int)strcspn(string, "\r\n"), string);
}

int qemu_monitor(FILE *monitor, const char *command, char *text, size_t size)
{
	char json[1024], request[1152], *reply;
	int error = encode_string(command, json, sizeof(json)), length;

	if (error)
		return error;
	length = snprintf(request, sizeof(request),
			  "{\"execute\": \"human-monitor-command\", "
			  "\"arguments\": {\"command-line\": \"%s\"}}\n",
			  json);
	error = qemu_monitor_execute(monitor, request, (size_t)length, &reply);
	if (error)
		return error;
	parse_reply(reply, text, size);
	free(reply);
	return 0;
}
