// The streams of one process: how each is opened, read, lost, and comes back.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "due-queue.h"
#include "event-stream.h"
#include "generator-options.h"
#include "totals.h"

#define READ_BYTES (256 << 10)

// AWAY ones wait in `comebacks` for their time; CLOSED ones stay closed.
typedef enum { UNOPENED, CONNECTING, WAITING, STREAMING, STALLED, AWAY, CLOSED } SubscriberState;

typedef struct {
  int fd;
  int number;  // over all processes
  SubscriberState state;
  bool sampled, stalls, settled, got_byte, got_event;
  bool returning;    // lost, and has had no event since
  int64_t lost_us;   // since when it has not been live; 0: it is not known to be lost
  int64_t opened_us;
  EventStream stream;
  Sequence *sequence;  // of sampled ones only
} Subscriber;

static Options options;
static Totals *totals;  // of this process, in memory that the coordinator reads
static Phase phase;
static Subscriber *subscribers;
static int subscriber_count;
static int poll_fd;
static char buffer[READ_BYTES];
static int64_t received_us;  // when the bytes that are being parsed were read
static DueQueue comebacks;   // places in `subscribers`

static void settle(Subscriber *subscriber, bool ok) {
  if (subscriber->settled) return;
  subscriber->settled = true;
  if (ok) totals->counts.ok++;
  else totals->counts.failed++;
}

// Takes note of a stream that is to come back, and of when.
static void send_away(Subscriber *subscriber, int64_t due_us) {
  if (!subscriber->returning) {
    subscriber->returning = true;
    totals->counts.lost++;
    if (subscriber->lost_us == 0) {
      subscriber->lost_us = steady_us();
      totals->counts.away++;
    }
  }
  event_stream_restart(&subscriber->stream);
  subscriber->state = AWAY;
  due_queue_add(&comebacks, due_us, (int)(subscriber - subscribers));
}

// Streams that are lost together come back evenly over the spread, each at its own part of it.
static int64_t spread_us(const Subscriber *subscriber) {
  return options.storm_spread_us * (subscriber - subscribers) / subscriber_count;
}

// As much as a quarter more or less, so that they do not all knock at once.
static int64_t jittered_retry_us(void) {
  return (int64_t)((double)options.retry_us * (0.75 + 0.5 * (double)rand() / RAND_MAX));
}

// The server has ended the stream, or could not be reached.
static void close_subscriber(Subscriber *subscriber) {
  bool streamed = subscriber->state == STREAMING;
  if (streamed) totals->counts.closed_by_server++;
  if (subscriber->state == STALLED) totals->counts.stalled_cut++;
  settle(subscriber, false);
  close(subscriber->fd);
  subscriber->fd = -1;
  if (subscriber->returning) send_away(subscriber, steady_us() + jittered_retry_us());
  else if (streamed && options.returns) send_away(subscriber, steady_us() + spread_us(subscriber));
  else {
    subscriber->state = CLOSED;
    event_stream_forget(&subscriber->stream);
  }
}

static void watch(Subscriber *subscriber, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = subscriber};
  epoll_ctl(poll_fd, operation, subscriber->fd, &event);
}

// One source address has some 28,000 ports, a minute's worth of closed ones among them, so streams take
// turns in several. Never the target's own: while nobody listens there, a socket may get the target's
// very port, and then it connects to itself, or is in the way of the server that starts again.
static struct sockaddr_in source_of(const Subscriber *subscriber) {
  uint32_t address = INADDR_LOOPBACK + (uint32_t)(subscriber->number % options.sources);
  if (address >= ntohl(options.target.sin_addr.s_addr)) address++;
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
}

static void open_subscriber(Subscriber *subscriber) {
  int one = 1;
  subscriber->opened_us = steady_us();
  subscriber->state = CONNECTING;
  subscriber->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (subscriber->fd < 0) fail("socket");
  if (options.receive_buffer > 0) {
    setsockopt(subscriber->fd, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer, sizeof(int));
  }
  setsockopt(subscriber->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  struct sockaddr_in source = source_of(subscriber);
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
  snprintf(path, sizeof path, "%.*s%d%s", (int)(mark - options.path), options.path, subscriber->number, mark + 3);
  return path;
}

static void send_request(Subscriber *subscriber) {
  char request[16384];
  const Text *id = &subscriber->stream.last_id;
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n%s%s%.*s%s\r\n",
                        path_of(subscriber), ntohs(options.target.sin_port),
                        options.gzip ? "Accept-Encoding: gzip\r\n" : "", id->length > 0 ? "Last-Event-ID: " : "",
                        (int)id->length, id->length > 0 ? id->bytes : "", id->length > 0 ? "\r\n" : "");
  if (length >= (int)sizeof request || send(subscriber->fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
    close_subscriber(subscriber);
    return;
  }
  subscriber->state = WAITING;
  watch(subscriber, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP);
}

static void note_comeback(Subscriber *subscriber, const Event *event) {
  // A `close` that comes first is a server that turns streams away.
  if (subscriber->returning && event->kind != EVENT_CLOSE) {
    subscriber->returning = false;
    totals->counts.returned++;
  }
  if (subscriber->lost_us != 0 && event->kind == EVENT_LIVE) {
    histogram_add(&totals->back_us, steady_us() - subscriber->lost_us);
    totals->last_back_us = received_us;
    totals->counts.away--;
    subscriber->lost_us = 0;
  }
}

static void take_event(void *context, const Event *event) {
  Subscriber *subscriber = context;
  Counts *counts = &totals->counts;
  if (!subscriber->got_event) {
    subscriber->got_event = true;
    histogram_add(&totals->first_event_us, steady_us() - subscriber->opened_us);
  }
  note_comeback(subscriber, event);
  if (event->kind == EVENT_RESET) counts->resets++;
  else if (event->kind == EVENT_CLOSE) counts->close_events++;
  else if (event->kind != EVENT_PAYLOAD) counts->other_events++;
  if (event->kind != EVENT_PAYLOAD || !subscriber->sampled) return;
  counts->events++;
  counts->id_bytes += event->id_bytes;
  sequence_accept(subscriber->sequence, event->number, &counts->faults);
  if (phase == MEASURE) histogram_add(&totals->latency_us, received_us - event->made_us);
}

// The answer's head has been read, and its status is 200; is it in the coding that was asked for?
static bool is_as_asked(const EventStream *stream) { return stream->gzip == options.gzip; }

static void take_bytes(Subscriber *subscriber, size_t count) {
  EventStream *stream = &subscriber->stream;
  Counts *counts = &totals->counts;
  uint64_t chunks_before = stream->chunks, inflated_before = stream->inflated;
  if (!subscriber->got_byte) {
    subscriber->got_byte = true;
    histogram_add(&totals->first_byte_us, steady_us() - subscriber->opened_us);
  }
  received_us = wall_us();
  event_stream_take(stream, buffer, count, take_event, subscriber);
  if (subscriber->state == WAITING && stream->state != IN_HEAD && stream->status == 200) {
    if (is_as_asked(stream)) {
      subscriber->state = STREAMING;
      settle(subscriber, true);
    } else {
      stream->state = BROKEN;
    }
  }
  if (subscriber->sampled) {
    counts->sampled_bytes += count;
    counts->writes += stream->chunks - chunks_before;
    counts->inflated_bytes += stream->inflated - inflated_before;
  }
  if (stream->gzip_broken) counts->gzip_errors++;
  if (stream->state == BROKEN) counts->broken++;
  if (stream->state == BROKEN || stream->state == ENDED) {
    close_subscriber(subscriber);
    return;
  }
  // From here on only its bytes are counted.
  if (!subscriber->sampled && subscriber->got_event) event_stream_forget(stream);
  if (subscriber->stalls && subscriber->got_event) {
    subscriber->state = STALLED;
    counts->stalled++;
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
    EventStream *stream = &subscriber->stream;
    // Without chunks, the end of the connection is the end of the answer (RFC 9112 §6.3).
    if (count == 0 && stream->state == IN_UNCHUNKED_BODY) event_stream_end(stream);
    if (stream->gzip_broken) totals->counts.gzip_errors++;
    close_subscriber(subscriber);
    return;
  }
  totals->counts.bytes += (uint64_t)count;
  if (parses) take_bytes(subscriber, (size_t)count);
}

static void serve(Subscriber *subscriber, uint32_t ready) {
  if (subscriber->state == STALLED) close_subscriber(subscriber);
  else if (subscriber->state != CONNECTING) read_subscriber(subscriber);
  else if (ready & (EPOLLERR | EPOLLHUP)) close_subscriber(subscriber);
  else send_request(subscriber);
}

// Cuts a stream, wherever it is in an event; it comes back with its last event id.
static void cut(Subscriber *subscriber, int64_t due_us) {
  close(subscriber->fd);
  subscriber->fd = -1;
  send_away(subscriber, due_us);
}
