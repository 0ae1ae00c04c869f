// Several processes that hold streams, and one that says when the phases begin, sums up, and prints.
#pragma once
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "generator-options.h"
#include "totals-print.h"

// In memory that all processes have in common. The coordinator alone writes `phase` and `storms`, and
// each of the others its own totals; the coordinator may read a count that is a moment old.
typedef struct {
  atomic_int phase;
  atomic_int storms;  // how many have been asked for so far
  Totals totals[MAX_PROCESSES];
} Shared;

// Holds `count` streams from number `first` on until the phase is FINISHED.
typedef void (*HoldShare)(Shared *shared, int first, int count, Totals *own);

static pid_t holders[MAX_PROCESSES];
static volatile sig_atomic_t storms_requested;

static void request_storm(int signal) {
  (void)signal;
  storms_requested++;
}

static void start_holders(Shared *shared, const Options *options, HoldShare hold) {
  pid_t coordinator = getpid();
  int first = 0;
  for (int i = 0; i < options->processes; i++) {
    int end = (int)((int64_t)options->connections * (i + 1) / options->processes);
    holders[i] = fork();
    if (holders[i] < 0) fail("fork");
    if (holders[i] == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != coordinator) _exit(1);  // it died before that
      // What is pressed on a terminal goes to all of them; the coordinator decides.
      signal(SIGINT, SIG_IGN);
      signal(SIGUSR1, SIG_IGN);
      signal(SIGTERM, SIG_DFL);
      hold(shared, first, end - first, &shared->totals[i]);
      _exit(0);
    }
    first = end;
  }
}

static void complain(pid_t ended, int status) {
  bool killed = WIFSIGNALED(status);
  fprintf(stderr, "subscribers: the process %d ended early (%s %d)\n", (int)ended, killed ? "signal" : "status",
          killed ? WTERMSIG(status) : WEXITSTATUS(status));
}

// One that ended during the run has taken its counts along: the others are ended, and the run has failed.
static void watch_holders(const Options *options) {
  int status;
  pid_t ended = waitpid(-1, &status, WNOHANG);
  if (ended <= 0) return;
  complain(ended, status);
  for (int i = 0; i < options->processes; i++) {
    if (holders[i] == ended) continue;
    kill(holders[i], SIGKILL);
    waitpid(holders[i], NULL, 0);
  }
  exit(1);
}

static bool have_ended_well(const Options *options) {
  bool well = true;
  for (int i = 0; i < options->processes; i++) {
    int status;
    while (waitpid(holders[i], &status, 0) < 0 && errno == EINTR) continue;
    if (status == 0) continue;
    complain(holders[i], status);
    well = false;
  }
  return well;
}

// The phase that is due. In the ramp, everybody has been answered or refused first, or time is up.
static Phase due_phase(const Options *options, const Counts *sum, Phase phase, int64_t now_us, int64_t end_us) {
  static const Phase next[] = {WARMUP, MEASURE, DRAIN, FINISHED, FINISHED};
  if (stop_requested || sum->events >= options->max_events) return FINISHED;
  bool settled = sum->ok + sum->failed == (uint64_t)options->connections;
  return now_us >= end_us || (phase == RAMP && settled) ? next[phase] : phase;
}

static int64_t length_us(const Options *options, Phase phase) {
  switch (phase) {
    case RAMP: return (int64_t)(options->connections / options->ramp * 1e6) + 30000000;
    case WARMUP: return options->warmup_us;
    case MEASURE: return options->measure_us;
    case DRAIN: return options->drain_us;
    default: return 0;
  }
}

static void begin_storm(Shared *shared, const Options *options) {
  if (options->sample > 1) fprintf(stderr, "subscribers: no storm, as that needs --sample 1\n");
  else atomic_fetch_add(&shared->storms, 1);
}

static void report(const Shared *shared, const Options *options, Phase phase, int64_t elapsed_us) {
  totals_report_progress(totals_sum(shared->totals, options->processes), phase, elapsed_us);
}

// Leads through the phases until the last one.
static void lead(Shared *shared, const Options *options) {
  static const struct timespec TURN = {.tv_nsec = 5000000};
  int64_t start_us = steady_us(), report_us = start_us + 1000000, measure_us = 0;
  int64_t end_us = start_us + length_us(options, RAMP);
  Phase phase = RAMP;
  int storms = 0;
  bool stormed = options->storm_at_us < 0;
  while (phase != FINISHED) {
    nanosleep(&TURN, NULL);
    watch_holders(options);
    int64_t now_us = steady_us();
    Counts sum = counts_sum(shared->totals, options->processes);
    Phase due = due_phase(options, &sum, phase, now_us, end_us);
    if (due != phase) {
      phase = due;
      atomic_store(&shared->phase, (int)phase);
      end_us = now_us + length_us(options, phase);
      if (phase == MEASURE) measure_us = now_us;
      report(shared, options, phase, now_us - start_us);
    } else if (now_us >= report_us) {
      report(shared, options, phase, now_us - start_us);
      report_us += 1000000;
    }
    if (!stormed && phase == MEASURE && now_us >= measure_us + options->storm_at_us) {
      stormed = true;
      begin_storm(shared, options);
    }
    for (; storms < storms_requested; storms++) begin_storm(shared, options);
  }
}

// Runs the whole, and prints what was counted. Returns the exit status.
static int coordinate(const Options *options, HoldShare hold) {
  Shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) fail("mmap");
  signal(SIGUSR1, request_storm);
  start_holders(shared, options, hold);
  lead(shared, options);
  if (!have_ended_well(options)) return 1;
  totals_print(totals_sum(shared->totals, options->processes), options->connections, options->processes,
               cpu_seconds() + cpu_seconds_of(RUSAGE_CHILDREN));
  return 0;
}
