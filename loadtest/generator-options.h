// The options of the subscribers program, with what they may be together.
#pragma once
#include "arguments.h"
#include "process.h"

#define MAX_PROCESSES 16
// What nine source addresses have ports for, with as many left that are still closing.
#define MAX_CONNECTIONS 200000
// Files that a process has beside its streams.
#define OTHER_FILES 32

typedef struct {
  struct sockaddr_in target;
  const char *path;
  int connections, processes, sample, sources, receive_buffer, stall_percent, reconnect_percent;
  bool gzip;
  bool returns;  // streams that the server ends come back
  double ramp, reconnect_every;
  int64_t warmup_us, measure_us, drain_us;
  int64_t storm_at_us;  // into the measured window; below 0: none
  int64_t storm_spread_us, retry_us;
  uint64_t max_events;
} Options;

static inline void refuse(bool wrong, const char *why) {
  if (!wrong) return;
  fprintf(stderr, "%s\n", why);
  exit(2);
}

// How many streams one process may hold, by this program's own limit and by the machine's.
static inline int streams_per_process(void) {
  long files = open_files_limit();
  if (files <= OTHER_FILES) return 1;
  return files - OTHER_FILES < MAX_SOCKETS ? (int)files - OTHER_FILES : MAX_SOCKETS;
}

static inline void refuse_what_does_not_fit(const Options *o) {
  int each = streams_per_process(), needed = (o->connections + each - 1) / each;
  char why[256];
  snprintf(why, sizeof why, "--connections %d: one process can hold %d streams here; --processes %d %s", o->connections,
           each, needed, needed > MAX_PROCESSES ? "would be needed: raise the limit of open files" : "or more are needed");
  refuse(needed > o->processes, why);
  refuse(o->processes > o->connections, "--processes: there are fewer --connections than that");
  refuse(o->storm_at_us >= o->measure_us, "--storm-at: the storm must come within --seconds");
  // A stream can only come back with its last event id where it has been parsed.
  refuse(o->sample > 1 && (o->returns || o->storm_at_us >= 0),
         "--sample: with --return or --storm-at every stream is parsed; leave it out");
}

static inline Options read_options(int count, char **words) {
  Arguments a = read_arguments(count, words);
  Options o = {
      .target = loopback_argument(&a, "--target"),
      .path = text_argument(&a, "--path", "/events"),
      .connections = (int)number_argument(&a, "--connections", 1000, 1, MAX_CONNECTIONS),
      .processes = (int)number_argument(&a, "--processes", 1, 1, MAX_PROCESSES),
      .ramp = number_argument(&a, "--ramp", 2000, 1, 20000),
      .warmup_us = (int64_t)(number_argument(&a, "--warmup", 2, 0, 600) * 1e6),
      .measure_us = (int64_t)(number_argument(&a, "--seconds", 10, 0.1, 600) * 1e6),
      .drain_us = (int64_t)(number_argument(&a, "--drain", 0, 0, 60) * 1e6),
      .max_events = (uint64_t)number_argument(&a, "--max-events", 1e9, 1, 1e12),
      .sample = (int)number_argument(&a, "--sample", 1, 1, MAX_CONNECTIONS),
      .sources = (int)number_argument(&a, "--sources", 9, 1, 9),
      .receive_buffer = (int)number_argument(&a, "--receive-buffer", 0, 0, 1 << 26),
      .gzip = number_argument(&a, "--gzip", 0, 0, 1) > 0,
      .stall_percent = (int)number_argument(&a, "--stall-percent", 0, 0, 100),
      .reconnect_every = number_argument(&a, "--reconnect-every", 0, 0, 600),
      .reconnect_percent = (int)number_argument(&a, "--reconnect-percent", 10, 0, 100),
      .returns = number_argument(&a, "--return", 0, 0, 1) > 0,
      .storm_at_us = (int64_t)(number_argument(&a, "--storm-at", -1, 0, 600) * 1e6),
      .storm_spread_us = (int64_t)(number_argument(&a, "--storm-spread", 2, 0, 60) * 1e6),
      .retry_us = (int64_t)(number_argument(&a, "--retry-every", 0.2, 0.01, 60) * 1e6),
  };
  refuse_unknown_arguments(&a);
  refuse_what_does_not_fit(&o);
  return o;
}
