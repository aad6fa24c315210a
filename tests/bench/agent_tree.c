// SPDX-License-Identifier: Apache-2.0
/*
 * The files of a node on which every cgroup has all its controllers, for a machine that has them
 * elsewhere or lacks some. It is a tmpfs that this process's mount namespace alone has, with a
 * directory for each cgroup below a root, of the same number, as that is the cgroup's id to the
 * kernel's programs. Files that the cgroup has are its own, mounted there; the others are copies of
 * a real node's.
 *
 *   agent_tree DIRECTORY      mounts on it; the tree is DIRECTORY/tree
 *
 * It says "ready" and obeys these lines, as of ../lab/workload/line.h, and answers each:
 *
 *   file NAME                 a file that every container's cgroup has
 *   moving NAME               one whose numbers grow by "change"
 *   template DIRECTORY        where the copies are from; of several, each takes its turn
 *   make ROOT                 makes the tree of the cgroups below ROOT
 *   change                    what the containers used grows
 *   clear                     removes the tree
 *
 * A tmpfs numbers its files in order, so numbers are used up until the next one is the cgroup's.
 * Those of other files would run ahead of the next tree's cgroups: all of them are links to one
 * file, with the right one mounted there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../lab/workload/line.h"

#define MOST_NAMES     32
#define MOST_TEMPLATES 32
#define MOST_TEXT      8192
#define STEP	       4096

struct cgroup {
	ino_t id;
	bool is_container; /* has none below it */
	char *path;	   /* below the root */
};

static struct {
	char name[64];
	bool is_moving;
} files[MOST_NAMES];
static char templates[MOST_TEMPLATES][LINE_BYTES];
static int file_count, template_count;

static char root[LINE_BYTES];
static struct cgroup *cgroups;
static size_t cgroup_count, cgroup_room;
static uint64_t changes;

static void must(bool done, const char *what)
{
	if (!done)
		die("Cannot make %s for the cgroups' files: got %s; run as root", what,
		    strerror(errno));
}

static int note_cgroup(const char *path, const struct stat *status, int type, struct FTW *place)
{
	if (type != FTW_D || place->level == 0)
		return 0;
	if (cgroup_count == cgroup_room) {
		cgroup_room = cgroup_room ? cgroup_room * 2 : 1024;
		cgroups = realloc(cgroups, cgroup_room * sizeof(*cgroups));
		must(cgroups, "room");
	}
	cgroups[cgroup_count++] =
	    (struct cgroup){status->st_ino, status->st_nlink == 2, strdup(path + strlen(root) + 1)};
	return 0;
}

static int by_id(const void *one, const void *other)
{
	ino_t a = ((const struct cgroup *)one)->id, b = ((const struct cgroup *)other)->id;

	return (a > b) - (a < b);
}

/* Uses up the numbers before the given one. */
static void skip_to(ino_t next)
{
	static ino_t last;

	while (last + 1 < next) {
		int fd = open("tree", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		struct stat status;

		must(fd >= 0 && !fstat(fd, &status), "an unnamed file");
		close(fd);
		last = status.st_ino;
	}
	last = next;
}

static void make_directory(const struct cgroup *cgroup)
{
	char path[2 * LINE_BYTES];
	struct stat status;

	skip_to(cgroup->id);
	snprintf(path, sizeof(path), "tree/%s", cgroup->path);
	must(!mkdir(path, 0755) && !stat(path, &status), path);
	if (status.st_ino != cgroup->id)
		die("Cannot make %s with the number %lu: got %lu", path, cgroup->id, status.st_ino);
}

static void read_text(const char *path, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, MOST_TEXT - 1);

	must(length >= 0, path);
	close(fd);
	text[length] = '\0';
}

/* Adds to every number but 0 that is a value: after a blank or =, or the first, but no device. */
static size_t grow(char *text, uint64_t amount, char *grown)
{
	char *to = grown, before = ' ';

	while (*text) {
		size_t digits = before == ' ' || before == '=' ? strspn(text, "0123456789") : 0;

		if (digits && *text != '0' && text[digits] != ':')
			to += sprintf(to, "%lu", strtoul(text, &text, 10) + amount);
		else
			*to++ = *text++;
		before = to[-1];
	}
	return (size_t)(to - grown);
}

/* Writes a template's file into the file at path. */
static void write_copy(const char *path, size_t cgroup, const char *name)
{
	char from[2 * LINE_BYTES], text[MOST_TEXT], grown[3 * MOST_TEXT];
	size_t length;
	int fd;

	snprintf(from, sizeof(from), "%s/%s", templates[cgroup % template_count], name);
	read_text(from, text);
	length = grow(text, changes * STEP, grown);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	must(fd >= 0 && write(fd, grown, length) == (ssize_t)length, path);
	close(fd);
}

static void copy_path(char *path, size_t size, size_t cgroup, int file)
{
	snprintf(path, size, "copies/%zu-%s", cgroup, files[file].name);
}

static void tree_path(char *path, size_t size, size_t cgroup, int file)
{
	snprintf(path, size, "tree/%s/%s", cgroups[cgroup].path, files[file].name);
}

/* Whether a file has a text: the kernel may keep no account of pressure. */
static bool is_kept(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char byte;
	bool kept = fd >= 0 && read(fd, &byte, 1) == 1;

	if (fd >= 0)
		close(fd);
	return kept;
}

static void make_files(size_t cgroup)
{
	for (int i = 0; i < file_count; i++) {
		char source[3 * LINE_BYTES], target[2 * LINE_BYTES];

		snprintf(source, sizeof(source), "%s/%s/%s", root, cgroups[cgroup].path,
			 files[i].name);
		if (!is_kept(source)) {
			copy_path(source, sizeof(source), cgroup, i);
			write_copy(source, cgroup, files[i].name);
		}
		tree_path(target, sizeof(target), cgroup, i);
		must(!link("tree/cgroup.controllers", target) &&
			 !mount(source, target, NULL, MS_BIND, NULL),
		     target);
	}
}

static void make_tree(void)
{
	must(!nftw(root, note_cgroup, 16, FTW_PHYS), root);
	qsort(cgroups, cgroup_count, sizeof(*cgroups), by_id);
	for (size_t i = 0; i < cgroup_count; i++)
		make_directory(&cgroups[i]);
	for (size_t i = 0; i < cgroup_count; i++)
		if (cgroups[i].is_container)
			make_files(i);
}

static void change(void)
{
	changes++;
	for (size_t i = 0; i < cgroup_count; i++) {
		for (int j = 0; cgroups[i].is_container && j < file_count; j++) {
			char path[128];

			copy_path(path, sizeof(path), i, j);
			if (files[j].is_moving && !access(path, F_OK))
				write_copy(path, i, files[j].name);
		}
	}
}

static void clear_files(size_t cgroup)
{
	for (int i = 0; i < file_count; i++) {
		char path[2 * LINE_BYTES];

		tree_path(path, sizeof(path), cgroup, i);
		umount2(path, MNT_DETACH);
		unlink(path);
		copy_path(path, sizeof(path), cgroup, i);
		unlink(path);
	}
}

static void clear_tree(void)
{
	while (cgroup_count) {
		struct cgroup *last = &cgroups[cgroup_count - 1];
		char path[2 * LINE_BYTES];

		if (last->is_container)
			clear_files(cgroup_count - 1);
		snprintf(path, sizeof(path), "tree/%s", last->path);
		must(!rmdir(path), "room");
		free(last->path);
		cgroup_count--;
	}
}

static void mount_all(const char *directory)
{
	must(!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL),
	     "a mount namespace");
	must(!mount("tmpfs", directory, "tmpfs", 0, "nr_inodes=0") && !chdir(directory) &&
		 !mkdir("tree", 0755) && !mkdir("copies", 0755) &&
		 !mount("tmpfs", "tree", "tmpfs", 0, "nr_inodes=0,inode64") &&
		 !mknod("tree/cgroup.controllers", S_IFREG | 0644, 0),
	     "a tmpfs");
}

int main(int argc, char **argv)
{
	struct command_line line;

	if (argc != 2)
		die("Cannot run without a directory to mount on");
	mount_all(argv[1]);
	/* Ctrl-C is for the driver, which ends this one when it has cleaned up. */
	setpgid(0, 0);
	ready("");
	while (next_line(&line)) {
		const char *rest = line.text + strlen(line.word) + 1;

		if (is(&line, "file") || is(&line, "moving")) {
			files[file_count].is_moving = is(&line, "moving");
			snprintf(files[file_count++].name, sizeof(files[0].name), "%s", rest);
		} else if (is(&line, "template"))
			strcpy(templates[template_count++], rest);
		else if (is(&line, "make")) {
			strcpy(root, rest);
			make_tree();
		} else if (is(&line, "change"))
			change();
		else if (is(&line, "clear"))
			clear_tree();
		else {
			fail_line(&line);
			continue;
		}
		say("{}");
	}
	return 0;
}
