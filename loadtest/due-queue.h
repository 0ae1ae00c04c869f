// What is due at some time, the next one first: a binary heap.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
  int64_t due_us;
  int what;
} Due;

typedef struct {
  Due *heap;
  int count;
} DueQueue;

// For at most `most` at a time.
static inline DueQueue due_queue_new(int most) {
  Due *heap = calloc((size_t)most, sizeof *heap);
  if (heap == NULL) abort();
  return (DueQueue){.heap = heap};
}

static inline void due_queue_add(DueQueue *queue, int64_t due_us, int what) {
  int at = queue->count++;
  for (; at > 0 && queue->heap[(at - 1) / 2].due_us > due_us; at = (at - 1) / 2) {
    queue->heap[at] = queue->heap[(at - 1) / 2];
  }
  queue->heap[at] = (Due){due_us, what};
}

// Takes the next one, if its time has come.
static inline bool due_queue_take(DueQueue *queue, int64_t now_us, int *what) {
  if (queue->count == 0 || queue->heap[0].due_us > now_us) return false;
  *what = queue->heap[0].what;
  Due moved = queue->heap[--queue->count];
  int at = 0;
  for (;;) {
    int child = 2 * at + 1;
    if (child >= queue->count) break;
    if (child + 1 < queue->count && queue->heap[child + 1].due_us < queue->heap[child].due_us) child++;
    if (queue->heap[child].due_us >= moved.due_us) break;
    queue->heap[at] = queue->heap[child];
    at = child;
  }
  queue->heap[at] = moved;
  return true;
}
