// What the subscribers program counts, over all streams, and how it is printed.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "histogram.h"
#include "process.h"
#include "sequence.h"

typedef enum { RAMP, WARMUP, MEASURE, DRAIN, FINISHED } Phase;

static const char *const PHASE_NAMES[] = {"ramp", "warmup", "measure", "drain", "finished"};

// What was counted at one moment; the difference of two is what happened between them.
typedef struct {
  int64_t at_us;
  uint64_t events, writes, bytes, sampled_bytes;
  double cpu_seconds;
} Reading;

typedef struct {
  Phase phase;
  uint64_t ok, failed, broken, closed_by_server, close_events, stalled, stalled_cut, reconnects;
  uint64_t sampled, events, other_events, resets, writes, bytes, sampled_bytes, id_bytes;
  uint64_t streams_without_events;
  int64_t lowest_last, highest_last;
  SequenceFaults faults;
  Histogram latency_us, first_byte_us, first_event_us;
  Reading begin, end;
} Totals;

static inline Reading totals_reading(const Totals *t) {
  return (Reading){steady_us(), t->events, t->writes, t->bytes, t->sampled_bytes, cpu_seconds()};
}

static inline void totals_begin_measuring(Totals *t) { t->begin = t->end = totals_reading(t); }

static inline void totals_end_measuring(Totals *t) { t->end = totals_reading(t); }

// Adds what a sampled stream is still missing, and where it stands. A stream that silently stopped
// has no gaps; it shows as the lowest last number.
static inline void totals_take_sequence(Totals *t, Sequence *sequence, bool open) {
  sequence_finish(sequence, &t->faults);
  if (!open) return;
  if (!sequence->started) {
    t->streams_without_events++;
    return;
  }
  int64_t last = sequence->next - 1;
  if (t->highest_last == 0 || last > t->highest_last) t->highest_last = last;
  if (t->lowest_last == 0 || last < t->lowest_last) t->lowest_last = last;
}

static inline void totals_report_progress(const Totals *t, int64_t elapsed_us) {
  fprintf(stderr,
          "{\"phase\":\"%s\",\"seconds\":%.1f,\"ok\":%llu,\"failed\":%llu,\"events\":%llu,\"bytes\":%llu,"
          "\"gaps\":%llu,\"repeats\":%llu,\"p50Us\":%llu,\"p99Us\":%llu}\n",
          PHASE_NAMES[t->phase], (double)elapsed_us / 1e6, (unsigned long long)t->ok,
          (unsigned long long)t->failed, (unsigned long long)t->events, (unsigned long long)t->bytes,
          (unsigned long long)t->faults.gaps, (unsigned long long)t->faults.repeats,
          (unsigned long long)histogram_quantile(&t->latency_us, 0.5),
          (unsigned long long)histogram_quantile(&t->latency_us, 0.99));
}

static inline void print_count(const char *name, uint64_t count) {
  printf("\"%s\":%llu,", name, (unsigned long long)count);
}

static inline void totals_print(const Totals *t, uint64_t connections) {
  uint64_t events = t->end.events - t->begin.events, bytes = t->end.bytes - t->begin.bytes;
  uint64_t sampled_bytes = t->end.sampled_bytes - t->begin.sampled_bytes;
  // All streams carry the same events, so bytes tell how many were delivered over those not parsed.
  double deliveries = sampled_bytes == 0 ? 0 : (double)events * (double)bytes / (double)sampled_bytes;
  printf("{");
  print_count("connections", connections);
  print_count("ok", t->ok);
  print_count("failed", t->failed);
  print_count("broken", t->broken);
  print_count("closedByServer", t->closed_by_server);
  print_count("closeEvents", t->close_events);
  print_count("stalled", t->stalled);
  print_count("stalledCut", t->stalled_cut);
  print_count("reconnects", t->reconnects);
  print_count("sampled", t->sampled);
  print_count("events", t->events);
  print_count("otherEvents", t->other_events);
  print_count("resets", t->resets);
  print_count("bytes", t->bytes);
  print_count("gaps", t->faults.gaps);
  print_count("repeats", t->faults.repeats);
  print_count("reordered", t->faults.reordered);
  print_count("streamsWithoutEvents", t->streams_without_events);
  print_count("lowestLast", (uint64_t)t->lowest_last);
  print_count("highestLast", (uint64_t)t->highest_last);
  printf("\"idBytes\":%.1f,", t->events > 0 ? (double)t->id_bytes / (double)t->events : 0);
  printf("\"measured\":{\"seconds\":%.3f,", (double)(t->end.at_us - t->begin.at_us) / 1e6);
  print_count("events", events);
  print_count("writes", t->end.writes - t->begin.writes);
  print_count("bytes", bytes);
  print_count("sampledBytes", sampled_bytes);
  print_count("deliveries", (uint64_t)deliveries);
  printf("\"cpuSeconds\":%.2f},", t->end.cpu_seconds - t->begin.cpu_seconds);
  histogram_print(stdout, "latencyUs", &t->latency_us);
  printf(",");
  histogram_print(stdout, "firstByteUs", &t->first_byte_us);
  printf(",");
  histogram_print(stdout, "firstEventUs", &t->first_event_us);
  printf(",\"cpuSeconds\":%.2f}\n", cpu_seconds());
}
