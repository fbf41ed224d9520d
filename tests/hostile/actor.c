/*
 * A process that does what it is told, under whatever name and arguments a hostile situation wants.
 *
 * Its script comes over descriptor 4 (read to its end, then closed), so that nothing of it shows in its arguments: one
 * verb a line, fields between tabs. Descriptor 3 takes one line when it is ready: its pid, then those of its children.
 * What follows "ready" goes on until the script ends; then it waits for its end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINES_MAX = 256, FIELDS_MAX = 16, SCRIPT_MAX = 60000, ORDER_MAX = 60000 };

static char *lines[LINES_MAX];
static int count;
static char script[SCRIPT_MAX];
static char children[512];
static char *events; /* where "event" writes */
static int ready_fd = 3;

struct section {
	int from, to;
	sem_t begun;
};
static __thread struct section *own_thread;

static void die(const char *verb)
{
	fprintf(stderr, "actor %d: %s: %s\n", getpid(), verb, strerror(errno));
	_exit(99);
}

static int need(int result, const char *verb)
{
	if (result < 0)
		die(verb);
	return result;
}

static void nap(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

static void say_event(const char *what)
{
	char line[256];
	int fd = events ? open(events, O_WRONLY | O_APPEND | O_CREAT, 0666) : -1;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int length = snprintf(line, sizeof line, "%ld.%09ld %d %s\n", now.tv_sec, now.tv_nsec, getpid(), what);
	if (fd >= 0) {
		if (write(fd, line, length) != length)
			_exit(98);
		close(fd);
	}
}

static int mode_of(const char *letters)
{
	if (!strcmp(letters, "r"))
		return O_RDONLY;
	if (!strcmp(letters, "w"))
		return O_WRONLY | O_CREAT;
	if (!strcmp(letters, "a"))
		return O_WRONLY | O_CREAT | O_APPEND;
	if (!strcmp(letters, "p"))
		return O_PATH;
	return O_RDWR | O_CREAT;
}

static void wait_for_usr1(void)
{
	sigset_t set;
	int number;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (sigwait(&set, &number) || number != SIGUSR1)
		;
}

static void on_term(int number)
{
	(void)number;
	say_event("term");
	_exit(0);
}

static int slow_ms, told_pid;
static void on_term_tell(int number)
{
	(void)number;
	say_event("term");
	if (told_pid)
		kill(told_pid, SIGUSR1);
	nap(slow_ms);
	_exit(0);
}

static void ready(void)
{
	if (own_thread) {
		sem_post(&own_thread->begun);
		return;
	}
	if (ready_fd < 0)
		return;
	dprintf(ready_fd, "%d%s\n", getpid(), children);
	close(ready_fd);
	ready_fd = -1;
}

static void run(int from, int to);

_Noreturn static void *thread_main(void *given)
{
	own_thread = given;
	run(own_thread->from, own_thread->to);
	for (;;)
		pause();
}

static int end_of(int from)
{
	for (int depth = 0, i = from; i < count; i++) {
		if (!strncmp(lines[i], "fork", 4) || !strcmp(lines[i], "thread"))
			depth++;
		else if (!strcmp(lines[i], "end") && --depth == 0)
			return i;
	}
	errno = EINVAL;
	die("end");
	return 0;
}

static void do_fork(int from, int to)
{
	int ends[2];
	need(pipe(ends), "pipe");
	int pid = need(fork(), "fork");
	if (!pid) {
		close(ends[0]);
		if (ready_fd >= 0)
			close(ready_fd);
		ready_fd = ends[1];
		children[0] = 0;
		run(from, to);
		for (;;)
			pause();
	}
	close(ends[1]);
	char got[400] = "";
	size_t length = 0;
	ssize_t part;
	while ((part = read(ends[0], got + length, sizeof got - 1 - length)) > 0)
		length += part;
	close(ends[0]);
	got[length] = 0;
	got[strcspn(got, "\n")] = 0;
	size_t used = strlen(children);
	if (got[0])
		snprintf(children + used, sizeof children - used, " %s", got);
	else
		snprintf(children + used, sizeof children - used, " %d", pid);
}

/* Orders come with two descriptors each: where to say "ready", and the script. */
static void serve(int sock)
{
	static char order[ORDER_MAX];
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		char room[CMSG_SPACE(2 * sizeof(int))];
		struct iovec vector = {order, sizeof order - 1};
		struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
		ssize_t length = recvmsg(sock, &message, 0);
		if (length <= 0)
			_exit(0);
		order[length] = 0;
		int fds[2] = {-1, -1};
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		if (head)
			memcpy(fds, CMSG_DATA(head), sizeof fds);
		if (order[0] == '=') { /* something for this very process to do, as "open\tPATH\tr" */
			lines[0] = order + 1;
			int kept = count;
			count = 1;
			run(0, 1);
			count = kept;
			dprintf(fds[0], "%d\n", getpid());
			close(fds[0]);
			close(fds[1]);
			continue;
		}
		int pid = need(fork(), "fork");
		if (!pid) {
			signal(SIGCHLD, SIG_DFL);
			char *argv[64] = {0};
			int argc = 0;
			char *at = order, *end = order + length;
			char *exe = at;
			at += strlen(at) + 1;
			int uid = atoi(at);
			at += strlen(at) + 1;
			for (; at < end && argc < 63; at += strlen(at) + 1)
				argv[argc++] = at;
			int high = fcntl(fds[0], F_DUPFD, 100), low = fcntl(fds[1], F_DUPFD, 100);
			close_range(3, 99, 0);
			dup2(high, 3);
			dup2(low, 4);
			close_range(5, ~0U, 0);
			if (uid) {
				need(setgroups(0, NULL), "setgroups");
				need(setresgid(uid, uid, uid), "setresgid");
				need(setresuid(uid, uid, uid), "setresuid");
			}
			execv(exe, argv);
			die("execv");
		}
		close(fds[0]);
		close(fds[1]);
	}
}

static int connected(int kind, const char *port)
{
	int sock = need(socket(AF_INET, kind, 0), "socket");
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	need(connect(sock, (struct sockaddr *)&to, sizeof to), "connect");
	return sock;
}

static void exec_rest(char **fields, int used, int next)
{
	int ends[2];
	char *argv[FIELDS_MAX] = {0};
	for (int i = 2; i < used; i++)
		argv[i - 2] = fields[i];
	need(pipe(ends), "pipe");
	for (int i = next; i < count; i++)
		if (dprintf(ends[1], "%s\n", lines[i]) < 0)
			die("dprintf");
	close(ends[1]);
	if (ready_fd < 0)
		ready_fd = need(open("/dev/null", O_WRONLY), "null");
	if (ends[0] == 3 || ready_fd == 4) {
		int moved = fcntl(ends[0], F_DUPFD, 100);
		close(ends[0]);
		ends[0] = moved;
	}
	if (ready_fd != 3)
		dup2(ready_fd, 3);
	dup2(ends[0], 4);
	if (ends[0] != 4)
		close(ends[0]);
	if (events)
		setenv("ACTOR_EVENTS", events, 1);
	execv(fields[1], argv);
	die("exec");
}

static int one_verb(char **f, int n, int next);

static void run(int from, int to)
{
	for (int i = from; i < to; i++) {
		if (!strncmp(lines[i], "fork", 4)) {
			int end = end_of(i);
			do_fork(i + 1, end);
			i = end;
			continue;
		}
		if (!strcmp(lines[i], "thread")) {
			int end = end_of(i);
			struct section *section = calloc(1, sizeof *section);
			pthread_t made;
			section->from = i + 1;
			section->to = end;
			sem_init(&section->begun, 0, 0);
			if (pthread_create(&made, NULL, thread_main, section))
				die("pthread_create");
			while (sem_wait(&section->begun))
				;
			i = end;
			continue;
		}
		char copy[8192], *fields[FIELDS_MAX], *rest = copy;
		int n = 0;
		snprintf(copy, sizeof copy, "%s", lines[i]);
		while (n < FIELDS_MAX && rest)
			fields[n++] = strsep(&rest, "\t");
		for (int k = n; k < FIELDS_MAX; k++)
			fields[k] = "";
		if (one_verb(fields, n, i + 1))
			return;
	}
}

#define IS(text) (!strcmp(f[0], text))

static int one_verb(char **f, int n, int next)
{
	static char block[65536];
	long ms = atol(f[2]), size = atol(f[3]) ? atol(f[3]) : 64;
	if (IS("ready"))
		ready();
	else if (IS("hold")) {
		ready();
		for (;;)
			pause();
	} else if (IS("await"))
		wait_for_usr1();
	else if (IS("events"))
		events = strdup(f[1]);
	else if (IS("event"))
		say_event(f[1]);
	else if (IS("name"))
		need(prctl(PR_SET_NAME, f[1]), "name");
	else if (IS("cd"))
		need(chdir(f[1]), "cd");
	else if (IS("open"))
		need(open(f[1], mode_of(f[2]), 0644), f[1]);
	else if (IS("opendir"))
		need(open(f[1], O_RDONLY | O_DIRECTORY), f[1]);
	else if (IS("openmany")) {
		struct rlimit limit = {atol(f[2]) + 100, atol(f[2]) + 100};
		need(setrlimit(RLIMIT_NOFILE, &limit), "rlimit");
		for (long i = 0; i < atol(f[2]); i++)
			need(open(f[1], O_RDONLY), "openmany");
	} else if (IS("map")) { /* PATH r|w: and only the map is left */
		int fd = need(open(f[1], f[2][0] == 'w' ? O_RDWR : O_RDONLY), "map");
		if (mmap(NULL, 4096, PROT_READ | (f[2][0] == 'w' ? PROT_WRITE : 0), MAP_SHARED, fd, 0) == MAP_FAILED)
			die("mmap");
		close(fd);
	} else if (IS("mwrite")) { /* PATH MS: writes through a map, without descriptor or system call */
		int fd = need(open(f[1], O_RDWR), "mwrite");
		long length = lseek(fd, 0, SEEK_END);
		volatile char *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (at == MAP_FAILED)
			die("mmap");
		close(fd);
		ready();
		for (long i = 0;; i += 4096) {
			at[i % length]++;
			nap(ms);
		}
	} else if (IS("write")) { /* PATH MS BYTES: appends for ever */
		int fd = need(open(f[1], O_WRONLY | O_CREAT | O_APPEND, 0644), "write");
		ready();
		for (;;) {
			need(write(fd, block, size), "write");
			nap(ms);
		}
	} else if (IS("writeonce")) {
		int fd = need(open(f[1], O_WRONLY | O_CREAT | O_APPEND, 0644), "write");
		need(write(fd, block, size), "write");
		close(fd);
	} else if (IS("pwrite")) {
		int fd = need(open(f[1], O_WRONLY | O_CREAT, 0644), "pwrite");
		ready();
		for (;;) {
			need(pwrite(fd, block, size, 0), "pwrite");
			nap(ms);
		}
	} else if (IS("grow")) { /* PATH MS BYTES: opens, appends, closes, for ever */
		ready();
		for (;;) {
			int fd = need(open(f[1], O_WRONLY | O_CREAT | O_APPEND, 0644), "grow");
			need(write(fd, block, size), "grow");
			close(fd);
			nap(ms);
		}
	} else if (IS("log")) { /* PATH MS TEXT: a line each, the file not held */
		ready();
		for (;;) {
			int fd = need(open(f[1], O_WRONLY | O_CREAT | O_APPEND, 0644), "log");
			if (dprintf(fd, "%s\n", f[3]) < 0)
				die("log");
			close(fd);
			nap(ms);
		}
	} else if (IS("read")) { /* PATH MS BYTES */
		int fd = need(open(f[1], O_RDONLY), "read");
		ready();
		for (;;) {
			if (need(read(fd, block, size), "read") == 0)
				lseek(fd, 0, SEEK_SET);
			nap(ms);
		}
	} else if (IS("burn")) { /* ON_US OFF_MS */
		long on = atol(f[1]) * 1000;
		ready();
		for (;;) {
			struct timespec begun, now;
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
			do {
				clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
			} while ((now.tv_sec - begun.tv_sec) * 1000000000L + now.tv_nsec - begun.tv_nsec < on);
			nap(ms);
		}
	} else if (IS("tcp") || IS("udp")) { /* PORT MS BYTES: sends for ever */
		int sock = connected(IS("tcp") ? SOCK_STREAM : SOCK_DGRAM, f[1]);
		ready();
		for (;;) {
			if (send(sock, block, size, MSG_NOSIGNAL) < 0 && IS("tcp"))
				die("send");
			nap(ms);
		}
	} else if (IS("newtcp")) { /* PORT MS BYTES: sends for ever, by a new connection each time */
		int sock = connected(SOCK_STREAM, f[1]);
		ready();
		for (;;) {
			need(send(sock, block, size, MSG_NOSIGNAL), "send");
			nap(ms);
			int next = connected(SOCK_STREAM, f[1]);
			close(sock);
			sock = next;
		}
	} else if (IS("raw")) { /* - MS BYTES: sends for ever what is in no sum of the kernel's */
		int sock = need(socket(AF_INET, SOCK_RAW, 253), "socket");
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		ready();
		for (;;) {
			need(sendto(sock, block, size, 0, (struct sockaddr *)&to, sizeof to), "raw");
			nap(ms);
		}
	} else if (IS("queue")) { /* - MS: passes messages to itself by a queue that has lost its name */
		struct mq_attr few = {.mq_maxmsg = 2, .mq_msgsize = 64};
		char name[64];
		snprintf(name, sizeof name, "/actor%d-%ld", getpid(), (long)time(NULL));
		mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &few);
		need(queue, "queue");
		mq_unlink(name);
		ready();
		for (;;) {
			need(mq_send(queue, block, 16, 0), "mq_send");
			need(mq_receive(queue, block, 64, NULL), "mq_receive");
			nap(ms);
		}
	} else if (IS("unix")) { /* PATH MS BYTES */
		struct sockaddr_un to = {.sun_family = AF_UNIX};
		int sock = need(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
		snprintf(to.sun_path, sizeof to.sun_path, "%s", f[1]);
		need(connect(sock, (struct sockaddr *)&to, sizeof to), "unix");
		ready();
		for (;;) {
			need(send(sock, block, size, 0), "unix");
			nap(ms);
		}
	} else if (IS("relay")) { /* FROM_PORT TO_PORT */
		int in = connected(SOCK_STREAM, f[1]), out = connected(SOCK_STREAM, f[2]);
		ready();
		for (;;) {
			ssize_t got = recv(in, block, sizeof block, 0);
			if (got <= 0)
				for (;;)
					pause();
			need(send(out, block, got, MSG_NOSIGNAL), "relay");
		}
	} else if (IS("splice")) { /* FROM_PORT PATH: from a socket to a file inside the kernel */
		int in = connected(SOCK_STREAM, f[1]), out = need(open(f[2], O_WRONLY | O_CREAT, 0644), "splice"), ends[2];
		need(pipe(ends), "pipe");
		ready();
		for (;;) {
			ssize_t got = splice(in, NULL, ends[1], NULL, 65536, 0);
			if (got <= 0)
				pause();
			need(splice(ends[0], NULL, out, NULL, got, 0), "splice");
		}
	} else if (IS("sendfile")) { /* PORT MS PATH */
		int sock = connected(SOCK_STREAM, f[1]), in = need(open(f[3], O_RDONLY), "sendfile");
		ready();
		for (;;) {
			off_t at = 0;
			need(sendfile(sock, in, &at, 64), "sendfile");
			nap(ms);
		}
	} else if (IS("poll")) { /* PORT MS: a source that gives nothing, asked again and again */
		int sock = connected(SOCK_STREAM, f[1]);
		ready();
		for (;;) {
			struct pollfd one = {sock, POLLIN, 0};
			poll(&one, 1, ms);
		}
	} else if (IS("listen")) { /* - MS: for somebody who never comes */
		int sock = need(socket(AF_INET, SOCK_STREAM, 0), "socket");
		need(listen(sock, 1), "listen");
		ready();
		for (;;) {
			struct pollfd one = {sock, POLLIN, 0};
			poll(&one, 1, ms);
		}
	} else if (IS("futex")) { /* - MS */
		static int word;
		struct timespec limit = {0, ms * 1000000};
		ready();
		for (;;)
			syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0);
	} else if (IS("naps")) { /* - MS */
		ready();
		for (;;)
			nap(ms);
	} else if (IS("fullpipe")) { /* writes to a pipe that nobody reads */
		int ends[2];
		need(pipe(ends), "pipe");
		fcntl(ends[1], F_SETPIPE_SZ, 4096);
		need(write(ends[1], block, 4096), "pipe");
		ready();
		need(write(ends[1], block, 4096), "pipe");
	} else if (IS("fifo")) { /* waits for the other end */
		mkfifo(f[1], 0644);
		ready();
		open(f[1], O_RDONLY);
	} else if (IS("bytes")) { /* reads a pipe that stays silent */
		int ends[2];
		need(pipe(ends), "pipe");
		ready();
		need(read(ends[0], block, 1), "read");
	} else if (IS("ignore"))
		signal(SIGTERM, SIG_IGN);
	else if (IS("onterm"))
		signal(SIGTERM, on_term);
	else if (IS("tell")) { /* PID MS: at SIGTERM wakes another, and takes its time */
		told_pid = atoi(f[1]);
		slow_ms = ms;
		signal(SIGTERM, on_term_tell);
	} else if (IS("stop"))
		raise(SIGSTOP);
	else if (IS("exit"))
		_exit(0);
	else if (IS("exitmain")) { /* the first thread ends, the others go on */
		if (ready_fd >= 0)
			ready();
		pthread_exit(NULL);
	} else if (IS("nochild"))
		signal(SIGCHLD, SIG_DFL);
	else if (IS("zombie")) {
		signal(SIGCHLD, SIG_DFL);
		int pid = need(fork(), "fork");
		if (!pid) {
			if (f[1][0])
				prctl(PR_SET_NAME, f[1]);
			_exit(0);
		}
		siginfo_t about;
		waitid(P_PID, pid, &about, WEXITED | WNOWAIT);
		size_t used = strlen(children);
		snprintf(children + used, sizeof children - used, " %d", pid);
	} else if (IS("setsid"))
		need(setsid(), "setsid");
	else if (IS("setpgid"))
		need(setpgid(0, 0), "setpgid");
	else if (IS("ownmounts")) {
		need(unshare(CLONE_NEWNS), "unshare");
		need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
	} else if (IS("bind"))
		need(mount(f[1], f[2], NULL, MS_BIND, NULL), "bind");
	else if (IS("tmpfs"))
		need(mount("tmpfs", f[1], "tmpfs", 0, NULL), "tmpfs");
	else if (IS("chroot"))
		need(chroot(f[1]), "chroot");
	else if (IS("pdeath"))
		need(prctl(PR_SET_PDEATHSIG, SIGKILL), "pdeath");
	else if (IS("flight")) { /* PATH: the file is open in a message that nobody has taken yet */
		int ends[2], fd = need(open(f[1], O_RDONLY), "flight");
		need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
		char room[CMSG_SPACE(sizeof(int))] = {0};
		struct iovec vector = {"x", 1};
		struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(int));
		need(sendmsg(ends[0], &message, 0), "sendmsg");
		close(fd);
	} else if (IS("vfork")) { /* waits in the kernel (D) for the end of a child that shares its memory */
		ready();
		if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) {
			if (ready_fd >= 0)
				close(ready_fd);
			for (;;)
				pause();
		}
	} else if (IS("trace"))
		need(ptrace(PTRACE_SEIZE, atoi(f[1]), NULL, NULL), "trace");
	else if (IS("lock"))
		need(flock(need(open(f[1], O_RDWR | O_CREAT, 0644), "lock"), LOCK_EX), "flock");
	else if (IS("rename"))
		need(rename(f[1], f[2]), "rename");
	else if (IS("exchange"))
		say_event(renameat2(AT_FDCWD, f[1], AT_FDCWD, f[2], RENAME_EXCHANGE) ? "late" : "exchanged");
	else if (IS("must")) { /* PATH: what comes now comes in time only if it is still there */
		if (access(f[1], F_OK))
			say_event("late");
	} else if (IS("renameif")) {
		if (rename(f[1], f[2]))
			say_event("late");
	} else if (IS("openif")) {
		struct stat about;
		int fd = open(f[1], O_RDONLY);
		if (fd < 0 || fstat(fd, &about) || !about.st_nlink)
			say_event("late");
	} else if (IS("rewrite")) { /* PATH: other content, the old size and date */
		struct stat about;
		int fd = open(f[1], O_WRONLY);
		if (fd < 0 || fstat(fd, &about) || !about.st_nlink)
			say_event("late");
		else {
			struct timespec dates[2] = {about.st_atim, about.st_mtim};
			memset(block, 'x', sizeof block);
			need(pwrite(fd, block, about.st_size, 0), "rewrite");
			need(futimens(fd, dates), "dates");
			close(fd);
			if (access(f[1], F_OK))
				say_event("late");
		}
	} else if (IS("symlink")) {
		if (symlink(f[1], f[2]))
			say_event("late");
	} else if (IS("unlink"))
		unlink(f[1]);
	else if (IS("mkdir"))
		mkdir(f[1], 0755);
	else if (IS("sleep"))
		nap(atol(f[1]));
	else if (IS("watch")) { /* DIRECTORY: goes on once something is deleted there */
		int fd = need(inotify_init1(0), "inotify");
		need(inotify_add_watch(fd, f[1], IN_DELETE), "watch");
		ready();
		need(read(fd, block, sizeof block), "watch");
	} else if (IS("children")) { /* - MS: it is its children, one after the other, that work */
		signal(SIGCHLD, SIG_DFL);
		ready();
		for (;;) {
			int pid = need(fork(), "fork");
			if (!pid) {
				for (volatile long i = 0; i < 3000000; i++)
					;
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			nap(ms);
		}
	} else if (IS("exec"))
		exec_rest(f, n, next);
	else if (IS("serve"))
		serve(atoi(f[1]));
	else if (IS("pid")) /* PATH: its own pid into a file */
		dprintf(need(open(f[1], O_WRONLY | O_CREAT | O_TRUNC, 0644), "pid"), "%d\n", getpid());
	else {
		errno = EINVAL;
		die(f[0]);
	}
	return 0;
}

int main(void)
{
	sigset_t set;
	size_t length = 0;
	ssize_t part;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	events = getenv("ACTOR_EVENTS");
	while ((part = read(4, script + length, sizeof script - 1 - length)) > 0)
		length += part;
	close(4);
	script[length] = 0;
	for (char *rest = script, *line; (line = strsep(&rest, "\n")) && count < LINES_MAX;)
		if (line[0])
			lines[count++] = line;
	run(0, count);
	if (ready_fd >= 0)
		ready();
	for (;;)
		pause();
}
