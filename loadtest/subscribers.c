// Holds many event streams from one thread, and checks what comes over them.
//
//   subscribers --target 127.0.0.1:3000 [--path /events] ({n} in it is the stream's number)
//     [--connections 1000] [--ramp 2000 a second]
//     [--warmup 2] [--seconds 10] [--drain 0] [--max-events 1e9] [--sample 1] [--sources 9]
//     [--receive-buffer 0] [--stall-percent 0] [--reconnect-every 0] [--reconnect-percent 10]
//
// It opens all streams, warms up, measures for --seconds, and reads on for --drain seconds, in which
// the publisher should be silent: a number that is missing then will not come.
//
// Each --sample'th stream is parsed whole. Of the others the answer's head and the first event are
// parsed, and their bytes counted without being copied, so that this program is not what is measured.
//
// stderr: a JSON line a second and at each change of phase (ramp, warmup, measure, drain).
// stdout: one JSON object at the end.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arguments.h"
#include "event-stream.h"
#include "histogram.h"
#include "process.h"
#include "sequence.h"
#include "totals.h"

#define READ_BYTES (256 << 10)

typedef enum { UNOPENED, CONNECTING, WAITING, STREAMING, STALLED, CLOSED } SubscriberState;

typedef struct {
  int fd;
  SubscriberState state;
  bool sampled, stalls, settled, got_byte, got_event;
  int64_t opened_us;
  EventStream stream;
  Sequence *sequence;  // of sampled ones only
} Subscriber;

typedef struct {
  struct sockaddr_in target;
  const char *path;
  int connections, sample, sources, receive_buffer, stall_percent, reconnect_percent;
  double ramp, reconnect_every;
  int64_t warmup_us, measure_us, drain_us;
  uint64_t max_events;
} Options;

static Options options;
static Totals totals;
static Subscriber *subscribers;
static int poll_fd;
static char buffer[READ_BYTES];
static int64_t received_us;  // when the bytes that are being parsed were read

static void settle(Subscriber *subscriber, bool ok) {
  if (subscriber->settled) return;
  subscriber->settled = true;
  if (ok) totals.ok++;
  else totals.failed++;
}

static void close_subscriber(Subscriber *subscriber) {
  if (subscriber->state == STREAMING) totals.closed_by_server++;
  if (subscriber->state == STALLED) totals.stalled_cut++;
  settle(subscriber, false);
  close(subscriber->fd);
  subscriber->fd = -1;
  subscriber->state = CLOSED;
}

static void watch(Subscriber *subscriber, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = subscriber};
  epoll_ctl(poll_fd, operation, subscriber->fd, &event);
}

static void open_subscriber(Subscriber *subscriber) {
  int index = (int)(subscriber - subscribers), one = 1;
  subscriber->opened_us = steady_us();
  subscriber->state = CONNECTING;
  subscriber->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (subscriber->fd < 0) fail("socket");
  if (options.receive_buffer > 0) {
    setsockopt(subscriber->fd, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer, sizeof(int));
  }
  // One source address has some 28,000 ports, a minute's worth of closed ones among them.
  setsockopt(subscriber->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  struct sockaddr_in source = {
      .sin_family = AF_INET,
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % options.sources)),
  };
  if (bind(subscriber->fd, (void *)&source, sizeof source)) fail("bind");
  if (connect(subscriber->fd, (void *)&options.target, sizeof options.target) && errno != EINPROGRESS) {
    close_subscriber(subscriber);
    return;
  }
  watch(subscriber, EPOLL_CTL_ADD, EPOLLOUT);
}

// The path, with the subscriber's own number in the place of `{n}`.
static const char *path_of(const Subscriber *subscriber) {
  static char path[8192];
  const char *mark = strstr(options.path, "{n}");
  if (mark == NULL) return options.path;
  snprintf(path, sizeof path, "%.*s%d%s", (int)(mark - options.path), options.path,
           (int)(subscriber - subscribers), mark + 3);
  return path;
}

static void send_request(Subscriber *subscriber) {
  char request[16384];
  const Text *id = &subscriber->stream.last_id;
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n%s%.*s%s\r\n",
                        path_of(subscriber), ntohs(options.target.sin_port), id->length > 0 ? "Last-Event-ID: " : "",
                        (int)id->length, id->length > 0 ? id->bytes : "", id->length > 0 ? "\r\n" : "");
  if (length >= (int)sizeof request || send(subscriber->fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
    close_subscriber(subscriber);
    return;
  }
  subscriber->state = WAITING;
  watch(subscriber, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP);
}

static void take_event(void *context, const Event *event) {
  Subscriber *subscriber = context;
  if (!subscriber->got_event) {
    subscriber->got_event = true;
    histogram_add(&totals.first_event_us, steady_us() - subscriber->opened_us);
  }
  if (event->kind == EVENT_RESET) totals.resets++;
  else if (event->kind == EVENT_CLOSE) totals.close_events++;
  else if (event->kind == EVENT_OTHER) totals.other_events++;
  if (event->kind != EVENT_PAYLOAD || !subscriber->sampled) return;
  totals.events++;
  totals.id_bytes += event->id_bytes;
  sequence_accept(subscriber->sequence, event->number, &totals.faults);
  if (totals.phase == MEASURE) histogram_add(&totals.latency_us, received_us - event->made_us);
}

static void take_bytes(Subscriber *subscriber, size_t count) {
  EventStream *stream = &subscriber->stream;
  uint64_t chunks_before = stream->chunks;
  if (!subscriber->got_byte) {
    subscriber->got_byte = true;
    histogram_add(&totals.first_byte_us, steady_us() - subscriber->opened_us);
  }
  received_us = wall_us();
  event_stream_take(stream, buffer, count, take_event, subscriber);
  if (subscriber->state == WAITING && stream->state != IN_HEAD && stream->status == 200) {
    subscriber->state = STREAMING;
    settle(subscriber, true);
  }
  if (stream->state == BROKEN) totals.broken++;
  if (stream->state == BROKEN || stream->state == ENDED) {
    close_subscriber(subscriber);
    return;
  }
  if (subscriber->sampled) {
    totals.sampled_bytes += count;
    totals.writes += stream->chunks - chunks_before;
  }
  if (subscriber->stalls && subscriber->got_event) {
    subscriber->state = STALLED;
    totals.stalled++;
    watch(subscriber, EPOLL_CTL_MOD, EPOLLRDHUP);
  }
}

static void read_subscriber(Subscriber *subscriber) {
  bool parses = subscriber->sampled || !subscriber->got_event;
  // tcp(7): with MSG_TRUNC the kernel drops the bytes instead of copying them.
  ssize_t count = parses ? recv(subscriber->fd, buffer, sizeof buffer, 0)
                         : recv(subscriber->fd, NULL, READ_BYTES, MSG_TRUNC);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    close_subscriber(subscriber);
    return;
  }
  totals.bytes += (uint64_t)count;
  if (parses) take_bytes(subscriber, (size_t)count);
}

static void serve(Subscriber *subscriber, uint32_t ready) {
  if (subscriber->state == STALLED) close_subscriber(subscriber);
  else if (subscriber->state != CONNECTING) read_subscriber(subscriber);
  else if (ready & (EPOLLERR | EPOLLHUP)) close_subscriber(subscriber);
  else send_request(subscriber);
}

// Cuts some streams, wherever they are in an event, and comes back at once with their last event ids.
static void reconnect_some(int *next) {
  int wanted = options.connections / options.sample * options.reconnect_percent / 100;
  for (int tried = 0; tried < options.connections && wanted > 0; tried++) {
    Subscriber *subscriber = &subscribers[(*next)++ % options.connections];
    if (!subscriber->sampled || subscriber->state != STREAMING) continue;
    close(subscriber->fd);
    event_stream_restart(&subscriber->stream);
    open_subscriber(subscriber);
    totals.reconnects++;
    wanted--;
  }
}

static void make_subscribers(void) {
  subscribers = calloc((size_t)options.connections, sizeof *subscribers);
  if (subscribers == NULL) fail("calloc");
  for (int i = 0; i < options.connections; i++) {
    subscribers[i] = (Subscriber){
        .fd = -1,
        .sampled = i % options.sample == 0,
        // From the other end of each hundred, so that a sampled stream is rarely a stalled one.
        .stalls = i % 100 >= 100 - options.stall_percent,
    };
    if (!subscribers[i].sampled) continue;
    subscribers[i].sequence = calloc(1, sizeof(Sequence));
    if (subscribers[i].sequence == NULL) fail("calloc");
    totals.sampled++;
  }
}

static void read_options(int count, char **words) {
  Arguments a = read_arguments(count, words);
  options = (Options){
      .target = loopback_argument(&a, "--target"),
      .path = text_argument(&a, "--path", "/events"),
      .connections = (int)number_argument(&a, "--connections", 1000, 1, MAX_SOCKETS),
      .ramp = number_argument(&a, "--ramp", 2000, 1, 20000),
      .warmup_us = (int64_t)(number_argument(&a, "--warmup", 2, 0, 600) * 1e6),
      .measure_us = (int64_t)(number_argument(&a, "--seconds", 10, 0.1, 600) * 1e6),
      .drain_us = (int64_t)(number_argument(&a, "--drain", 0, 0, 60) * 1e6),
      .max_events = (uint64_t)number_argument(&a, "--max-events", 1e9, 1, 1e12),
      .sample = (int)number_argument(&a, "--sample", 1, 1, MAX_SOCKETS),
      .sources = (int)number_argument(&a, "--sources", 9, 1, 9),
      .receive_buffer = (int)number_argument(&a, "--receive-buffer", 0, 0, 1 << 26),
      .stall_percent = (int)number_argument(&a, "--stall-percent", 0, 0, 100),
      .reconnect_every = number_argument(&a, "--reconnect-every", 0, 0, 600),
      .reconnect_percent = (int)number_argument(&a, "--reconnect-percent", 10, 0, 100),
  };
  refuse_unknown_arguments(&a);
}

// Goes on to the phase that is due. In the ramp, everybody has been answered or refused first, or time is up.
static bool change_phase(int64_t now_us, int64_t *phase_end_us) {
  bool settled = totals.ok + totals.failed == (uint64_t)options.connections;
  if (now_us < *phase_end_us && !(totals.phase == RAMP && settled)) return false;
  static const Phase next[] = {WARMUP, MEASURE, DRAIN, FINISHED};
  if (totals.phase == MEASURE) totals_end_measuring(&totals);
  totals.phase = next[totals.phase];
  if (totals.phase == MEASURE) totals_begin_measuring(&totals);
  *phase_end_us = now_us + (totals.phase == WARMUP    ? options.warmup_us
                            : totals.phase == MEASURE ? options.measure_us
                                                      : options.drain_us);
  return true;
}

// How long to let arrive what arrives before it is read.
static const struct timespec GATHER = {.tv_nsec = 200000};

static void run(void) {
  int64_t start_us = steady_us(), report_us = start_us + 1000000, reconnect_us = 0;
  int64_t phase_end_us = start_us + (int64_t)(options.connections / options.ramp * 1e6) + 30000000;
  struct epoll_event ready[512];
  int opened = 0, next_to_reconnect = 0;
  while (totals.phase != FINISHED && !stop_requested && totals.events < options.max_events) {
    int64_t now_us = steady_us();
    int due = (int)((double)(now_us - start_us) / 1e6 * options.ramp) + 1;
    while (opened < due && opened < options.connections) open_subscriber(&subscribers[opened++]);
    bool changed = change_phase(now_us, &phase_end_us);
    if (changed || now_us >= report_us) {
      totals_report_progress(&totals, now_us - start_us);
      if (!changed) report_us += 1000000;
    }
    bool reconnects = options.reconnect_every > 0 && (totals.phase == WARMUP || totals.phase == MEASURE);
    if (reconnects && now_us >= reconnect_us) {
      if (reconnect_us > 0) reconnect_some(&next_to_reconnect);
      reconnect_us = now_us + (int64_t)(options.reconnect_every * 1e6);
    }
    int n = epoll_wait(poll_fd, ready, 512, totals.phase == RAMP ? 1 : 20);
    for (int i = 0; i < n; i++) serve(ready[i].data.ptr, ready[i].events);
    // A server's next writes would wake this process one by one, at the server's cost: a client on
    // another machine costs it nothing there. What gathers meanwhile is read at once, at most this late.
    nanosleep(&GATHER, NULL);
  }
  if (totals.phase == MEASURE) totals_end_measuring(&totals);
}

int main(int count, char **words) {
  read_options(count, words);
  prepare_process();
  make_subscribers();
  poll_fd = epoll_create1(0);
  run();
  for (int i = 0; i < options.connections; i++) {
    Subscriber *subscriber = &subscribers[i];
    if (subscriber->sampled && subscriber->state != STALLED) {
      totals_take_sequence(&totals, subscriber->sequence, subscriber->state == STREAMING);
    }
  }
  totals_print(&totals, (uint64_t)options.connections);
  return 0;
}
