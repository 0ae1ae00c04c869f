// The physical limit that Headgate is compared with: one thread, epoll, events that it makes itself
// in memory, and one send() of the joined bytes to each client per turn of the loop. It parses no
// request, computes no id, stores nothing, and drops a client whose socket is full.
//
//   floor [--port 0] [--rate 1000] [--bytes 100] [--id-bytes 24] [--pace-ms 5] [--seconds 60]
//
// Prints {"port":…} once it listens, and its counts at the end.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arguments.h"
#include "process.h"

// A turn that was late must not make one write of any size: the rest comes in the next turn.
#define MAX_BATCH (4 << 20)
#define MAX_PAYLOAD 262144
#define MAX_ID 4096

static const char HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\n"
    "Cache-Control: no-cache, no-transform\r\nTransfer-Encoding: chunked\r\n\r\n";

typedef struct {
  double rate;
  int payload_bytes, id_bytes;
  int64_t pace_us;
} Options;

// Events come in ticks, as from a publisher that sends every few milliseconds; an event's time is its
// tick's, so that a late turn counts as delay.
typedef struct {
  int64_t wall_start_us, steady_start_us, ticks, events;
} Schedule;

typedef struct {
  int fds[MAX_SOCKETS], count;
  int place[1 << 16];       // fd → index in fds
  bool answered[1 << 16];   // by fd
  int64_t deliveries, writes, dropped;
} Clients;

static Clients clients;
// Room for the chunk's size line before the events and its end after them, so that one send() does it.
static char batch[32 + MAX_BATCH + MAX_PAYLOAD + MAX_ID + 128];
static char padding[MAX_PAYLOAD];

static int64_t next_tick_us(const Schedule *schedule, const Options *options) {
  return schedule->steady_start_us + schedule->ticks * options->pace_us;
}

static int make_due_events(Schedule *schedule, const Options *options, char *into, size_t *length) {
  int events = 0;
  while (next_tick_us(schedule, options) <= steady_us()) {
    int64_t t = schedule->wall_start_us + schedule->ticks * options->pace_us;
    int64_t due = (int64_t)((double)(schedule->ticks + 1) * (double)options->pace_us * options->rate / 1e6);
    for (; schedule->events < due; schedule->events++, events++) {
      if (*length > MAX_BATCH) return events;
      *length += (size_t)sprintf(into + *length, "id: %.*s\ndata: {\"t\":%lld,\"n\":%lld,\"p\":\"%.*s\"}\n\n",
                                 options->id_bytes, padding, (long long)t, (long long)schedule->events,
                                 options->payload_bytes, padding);
    }
    schedule->ticks++;
  }
  return events;
}

static void drop_client(int fd) {
  int place = clients.place[fd], last = clients.fds[--clients.count];
  clients.fds[place] = last;
  clients.place[last] = place;
  close(fd);
}

static void send_to_all(char *frames, size_t length, int events) {
  char size_line[16];
  int size_bytes = sprintf(size_line, "%zx\r\n", length);
  char *start = frames - size_bytes;
  memcpy(start, size_line, (size_t)size_bytes);
  memcpy(frames + length, "\r\n", 2);
  size_t total = (size_t)size_bytes + length + 2;
  for (int i = clients.count - 1; i >= 0; i--) {
    int fd = clients.fds[i];
    if (!clients.answered[fd]) continue;
    if (send(fd, start, total, MSG_NOSIGNAL) == (ssize_t)total) {
      clients.deliveries += events;
      clients.writes++;
    } else {
      // With a reset: after a plain close the kernel would go on offering what it holds.
      struct linger reset = {.l_onoff = 1, .l_linger = 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      clients.dropped++;
      drop_client(fd);
    }
  }
}

static void accept_clients(int listener, int poll) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
    if (fd < 0) return;
    if (clients.count == MAX_SOCKETS) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    clients.answered[fd] = false;
    clients.place[fd] = clients.count;
    clients.fds[clients.count++] = fd;
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd});
  }
}

// Whatever a client sends first is its request.
static void read_request(int fd) {
  char request[16384];
  ssize_t got = read(fd, request, sizeof request);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    drop_client(fd);
  } else if (!clients.answered[fd]) {
    clients.answered[fd] = true;
    (void)!write(fd, HEAD, sizeof HEAD - 1);
  }
}

static int listen_on_loopback(int port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (void *)&address, size) || listen(listener, 4096)) fail("listen");
  getsockname(listener, (void *)&address, &size);
  printf("{\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(int count, char **words) {
  Arguments arguments = read_arguments(count, words);
  int port = (int)number_argument(&arguments, "--port", 0, 0, 65535);
  Options options = {
      .rate = number_argument(&arguments, "--rate", 1000, 1, 1e6),
      .payload_bytes = (int)number_argument(&arguments, "--bytes", 100, 0, MAX_PAYLOAD),
      .id_bytes = (int)number_argument(&arguments, "--id-bytes", 24, 1, MAX_ID),
      .pace_us = (int64_t)(number_argument(&arguments, "--pace-ms", 5, 0.05, 999) * 1000),
  };
  int64_t seconds = (int64_t)number_argument(&arguments, "--seconds", 60, 1, 3600);
  refuse_unknown_arguments(&arguments);
  prepare_process();
  memset(padding, 'x', sizeof padding);

  int listener = listen_on_loopback(port), poll = epoll_create1(0);
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
  Schedule schedule = {.wall_start_us = wall_us(), .steady_start_us = steady_us()};
  int64_t end_us = schedule.steady_start_us + seconds * 1000000;
  struct epoll_event ready[1024];
  char *frames = batch + 32;
  while (!stop_requested && steady_us() < end_us) {
    int64_t left_us = next_tick_us(&schedule, &options) - steady_us();
    struct timespec wait = {.tv_sec = 0, .tv_nsec = left_us > 0 ? left_us * 1000 : 0};
    int n = epoll_pwait2(poll, ready, 1024, &wait, NULL);
    for (int i = 0; i < n; i++) {
      if (ready[i].data.fd == listener) accept_clients(listener, poll);
      else read_request(ready[i].data.fd);
    }
    size_t length = 0;
    int events = make_due_events(&schedule, &options, frames, &length);
    if (events > 0) send_to_all(frames, length, events);
  }
  printf("{\"events\":%lld,\"deliveries\":%lld,\"writes\":%lld,\"dropped\":%lld,\"cpuSeconds\":%.2f}\n",
         (long long)schedule.events, (long long)clients.deliveries, (long long)clients.writes,
         (long long)clients.dropped, cpu_seconds());
  return 0;
}
