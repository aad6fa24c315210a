/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation with the driver: "ready", then a line in, one line of JSON out.
 *
 * It uses readv and writev on descriptors 0 and 1, and nothing else: one readv for each line as
 * long as the driver waits for the answer before it sends the next, one writev for each answer.
 * So it adds nothing to read, write or any other system call that is commonly tracked.
 */
#pragma once

#define MAX_ARGUMENTS 4
#define LINE_BYTES    1024

/* A line split at blanks: a word and its numbers (0 where there is none). */
struct command_line {
	char text[LINE_BYTES];
	char *word;
	int arguments;
	uint64_t argument[MAX_ARGUMENTS];
};

static void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the process with a message for the person who started it. */
static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vdprintf(STDERR_FILENO, format, arguments);
	va_end(arguments);
	dprintf(STDERR_FILENO, "\n");
	exit(1);
}

/* Writes one line. */
static void say(const char *format, ...)
{
	char text[1024];
	struct iovec parts[2] = {{text, 0}, {"\n", 1}};
	va_list arguments;

	va_start(arguments, format);
	parts[0].iov_len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (writev(STDOUT_FILENO, parts, 2) < 0)
		exit(1);
}

/* Says that the command is set up; detail is what the driver must know, such as a port. */
static void ready(const char *detail)
{
	say("ready%s%s", *detail ? " " : "", detail);
}

/* Reads up to the next newline; false at "exit" and at the end of the input. */
static bool next_line(struct command_line *line)
{
	static char held[LINE_BYTES];
	static size_t length;
	char *end, *at;

	while (!(end = memchr(held, '\n', length))) {
		struct iovec room = {held + length, sizeof(held) - length};
		ssize_t got = readv(STDIN_FILENO, &room, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		length += got;
	}
	*end++ = '\0';
	memcpy(line->text, held, end - held);
	length -= end - held;
	memmove(held, end, length);

	line->word = strtok_r(line->text, " ", &at);
	if (!line->word)
		line->word = "";
	memset(line->argument, 0, sizeof(line->argument));
	for (line->arguments = 0; line->arguments < MAX_ARGUMENTS; line->arguments++) {
		char *number = strtok_r(NULL, " ", &at);

		if (!number)
			break;
		line->argument[line->arguments] = strtoull(number, NULL, 10);
	}
	return strcmp(line->word, "exit") != 0;
}

static bool is(const struct command_line *line, const char *word)
{
	return !strcmp(line->word, word);
}

/* Answers a line that the command does not know. */
static void fail_line(const struct command_line *line)
{
	say("{\"error\":\"not a line of this command: %s\"}", line->word);
}

/* The value of "--name VALUE" among a command's arguments, else the fallback. */
static const char *option(int argc, char **argv, const char *name, const char *fallback)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return fallback;
}

static uint64_t nanoseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}
