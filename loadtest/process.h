// What both programs need of the process they run in: clocks, CPU time, limits, a bounded life.
#pragma once
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

// One process may open 20,000 files at most on the machines this is made for; both ends of a stream count.
#define MAX_SOCKETS 18999

static inline int64_t clock_us(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

// Microseconds since 1970: what payloads carry, so that two processes can compare.
static inline int64_t wall_us(void) { return clock_us(CLOCK_REALTIME); }

// Microseconds since some start, never backwards: what intervals are taken with.
static inline int64_t steady_us(void) { return clock_us(CLOCK_MONOTONIC); }

// Of RUSAGE_SELF, or of RUSAGE_CHILDREN: those that have ended and been waited for.
static inline double cpu_seconds_of(int who) {
  struct rusage r;
  getrusage(who, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static inline double cpu_seconds(void) { return cpu_seconds_of(RUSAGE_SELF); }

static volatile sig_atomic_t stop_requested;

static void request_stop(int signal) {
  (void)signal;
  stop_requested = 1;
}

// How many files a process may open that has called prepare_process.
static inline long open_files_limit(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_max > 1000000 ? 1000000 : (long)files.rlim_max;
}

// Raises the file limit, stops on SIGINT and SIGTERM, and when the parent dies: a driver that
// crashes must not leave a program behind that loads the machine.
static inline void prepare_process(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, request_stop);
  signal(SIGTERM, request_stop);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  // Sleeps of microseconds: the kernel would else round them up to 50 more.
  prctl(PR_SET_TIMERSLACK, 1);
}

static inline void fail(const char *what) {
  perror(what);
  exit(1);
}
