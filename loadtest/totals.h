// What the subscribers program counts: each of its processes for its own streams, summed up in the end.
#pragma once
#include <stdint.h>

#include "histogram.h"
#include "process.h"
#include "sequence.h"

typedef enum { RAMP, WARMUP, MEASURE, DRAIN, FINISHED } Phase;

static const char *const PHASE_NAMES[] = {"ramp", "warmup", "measure", "drain", "finished"};

// Nothing but counts of 64 bits, so that they are added up as an array.
typedef struct {
  uint64_t ok, failed, broken, gzip_errors, closed_by_server, close_events, stalled, stalled_cut, reconnects;
  uint64_t lost;      // streams that were cut in a storm, or taken by the server, and are to come back
  uint64_t returned;  // of those, how many have had an event again
  uint64_t away;      // of those, how many have had no `live` event yet
  uint64_t open;      // streams that are open at the end
  uint64_t sampled, events, other_events, resets, writes, bytes, sampled_bytes, inflated_bytes, id_bytes;
  uint64_t streams_without_events;
  SequenceFaults faults;
} Counts;

#define COUNTS (sizeof(Counts) / sizeof(uint64_t))

// What was counted at one moment; the difference of two is what happened between them.
typedef struct {
  int64_t at_us;
  double cpu_seconds;
  Counts counts;
} Reading;

typedef struct {
  Counts counts;
  int64_t lowest_last, highest_last;
  int64_t last_back_us;  // since 1970: when a stream was last `live` again
  Histogram latency_us, first_byte_us, first_event_us, back_us;
  Reading begin, end;
} Totals;

static inline void counts_add(Counts *into, const Counts *from) {
  // The casts hold: a Counts is an array of 64-bit counts by another name.
  uint64_t *sums = (uint64_t *)into;
  const uint64_t *more = (const uint64_t *)from;
  for (size_t i = 0; i < COUNTS; i++) sums[i] += more[i];
}

static inline Reading totals_reading(const Totals *t) {
  return (Reading){steady_us(), cpu_seconds(), t->counts};
}

static inline void totals_begin_measuring(Totals *t) { t->begin = t->end = totals_reading(t); }

static inline void totals_end_measuring(Totals *t) { t->end = totals_reading(t); }

// Adds what a sampled stream is still missing, and where it stands. A stream that silently stopped
// has no gaps; it shows as the lowest last number.
static inline void totals_take_sequence(Totals *t, Sequence *sequence, bool open) {
  sequence_finish(sequence, &t->counts.faults);
  if (!open) return;
  if (!sequence->started) {
    t->counts.streams_without_events++;
    return;
  }
  int64_t last = sequence->next - 1;
  if (t->highest_last == 0 || last > t->highest_last) t->highest_last = last;
  if (t->lowest_last == 0 || last < t->lowest_last) t->lowest_last = last;
}

static inline void reading_add(Reading *into, const Reading *from) {
  into->at_us += from->at_us;
  into->cpu_seconds += from->cpu_seconds;
  counts_add(&into->counts, &from->counts);
}

static inline void totals_add(Totals *into, const Totals *from) {
  counts_add(&into->counts, &from->counts);
  if (from->highest_last > into->highest_last) into->highest_last = from->highest_last;
  if (into->lowest_last == 0 || (from->lowest_last != 0 && from->lowest_last < into->lowest_last)) {
    into->lowest_last = from->lowest_last;
  }
  if (from->last_back_us > into->last_back_us) into->last_back_us = from->last_back_us;
  histogram_merge(&into->latency_us, &from->latency_us);
  histogram_merge(&into->first_byte_us, &from->first_byte_us);
  histogram_merge(&into->first_event_us, &from->first_event_us);
  histogram_merge(&into->back_us, &from->back_us);
  reading_add(&into->begin, &from->begin);
  reading_add(&into->end, &from->end);
}

// The counts alone, which is quick.
static inline Counts counts_sum(const Totals *parts, int count) {
  Counts sum = {0};
  for (int i = 0; i < count; i++) counts_add(&sum, &parts[i].counts);
  return sum;
}

// The sum over `count` processes. Their windows begin and end within milliseconds of each other: the
// window of all is the mean of theirs.
static inline Totals *totals_sum(const Totals *parts, int count) {
  static Totals sum;
  sum = (Totals){0};
  for (int i = 0; i < count; i++) totals_add(&sum, &parts[i]);
  sum.begin.at_us /= count;
  sum.end.at_us /= count;
  return &sum;
}
