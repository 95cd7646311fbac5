/* rare-answer: runs a server and gives it rare answers of the kernel, by seccomp user notification (seccomp_unotify(2)).
 * Linux 5.6 or later; any user.  gcc -O1 -Wall -o rare-answer rare-answer.c
 * ./rare-answer [-f FIRST] [-w SECONDS] [-q] [-g] CALL[:KIND] ERRNO TIMES -- SERVER ARGS...
 *   CALL   accept, read, write, wait, fork, open, getpeername, setsockopt or shutdown: all system calls of that kind
 *   KIND   listener, stream (a connected socket), dgram, out (what descriptor 1 or 2 was at the start); without it any
 *   ERRNO  such as ENOBUFS
 *   TIMES  how many calls are answered so; 0: all of them
 *   -f N   begins with the Nth such call;  -w S  begins after S seconds (the server has started by then);  -q  prints only counts
 *   -g     a stream whose call is answered is reset too, as the error says that its peer is gone
 * All other calls are let through, and the server ends with rare-answer.  A line of the standard error tells each answer. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct { const char *kind; int nr; const char *name; } calls[] = {
#define C(k, n) { k, SYS_##n, #n }
	C("accept", accept), C("accept", accept4), C("read", read), C("read", readv), C("read", recvfrom), C("read", recvmsg),
	C("write", write), C("write", writev), C("write", sendto), C("write", sendmsg), C("write", sendfile),
	C("wait", epoll_pwait), C("fork", clone), C("fork", clone3), C("open", openat), C("open", socket), C("open", pipe2),
	C("open", eventfd2), C("open", epoll_create1), C("getpeername", getpeername), C("setsockopt", setsockopt), C("shutdown", shutdown),
#ifdef __x86_64__
	C("wait", epoll_wait), C("fork", fork), C("fork", vfork), C("open", open), C("open", pipe), C("open", eventfd),
#endif
};
#define N (sizeof calls / sizeof *calls)

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }

static void die(const char *what) { perror(what); exit(125); }

/* The descriptor of another process, or -1. */
static int copy_of(pid_t tid, int fd) {
	char path[64], line[128]; int tgid = tid;
	snprintf(path, sizeof path, "/proc/%d/status", tid);
	FILE *status = fopen(path, "r");
	while (status && fgets(line, sizeof line, status)) sscanf(line, "Tgid: %d", &tgid);
	if (status) fclose(status);
	int pidfd = syscall(SYS_pidfd_open, tgid, 0);
	if (pidfd < 0) return -1;
	int copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	return copy;
}

static int is_kind(int fd, const char *kind, struct stat *out) {
	int listens = 0, type = 0; socklen_t len = sizeof listens; struct stat st;
	struct sockaddr_storage peer; socklen_t plen = sizeof peer;
	if (!kind) return 1;
	if (fd < 0) return 0;
	if (!strcmp(kind, "out"))
		return !fstat(fd, &st) && ((st.st_ino == out[0].st_ino && st.st_dev == out[0].st_dev) || (st.st_ino == out[1].st_ino && st.st_dev == out[1].st_dev));
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len)) return 0;
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
	if (!strcmp(kind, "dgram")) return type == SOCK_DGRAM;
	if (!strcmp(kind, "listener")) return listens;
	return type == SOCK_STREAM && !listens && !getpeername(fd, (void *)&peer, &plen) && peer.ss_family != AF_UNIX;
}

int main(int argc, char **argv) {
	int opt, quiet = 0, gone = 0, seen = 0, given = 0, status, pair[2]; long first = 1; double from = 0;
	while ((opt = getopt(argc, argv, "+f:w:qg")) != -1) switch (opt) {
		case 'f': first = atol(optarg); break;
		case 'w': from = atof(optarg); break;
		case 'q': quiet = 1; break;
		case 'g': gone = 1; break;
		default: return 125;
	}
	argv += optind;
	if (argc - optind < 5 || strcmp(argv[3], "--")) { fprintf(stderr, "rare-answer [-f FIRST] [-w SECONDS] [-q] [-g] CALL[:KIND] ERRNO TIMES -- SERVER ARGS...\n"); return 125; }
	char *kind = strchr(argv[0], ':'); if (kind) *kind++ = 0;
	long times = atol(argv[2]); int error = 0;
	for (int e = 1; e < 134; e++) if (strerrorname_np(e) && !strcmp(strerrorname_np(e), argv[1])) error = e;
	if (!error) { fprintf(stderr, "no such error\n"); return 125; }
	struct stat out[2] = {{0}}; fstat(1, &out[0]); fstat(2, &out[1]);

	struct sock_filter filter[2 * N + 2]; int n = 0, watched = 0;
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < N; i++) if (!strcmp(calls[i].kind, argv[0])) {
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].nr, 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
		watched++;
	}
	if (!watched) { fprintf(stderr, "no such call\n"); return 125; }
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { n, filter };
	/* The child passes its descriptor on by its number: no call that is watched is needed for that. */
	char shared[] = "/tmp/rare-XXXXXX"; int file = mkstemp(shared); unlink(shared);
	if (file < 0 || pipe(pair)) die("pipe");
	pid_t child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Who is not root may take a filter on only without new privileges (seccomp(2)). */
		if (geteuid()) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		/* A call that waits for us is not to be interrupted by what would not interrupt it otherwise (Linux 5.19). */
		int flags = SECCOMP_FILTER_FLAG_NEW_LISTENER, killable = flags | 1 << 5, listener;
		if ((listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, killable, &program)) < 0)
			listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
		if (listener < 0) die("seccomp");
		ftruncate(file, listener);
		fcntl(listener, F_SETFD, FD_CLOEXEC);
		while (syscall(SYS_lseek, file, 0, SEEK_CUR) == 0) usleep(1000);
		execvp(argv[4], argv + 4);
		_exit(127);
	}
	struct stat st; do { usleep(1000); fstat(file, &st); } while (!st.st_size && !waitpid(child, &status, WNOHANG));
	int listener = copy_of(child, st.st_size);
	if (listener < 0) die("pidfd_getfd");
	lseek(file, 1, SEEK_SET); /* shared with the child, who goes on now */
	double begun = now(), told = begun;
	for (;;) {
		struct pollfd wait = { listener, POLLIN, 0 };
		int ready = poll(&wait, 1, 100);
		if (waitpid(child, &status, WNOHANG) == child) break;
		if (quiet && now() - told > 1) { fprintf(stderr, "rare-answer: %d of %d calls answered %s\n", given, seen, argv[1]); told = now(); }
		if (ready < 1 || wait.revents & POLLHUP) continue;
		struct seccomp_notif call = {0}; struct seccomp_notif_resp answer = {0};
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call)) continue;
		answer.id = call.id;
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		int copy = kind ? copy_of(call.pid, call.data.args[0]) : -1;
		if (now() - begun >= from && is_kind(copy, kind, out) && ++seen >= first && (!times || given < times)) {
			const char *name = "?";
			for (size_t i = 0; i < N; i++) if (calls[i].nr == call.data.nr) name = calls[i].name;
			answer.flags = 0; answer.error = -error; given++;
			if (gone && copy >= 0) { struct sockaddr none = { AF_UNSPEC }; connect(copy, &none, sizeof none); }
			if (!quiet) fprintf(stderr, "rare-answer: %s(%d) of %d, call %d: %s\n", name, (int)call.data.args[0], call.pid, seen, argv[1]);
		}
		if (copy >= 0) close(copy);
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
	if (WIFSIGNALED(status)) fprintf(stderr, "rare-answer: the server was ended by %s; %d answers\n", strsignal(WTERMSIG(status)), given);
	else fprintf(stderr, "rare-answer: the server ended with status %d; %d answers\n", WEXITSTATUS(status), given);
	return 0;
}
