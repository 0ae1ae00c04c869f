// How the counts are printed: a line of JSON a second, and one object at the end.
#pragma once
#include <stdio.h>

#include "totals.h"

static inline void print_count(FILE *out, const char *name, uint64_t count) {
  fprintf(out, "\"%s\":%llu,", name, (unsigned long long)count);
}

static inline void totals_report_progress(const Totals *t, Phase phase, int64_t elapsed_us) {
  const Counts *c = &t->counts;
  FILE *out = stderr;
  fprintf(out, "{\"phase\":\"%s\",\"seconds\":%.1f,", PHASE_NAMES[phase], (double)elapsed_us / 1e6);
  print_count(out, "ok", c->ok);
  print_count(out, "failed", c->failed);
  print_count(out, "lost", c->lost);
  print_count(out, "away", c->away);
  print_count(out, "events", c->events);
  print_count(out, "bytes", c->bytes);
  print_count(out, "gaps", c->faults.gaps);
  print_count(out, "repeats", c->faults.repeats);
  print_count(out, "p50Us", histogram_quantile(&t->latency_us, 0.5));
  fprintf(out, "\"p99Us\":%llu}\n", (unsigned long long)histogram_quantile(&t->latency_us, 0.99));
  fflush(out);
}

static inline void print_counts(FILE *out, const Totals *t) {
  const Counts *c = &t->counts;
  print_count(out, "ok", c->ok);
  print_count(out, "failed", c->failed);
  print_count(out, "broken", c->broken);
  print_count(out, "gzipErrors", c->gzip_errors);
  print_count(out, "closedByServer", c->closed_by_server);
  print_count(out, "closeEvents", c->close_events);
  print_count(out, "stalled", c->stalled);
  print_count(out, "stalledCut", c->stalled_cut);
  print_count(out, "reconnects", c->reconnects);
  print_count(out, "lost", c->lost);
  print_count(out, "returned", c->returned);
  print_count(out, "away", c->away);
  print_count(out, "lastBackAtUs", (uint64_t)t->last_back_us);
  print_count(out, "openAtEnd", c->open);
  print_count(out, "sampled", c->sampled);
  print_count(out, "events", c->events);
  print_count(out, "otherEvents", c->other_events);
  print_count(out, "resets", c->resets);
  print_count(out, "bytes", c->bytes);
  print_count(out, "inflatedBytes", c->inflated_bytes);
  print_count(out, "gaps", c->faults.gaps);
  print_count(out, "repeats", c->faults.repeats);
  print_count(out, "reordered", c->faults.reordered);
  print_count(out, "streamsWithoutEvents", c->streams_without_events);
  print_count(out, "lowestLast", (uint64_t)t->lowest_last);
  print_count(out, "highestLast", (uint64_t)t->highest_last);
  fprintf(out, "\"idBytes\":%.1f,", c->events > 0 ? (double)c->id_bytes / (double)c->events : 0);
}

static inline void print_measured(FILE *out, const Reading *begin, const Reading *end) {
  const Counts *a = &begin->counts, *b = &end->counts;
  uint64_t events = b->events - a->events, bytes = b->bytes - a->bytes;
  uint64_t sampled_bytes = b->sampled_bytes - a->sampled_bytes;
  // All streams carry the same events, so bytes tell how many were delivered over those not parsed.
  double deliveries = sampled_bytes == 0 ? 0 : (double)events * (double)bytes / (double)sampled_bytes;
  fprintf(out, "\"measured\":{\"seconds\":%.3f,", (double)(end->at_us - begin->at_us) / 1e6);
  print_count(out, "events", events);
  print_count(out, "writes", b->writes - a->writes);
  print_count(out, "bytes", bytes);
  print_count(out, "sampledBytes", sampled_bytes);
  print_count(out, "inflatedBytes", b->inflated_bytes - a->inflated_bytes);
  print_count(out, "deliveries", (uint64_t)deliveries);
  fprintf(out, "\"cpuSeconds\":%.2f},", end->cpu_seconds - begin->cpu_seconds);
}

static inline void totals_print(const Totals *t, int connections, int processes, double all_cpu_seconds) {
  FILE *out = stdout;
  fprintf(out, "{");
  print_count(out, "connections", (uint64_t)connections);
  print_count(out, "processes", (uint64_t)processes);
  print_counts(out, t);
  print_measured(out, &t->begin, &t->end);
  histogram_print(out, "latencyUs", &t->latency_us);
  fprintf(out, ",");
  histogram_print(out, "firstByteUs", &t->first_byte_us);
  fprintf(out, ",");
  histogram_print(out, "firstEventUs", &t->first_event_us);
  fprintf(out, ",");
  histogram_print(out, "backUs", &t->back_us);
  fprintf(out, ",\"cpuSeconds\":%.2f}\n", all_cpu_seconds);
}
