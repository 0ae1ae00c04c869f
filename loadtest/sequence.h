// Which numbers of a sequence one stream has got. The partitions of a topic may overtake each other,
// so a number is missing only once it is WINDOW numbers behind, or still not there at the end.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SEQUENCE_WINDOW 8192

typedef struct {
  int64_t first;  // the first number seen; what lies before it was sent before this stream was there
  int64_t next;   // the highest number seen, plus one
  bool started;
  uint64_t seen[SEQUENCE_WINDOW / 64];
} Sequence;

// Sums over all streams.
typedef struct {
  uint64_t gaps;       // numbers that never came
  uint64_t repeats;    // numbers that came again, or later than the window
  uint64_t reordered;  // numbers that came after a higher one: normal between partitions
} SequenceFaults;

static inline uint64_t *sequence_word(Sequence *s, int64_t n) {
  return &s->seen[(uint64_t)n % SEQUENCE_WINDOW / 64];
}

static inline uint64_t sequence_bit(int64_t n) { return 1ull << ((uint64_t)n % 64); }

// The lowest number that the window still holds.
static inline int64_t sequence_low(const Sequence *s) {
  return s->next - SEQUENCE_WINDOW > s->first ? s->next - SEQUENCE_WINDOW : s->first;
}

// Counts what is still missing; to be called once, at the end.
static inline void sequence_finish(Sequence *s, SequenceFaults *faults) {
  for (int64_t n = sequence_low(s); n < s->next; n++) {
    if (!(*sequence_word(s, n) & sequence_bit(n))) faults->gaps++;
  }
}

static inline void sequence_raise(Sequence *s, int64_t n, SequenceFaults *faults) {
  if (n - s->next >= SEQUENCE_WINDOW) {
    sequence_finish(s, faults);
    faults->gaps += (uint64_t)(n + 1 - SEQUENCE_WINDOW - s->next);
    memset(s->seen, 0, sizeof s->seen);
    s->next = n + 1;
    return;
  }
  for (; s->next <= n; s->next++) {
    uint64_t *word = sequence_word(s, s->next), bit = sequence_bit(s->next);
    if (s->next - SEQUENCE_WINDOW >= s->first && !(*word & bit)) faults->gaps++;
    *word &= ~bit;
  }
}

static inline void sequence_accept(Sequence *s, int64_t n, SequenceFaults *faults) {
  if (!s->started) {
    s->started = true;
    s->first = s->next = n;
  }
  if (n >= s->next) {
    sequence_raise(s, n, faults);
  } else if (n < s->first) {
    faults->reordered++;
    return;
  } else if (n < sequence_low(s) || (*sequence_word(s, n) & sequence_bit(n))) {
    faults->repeats++;
    return;
  } else {
    faults->reordered++;
  }
  *sequence_word(s, n) |= sequence_bit(n);
}
