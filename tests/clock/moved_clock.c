/*
 * A clock that a test moves, for LD_PRELOAD. tests/moved_clock.py compiles this, and says how it is used.
 *
 * The file of MOVED_CLOCK_FILE says since when the clock is off by how much, a line for each time that it was moved:
 * "REAL OFFSET\n", nanoseconds, of fixed width, in order, and zeros behind. moved(t) = t + OFFSET of the last line whose
 * REAL is not after t; before the first line time is as it is. The file only grows, and is mapped: a look at the clock
 * is no system call, takes no lock, and knows of a move at once.
 *
 * - The time of day is moved(now). Monotonic clocks are as they are.
 * - The kernel dates files by real time: what stat tells is moved(t), by the line that was the last at that moment.
 * - A date that is set is taken the other way round, so that stat gives it back. Where two moments are moved to it, it is
 *   the one before the first line, which no later move shifts. To some dates no moment is moved (the clock went past
 *   them): then stat gives back the nearest that there is.
 * - Waits until a time of day (semaphores, mutexes, sleep) end at the moved time.
 *
 * Not seen: what makes its system calls itself (Go), what libc does within itself (nftw), and what sudo or ssh starts:
 * that is seen where /etc/ld.so.preload names this library, and the clock is /etc/moved-clock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#define NANO 1000000000LL
#define FAR 9000000000LL /* seconds; what is dated beyond stays as it is, and no sum overflows */
#define REAL_WIDTH 19
#define OF_HOST "/etc/moved-clock" /* of all processes of a host that has this in /etc/ld.so.preload, those of sudo too */
#define LINE 40 /* 19 digits, a space, a sign, 18 digits, a newline */

#ifndef SYS_newfstatat
#error "a 64-bit Linux is needed"
#endif

static const char none[1];
static const char *lines; /* NULL before the first look, `none` without a file */
static long most;         /* lines that the file has room for */
static int (*libc_clock_gettime)(clockid_t, struct timespec *);
static int (*libc_sem_timedwait)(sem_t *, const struct timespec *);
static int (*libc_mutex_timedlock)(pthread_mutex_t *, const struct timespec *);

/* Threads that do this at the same time get to the same, and each mapping is of the same file. */
__attribute__((constructor)) static void begin(void)
{
    int before = errno;
    const char *given = getenv("MOVED_CLOCK_FILE"), *path = given ? given : OF_HOST, *found = none;
    struct stat facts;
    int fd;

    if (__atomic_load_n(&lines, __ATOMIC_ACQUIRE))
        return;
    libc_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    libc_sem_timedwait = (int (*)(sem_t *, const struct timespec *))dlsym(RTLD_NEXT, "sem_timedwait");
    libc_mutex_timedlock =
        (int (*)(pthread_mutex_t *, const struct timespec *))dlsym(RTLD_NEXT, "pthread_mutex_timedlock");
    if ((fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC)) >= 0) {
        if (syscall(SYS_fstat, fd, &facts) == 0 && facts.st_size >= LINE) {
            void *mapped = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED, fd, 0);
            if (mapped != MAP_FAILED) {
                most = facts.st_size / LINE;
                found = mapped;
            }
        }
        syscall(SYS_close, fd);
    }
    __atomic_store_n(&lines, found, __ATOMIC_RELEASE);
    errno = before;
}

/* How many lines are there: those whose newline, which is written last, is. */
static long count(void)
{
    const char *at = __atomic_load_n(&lines, __ATOMIC_ACQUIRE);
    long low = 0, high;

    if (!at) {
        begin();
        at = lines;
    }
    if (at == none)
        return 0;
    for (high = most; low < high;) {
        long middle = low + (high - low) / 2;
        if (__atomic_load_n(at + middle * LINE + LINE - 1, __ATOMIC_ACQUIRE) == '\n')
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t number(const char *digits, int width)
{
    int64_t value = 0;
    while (width--)
        value = value * 10 + (*digits++ - '0');
    return value;
}

static int64_t since(long line)
{
    return number(lines + line * LINE, REAL_WIDTH);
}

static int64_t offset(long line)
{
    const char *sign = lines + line * LINE + REAL_WIDTH + 1;
    int64_t value = number(sign + 1, LINE - REAL_WIDTH - 3);
    return *sign == '-' ? -value : value;
}

static int64_t moved(int64_t real)
{
    long low = 0, high = count();
    if (high && since(high - 1) <= real)
        return real + offset(high - 1);
    while (low < high) {
        long middle = low + (high - low) / 2;
        if (since(middle) <= real)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? real + offset(low - 1) : real;
}

/* A moment that is moved to this date, or next to it. */
static int64_t unmoved(int64_t date)
{
    long lines_now = count(), line;
    int64_t best, gap;

    if (!lines_now || date < since(0))
        return date;
    best = since(0) - 1;
    gap = date - best;
    for (line = lines_now - 1; line >= 0; line--) {
        int64_t by = offset(line), real = date - by, first = since(line);
        if (real < first)
            real = first;
        else if (line + 1 < lines_now && real >= since(line + 1))
            real = since(line + 1) - 1;
        if (real + by == date)
            return real;
        if (llabs(real + by - date) < gap) {
            gap = llabs(real + by - date);
            best = real;
        }
    }
    return best;
}

static void shift(struct timespec *at, int64_t (*by)(int64_t))
{
    int64_t all;
    if (at->tv_sec > FAR || at->tv_sec < -FAR || at->tv_nsec < 0 || at->tv_nsec >= NANO)
        return; /* UTIME_NOW and UTIME_OMIT, too */
    all = by(at->tv_sec * NANO + at->tv_nsec);
    at->tv_nsec = (all % NANO + NANO) % NANO;
    at->tv_sec = (all - at->tv_nsec) / NANO;
}

/* The time of day */

static int real_gettime(clockid_t clock, struct timespec *now)
{
    count();
    return libc_clock_gettime ? libc_clock_gettime(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int code = real_gettime(clock, now);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
        shift(now, moved);
    return code;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec at;
    if (zone)
        *(struct timezone *)zone = (struct timezone){0};
    if (clock_gettime(CLOCK_REALTIME, &at))
        return -1;
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec at;
    if (clock_gettime(CLOCK_REALTIME, &at))
        return -1;
    if (now)
        *now = at.tv_sec;
    return at.tv_sec;
}

/* Waits until a time of day: as long as there is from the moved now to the moved end. */

static struct timespec real_end(const struct timespec *end)
{
    struct timespec now, real = *end;
    int64_t off;
    if (end->tv_sec > FAR || end->tv_sec < -FAR || real_gettime(CLOCK_REALTIME, &now))
        return real;
    off = moved(now.tv_sec * NANO + now.tv_nsec) - (now.tv_sec * NANO + now.tv_nsec);
    real.tv_sec -= off / NANO;
    real.tv_nsec -= off % NANO;
    if (real.tv_nsec < 0 || real.tv_nsec >= NANO) {
        int carry = real.tv_nsec < 0 ? -1 : 1;
        real.tv_nsec -= carry * NANO;
        real.tv_sec += carry;
    }
    return real;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *end, struct timespec *left)
{
    struct timespec real = *end;
    long before = errno, code;
    if (clock == CLOCK_REALTIME && flags & TIMER_ABSTIME)
        real = real_end(end);
    code = syscall(SYS_clock_nanosleep, clock, flags, &real, left) ? errno : 0;
    errno = (int)before;
    return (int)code;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict end)
{
    struct timespec real = real_end(end);
    return libc_sem_timedwait(semaphore, &real);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict end)
{
    struct timespec real = real_end(end);
    return libc_mutex_timedlock(mutex, &real);
}

/* The dates of files */

static int told(long code, struct stat *facts)
{
    if (code == 0) {
        shift(&facts->st_atim, moved);
        shift(&facts->st_mtim, moved);
        shift(&facts->st_ctim, moved);
    }
    return (int)code;
}

#define AT(directory, path, facts, flags)                                                                              \
    told(syscall(SYS_newfstatat, directory, path, facts, flags), (struct stat *)(facts))
#define FD(fd, facts) told(syscall(SYS_fstat, fd, facts), (struct stat *)(facts))

int stat(const char *restrict path, struct stat *restrict facts) { return AT(AT_FDCWD, path, facts, 0); }
int lstat(const char *restrict path, struct stat *restrict facts)
{
    return AT(AT_FDCWD, path, facts, AT_SYMLINK_NOFOLLOW);
}
int fstat(int fd, struct stat *facts) { return FD(fd, facts); }
int fstatat(int directory, const char *restrict path, struct stat *restrict facts, int flags)
{
    return AT(directory, path, facts, flags);
}

/* On 64-bit machines these are the same by another name. */
int stat64(const char *restrict path, struct stat64 *restrict facts) { return AT(AT_FDCWD, path, facts, 0); }
int lstat64(const char *restrict path, struct stat64 *restrict facts)
{
    return AT(AT_FDCWD, path, facts, AT_SYMLINK_NOFOLLOW);
}
int fstat64(int fd, struct stat64 *facts) { return FD(fd, facts); }
int fstatat64(int directory, const char *restrict path, struct stat64 *restrict facts, int flags)
{
    return AT(directory, path, facts, flags);
}

/* What was built with glibc before 2.33 calls these. */
#define OLDER(suffix)                                                                                                  \
    int __xstat##suffix(int version, const char *path, struct stat##suffix *facts)                                     \
    {                                                                                                                  \
        (void)version;                                                                                                 \
        return AT(AT_FDCWD, path, facts, 0);                                                                           \
    }                                                                                                                  \
    int __lxstat##suffix(int version, const char *path, struct stat##suffix *facts)                                    \
    {                                                                                                                  \
        (void)version;                                                                                                 \
        return AT(AT_FDCWD, path, facts, AT_SYMLINK_NOFOLLOW);                                                         \
    }                                                                                                                  \
    int __fxstat##suffix(int version, int fd, struct stat##suffix *facts)                                              \
    {                                                                                                                  \
        (void)version;                                                                                                 \
        return FD(fd, facts);                                                                                          \
    }                                                                                                                  \
    int __fxstatat##suffix(int version, int directory, const char *path, struct stat##suffix *facts, int flags)        \
    {                                                                                                                  \
        (void)version;                                                                                                 \
        return AT(directory, path, facts, flags);                                                                      \
    }
OLDER()
OLDER(64)

static void shift_statx(struct statx_timestamp *at)
{
    struct timespec plain = {at->tv_sec, at->tv_nsec};
    shift(&plain, moved);
    at->tv_sec = plain.tv_sec;
    at->tv_nsec = (uint32_t)plain.tv_nsec;
}

int statx(int directory, const char *restrict path, int flags, unsigned int mask, struct statx *restrict facts)
{
    long code = syscall(SYS_statx, directory, path, flags, mask, facts);
    if (code == 0) {
        shift_statx(&facts->stx_atime);
        shift_statx(&facts->stx_btime);
        shift_statx(&facts->stx_ctime);
        shift_statx(&facts->stx_mtime);
    }
    return (int)code;
}

static int set(int directory, const char *path, const struct timespec times[2], int flags)
{
    struct timespec real[2];
    if (!times)
        return (int)syscall(SYS_utimensat, directory, path, NULL, flags);
    for (int which = 0; which < 2; which++) {
        real[which] = times[which];
        shift(&real[which], unmoved);
    }
    return (int)syscall(SYS_utimensat, directory, path, real, flags);
}

static int set_micro(int directory, const char *path, const struct timeval times[2], int flags)
{
    struct timespec fine[2];
    if (!times)
        return set(directory, path, NULL, flags);
    for (int which = 0; which < 2; which++) {
        if (times[which].tv_usec < 0 || times[which].tv_usec >= 1000000) {
            errno = EINVAL;
            return -1;
        }
        fine[which] = (struct timespec){times[which].tv_sec, times[which].tv_usec * 1000};
    }
    return set(directory, path, fine, flags);
}

int utimensat(int directory, const char *path, const struct timespec times[2], int flags)
{
    return set(directory, path, times, flags);
}
int futimens(int fd, const struct timespec times[2]) { return set(fd, NULL, times, 0); }
int utimes(const char *path, const struct timeval times[2]) { return set_micro(AT_FDCWD, path, times, 0); }
int lutimes(const char *path, const struct timeval times[2])
{
    return set_micro(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}
int futimes(int fd, const struct timeval times[2]) { return set_micro(fd, NULL, times, 0); }
int futimesat(int directory, const char *path, const struct timeval times[2])
{
    return set_micro(directory, path, times, 0);
}
int utime(const char *path, const struct utimbuf *times)
{
    struct timespec fine[2];
    if (times) {
        fine[0] = (struct timespec){times->actime, 0};
        fine[1] = (struct timespec){times->modtime, 0};
    }
    return set(AT_FDCWD, path, times ? fine : NULL, 0);
}
