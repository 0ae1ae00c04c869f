// Holds many event streams from a few processes, and checks what comes over them.
//
//   subscribers --target 127.0.0.1:3000 [--path /events] ({n} in it is the stream's number)
//     [--connections 1000] [--processes 1] (of at most 18,999 streams each) [--ramp 2000 a second]
//     [--warmup 2] [--seconds 10] [--drain 0] [--max-events 1e9] [--sample 1] [--sources 9]
//     [--gzip 0|1] [--receive-buffer 0] [--stall-percent 0]
//     [--reconnect-every 0] [--reconnect-percent 10]
//     [--storm-at s] [--storm-spread 2] [--return 0|1] [--retry-every 0.2]
//
// It opens all streams, warms up, measures for --seconds, and reads on for --drain seconds, in which
// the publisher should be silent: a number that is missing then will not come.
//
// Each --sample'th stream is parsed whole. Of the others the answer's head and the first event are
// parsed, and their bytes counted without being copied, so that this program is not what is measured.
// With --gzip 1 an answer that is not gzip counts as failed, and what is parsed is inflated first.
//
// Streams that are cut come back with their last event ids: some of them each --reconnect-every
// seconds, at once; all of them in a storm, which is --storm-at seconds into the measured window and at
// each SIGUSR1, within --storm-spread seconds; with --return 1 also those that the server ends or
// resets. Who is refused tries again each --retry-every seconds, a quarter more or less. As only a
// stream that is parsed knows its last id, storms and --return are for --sample 1 only: all are parsed.
//
// stderr: a JSON line a second and at each change of phase (ramp, warmup, measure, drain).
// stdout: one JSON object at the end, or at SIGINT or SIGTERM.
#define _GNU_SOURCE
#include "coordinator.h"
#include "subscriber.h"

// The streams from `first` on that this process holds.
static void make_subscribers(int first, int count) {
  subscriber_count = count;
  subscribers = calloc((size_t)count, sizeof *subscribers);
  if (subscribers == NULL) fail("calloc");
  comebacks = due_queue_new(count);
  for (int i = 0; i < count; i++) {
    int number = first + i;
    subscribers[i] = (Subscriber){
        .fd = -1,
        .number = number,
        .sampled = number % options.sample == 0,
        // From the other end of each hundred, so that a sampled stream is rarely a stalled one.
        .stalls = number % 100 >= 100 - options.stall_percent,
    };
    if (!subscribers[i].sampled) continue;
    subscribers[i].sequence = calloc(1, sizeof(Sequence));
    if (subscribers[i].sequence == NULL) fail("calloc");
    totals->counts.sampled++;
  }
}

static void reconnect_some(int64_t now_us) {
  static int next;
  int wanted = subscriber_count / options.sample * options.reconnect_percent / 100;
  for (int tried = 0; tried < subscriber_count && wanted > 0; tried++) {
    Subscriber *subscriber = &subscribers[next++ % subscriber_count];
    if (!subscriber->sampled || subscriber->state != STREAMING) continue;
    cut(subscriber, now_us);
    totals->counts.reconnects++;
    wanted--;
  }
}

static void cut_all(int64_t now_us) {
  for (int i = 0; i < subscriber_count; i++) {
    if (subscribers[i].state == STREAMING) cut(&subscribers[i], now_us + spread_us(&subscribers[i]));
  }
}

static void follow_phase(Phase to) {
  if (phase < MEASURE && to >= MEASURE) totals_begin_measuring(totals);
  if (phase <= MEASURE && to > MEASURE) totals_end_measuring(totals);
  phase = to;
}

// How long to let arrive what arrives before it is read.
static const struct timespec GATHER = {.tv_nsec = 200000};

static void hold_streams(Shared *shared) {
  int64_t start_us = steady_us(), reconnect_us = 0;
  double ramp = options.ramp * subscriber_count / options.connections;
  struct epoll_event ready[512];
  int opened = 0, storms = 0;
  while (phase != FINISHED) {
    int64_t now_us = steady_us();
    follow_phase((Phase)atomic_load(&shared->phase));
    int due = (int)((double)(now_us - start_us) / 1e6 * ramp) + 1, place;
    while (opened < due && opened < subscriber_count) open_subscriber(&subscribers[opened++]);
    bool reconnects = options.reconnect_every > 0 && (phase == WARMUP || phase == MEASURE);
    if (reconnects && now_us >= reconnect_us) {
      if (reconnect_us > 0) reconnect_some(now_us);
      reconnect_us = now_us + (int64_t)(options.reconnect_every * 1e6);
    }
    for (; storms < atomic_load(&shared->storms); storms++) cut_all(now_us);
    while (due_queue_take(&comebacks, now_us, &place)) open_subscriber(&subscribers[place]);
    int n = epoll_wait(poll_fd, ready, 512, phase == RAMP || comebacks.count > 0 ? 1 : 20);
    for (int i = 0; i < n; i++) serve(ready[i].data.ptr, ready[i].events);
    // A server's next writes would wake this process one by one, at the server's cost: a client on
    // another machine costs it nothing there. What gathers meanwhile is read at once, at most this late.
    nanosleep(&GATHER, NULL);
  }
}

static void hold_share(Shared *shared, int first, int count, Totals *own) {
  totals = own;
  make_subscribers(first, count);
  srand((unsigned)first + 1);
  poll_fd = epoll_create1(0);
  hold_streams(shared);
  for (int i = 0; i < subscriber_count; i++) {
    Subscriber *subscriber = &subscribers[i];
    if (subscriber->state == STREAMING) totals->counts.open++;
    if (subscriber->sampled && subscriber->state != STALLED) {
      totals_take_sequence(totals, subscriber->sequence, subscriber->state == STREAMING);
    }
  }
}

int main(int count, char **words) {
  options = read_options(count, words);
  prepare_process();
  return coordinate(&options, hold_share);
}
