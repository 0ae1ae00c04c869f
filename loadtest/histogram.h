// Counts of values on a logarithmic scale: 64 steps to each doubling, so a quantile is at most 1.6% too high.
#pragma once
#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_STEPS (1 << HISTOGRAM_STEP_BITS)

typedef struct {
  uint64_t buckets[64 * HISTOGRAM_STEPS];
  uint64_t total;
  uint64_t max;
} Histogram;

static inline void histogram_add(Histogram *histogram, int64_t value) {
  // Two clocks' readings may differ by less than nothing; that is no time at all.
  uint64_t v = value > 0 ? (uint64_t)value : 0;
  unsigned shift = v < HISTOGRAM_STEPS ? 0 : 63u - (unsigned)__builtin_clzll(v) - HISTOGRAM_STEP_BITS;
  histogram->buckets[shift * HISTOGRAM_STEPS + (v >> shift)]++;
  histogram->total++;
  if (v > histogram->max) histogram->max = v;
}

static inline void histogram_merge(Histogram *into, const Histogram *from) {
  for (unsigned i = 0; i < 64 * HISTOGRAM_STEPS; i++) into->buckets[i] += from->buckets[i];
  into->total += from->total;
  if (from->max > into->max) into->max = from->max;
}

// The least bucket's upper end that `share` (0 to 1) of all values do not pass; 0 where there are none.
static inline uint64_t histogram_quantile(const Histogram *histogram, double share) {
  uint64_t wanted = (uint64_t)((double)histogram->total * share), seen = 0;
  if (wanted < 1) wanted = 1;
  for (unsigned i = 0; i < 64 * HISTOGRAM_STEPS; i++) {
    seen += histogram->buckets[i];
    if (seen < wanted) continue;
    unsigned shift = i < 2 * HISTOGRAM_STEPS ? 0 : i / HISTOGRAM_STEPS - 1;
    uint64_t upper = (((uint64_t)i - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
    return upper < histogram->max ? upper : histogram->max;
  }
  return 0;
}

static inline void histogram_print(FILE *out, const char *name, const Histogram *histogram) {
  fprintf(out, "\"%s\":{\"count\":%llu,\"p50\":%llu,\"p90\":%llu,\"p95\":%llu,\"p99\":%llu,\"max\":%llu}", name,
          (unsigned long long)histogram->total, (unsigned long long)histogram_quantile(histogram, 0.5),
          (unsigned long long)histogram_quantile(histogram, 0.9),
          (unsigned long long)histogram_quantile(histogram, 0.95),
          (unsigned long long)histogram_quantile(histogram, 0.99), (unsigned long long)histogram->max);
}
