// An HTTP/1.1 answer that is an event stream, parsed as its bytes arrive: head, chunks, gzip, lines, events.
// Lines end with LF or CRLF (Headgate and the floor program send LF; a lone CR is not looked for).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#include "inflate.h"

// The longest line that is kept while its end has not come; a server that sends longer ones is at fault.
#define MAX_LINE (1 << 20)

typedef enum { EVENT_PAYLOAD, EVENT_RESET, EVENT_CLOSE, EVENT_LIVE, EVENT_OTHER } EventKind;

// A dispatched event. `made_us` and `number` are the "t" and "n" of a publisher's payload.
typedef struct {
  EventKind kind;
  int64_t made_us, number;
  uint32_t id_bytes;
} Event;

typedef struct {
  char *bytes;
  size_t length, room;
} Text;

typedef enum { IN_HEAD, IN_CHUNK_SIZE, IN_CHUNK, AFTER_CHUNK, IN_UNCHUNKED_BODY, ENDED, BROKEN } StreamState;

typedef struct {
  StreamState state;
  int status;
  bool chunked, gzip, has_data;
  bool gzip_broken;  // the body, or its end, is not what gzip asks for
  size_t chunk_left;
  uint64_t chunks;    // one for each write of the server, as long as it does not cut its writes
  uint64_t inflated;  // bytes of the body as they were before gzip
  Inflater *inflater; // of gzip answers, from the end of the head on
  Event event;      // the one whose lines are being read
  Text line;        // the start of a line whose end has not come
  Text id, last_id; // [spec §9.2.6] the id buffer, and the last event id, which a dispatch sets from it
} EventStream;

static inline void text_append(Text *text, const char *bytes, size_t length) {
  if (text->length + length > text->room) {
    text->room = (text->length + length) * 2;
    text->bytes = realloc(text->bytes, text->room);
    if (text->bytes == NULL) abort();
  }
  memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
}

static inline void text_set(Text *text, const char *bytes, size_t length) {
  text->length = 0;
  text_append(text, bytes, length);
}

static inline void text_free(Text *text) {
  free(text->bytes);
  *text = (Text){0};
}

// Lets go of what inflating takes. The stream cannot be parsed any further.
static inline void event_stream_forget(EventStream *s) {
  inflater_free(s->inflater);
  s->inflater = NULL;
}

// Ready for another answer of the same stream: the last event id stays.
static inline void event_stream_restart(EventStream *s) {
  event_stream_forget(s);
  Text line = s->line, id = s->id, last_id = s->last_id;
  line.length = 0;
  *s = (EventStream){.line = line, .id = id, .last_id = last_id};
  text_set(&s->id, last_id.length > 0 ? last_id.bytes : "", last_id.length);
}

static inline bool has_prefix(const char *line, size_t length, const char *prefix, size_t prefix_length) {
  return length >= prefix_length && memcmp(line, prefix, prefix_length) == 0;
}
#define HAS_PREFIX(line, length, prefix) has_prefix(line, length, prefix, sizeof prefix - 1)

static inline const char *read_digits(const char *p, const char *end, int64_t *number) {
  int64_t value = 0;
  for (; p < end && *p >= '0' && *p <= '9'; p++) value = value * 10 + (*p - '0');
  *number = value;
  return p;
}

// {"t":<microseconds since 1970>,"n":<number>,… and nothing else is a publisher's payload.
static inline bool read_payload(Event *event, const char *data, size_t length) {
  const char *end = data + length;
  if (!HAS_PREFIX(data, length, "{\"t\":")) return false;
  const char *p = read_digits(data + 5, end, &event->made_us);
  if (!HAS_PREFIX(p, (size_t)(end - p), ",\"n\":")) return false;
  return read_digits(p + 5, end, &event->number) > p + 5;
}

static inline EventKind kind_of_type(const char *type, size_t length) {
  if (length == 5 && memcmp(type, "reset", 5) == 0) return EVENT_RESET;
  if (length == 5 && memcmp(type, "close", 5) == 0) return EVENT_CLOSE;
  if (length == 4 && memcmp(type, "live", 4) == 0) return EVENT_LIVE;
  return EVENT_OTHER;
}

// One line of the event stream. Returns true where it completed an event.
static inline bool event_stream_line(EventStream *s, const char *line, size_t length) {
  if (length == 0) {
    bool dispatches = s->has_data;
    text_set(&s->last_id, s->id.length > 0 ? s->id.bytes : "", s->id.length);
    return dispatches;
  }
  if (HAS_PREFIX(line, length, "data: ")) {
    // A typed event is never a publisher's; an untyped one is when it has its shape.
    if (!s->has_data && s->event.kind == EVENT_PAYLOAD && !read_payload(&s->event, line + 6, length - 6)) {
      s->event.kind = EVENT_OTHER;
    }
    s->has_data = true;
  } else if (HAS_PREFIX(line, length, "id: ")) {
    s->event.id_bytes = (uint32_t)(length - 4);
    text_set(&s->id, line + 4, length - 4);
  } else if (HAS_PREFIX(line, length, "event: ")) {
    s->event.kind = kind_of_type(line + 7, length - 7);
  }
  return false;
}

static inline void head_line(EventStream *s, const char *line, size_t length) {
  if (length == 0) {
    s->state = s->status != 200 ? BROKEN : s->chunked ? IN_CHUNK_SIZE : IN_UNCHUNKED_BODY;
    if (s->gzip && s->state != BROKEN) s->inflater = inflater_new();
  } else if (HAS_PREFIX(line, length, "HTTP/1.1 ") && length >= 12) {
    s->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  } else if (length == 26 && strncasecmp(line, "transfer-encoding: chunked", 26) == 0) {
    s->chunked = true;
  } else if (length == 22 && strncasecmp(line, "content-encoding: gzip", 22) == 0) {
    s->gzip = true;
  }
}

// Reads up to the end of one line, or keeps the start of it. `*p` moves on; true where there is a line.
static inline bool take_line(EventStream *s, const char **p, const char *end, const char **line, size_t *length) {
  const char *found = memchr(*p, '\n', (size_t)(end - *p));
  size_t part = (size_t)((found != NULL ? found : end) - *p);
  if (found == NULL || s->line.length > 0) {
    text_append(&s->line, *p, part);
    *line = s->line.bytes;
    *length = s->line.length;
  } else {
    *line = *p;
    *length = part;
  }
  *p += part + (found != NULL);
  if (found == NULL) {
    if (s->line.length > MAX_LINE) s->state = BROKEN;
    return false;
  }
  s->line.length = 0;
  if (*length > 0 && (*line)[*length - 1] == '\r') --*length;
  return true;
}

typedef void (*OnEvent)(void *context, const Event *event);

static inline void read_events(EventStream *s, const char *p, const char *end, OnEvent on_event, void *context) {
  const char *line;
  size_t length;
  while (p < end && s->state != BROKEN) {
    if (!take_line(s, &p, end, &line, &length)) return;
    if (event_stream_line(s, line, length)) on_event(context, &s->event);
    if (length == 0) {
      s->event = (Event){.kind = EVENT_PAYLOAD};
      s->has_data = false;
    }
  }
}

// Of the body, where its transfer coding has been taken off.
static inline void read_body(EventStream *s, const char *p, const char *end, OnEvent on_event, void *context) {
  static char inflated[128 << 10];
  if (s->inflater == NULL) {
    read_events(s, p, end, on_event, context);
    return;
  }
  inflater_feed(s->inflater, p, (size_t)(end - p));
  ssize_t count;
  while ((count = inflater_next(s->inflater, inflated, sizeof inflated)) > 0) {
    s->inflated += (uint64_t)count;
    read_events(s, inflated, inflated + count, on_event, context);
    if (s->state == BROKEN) return;
  }
  if (count < 0) {
    s->state = BROKEN;
    s->gzip_broken = true;
  }
}

// The answer has come to a clean end; a gzip one must then have had its trailer.
static inline void event_stream_end(EventStream *s) {
  s->state = ENDED;
  if (s->inflater != NULL && !s->inflater->ended) s->gzip_broken = true;
}

static inline void read_chunk_size(EventStream *s, char c) {
  int lower = c | 0x20;
  if (c >= '0' && c <= '9') s->chunk_left = s->chunk_left * 16 + (size_t)(c - '0');
  else if (lower >= 'a' && lower <= 'f') s->chunk_left = s->chunk_left * 16 + (size_t)(lower - 'a' + 10);
  else if (c == '\n' && s->chunk_left == 0) event_stream_end(s);
  else if (c == '\n') s->state = IN_CHUNK;
  else if (c != '\r') s->state = BROKEN;
  if (s->state == IN_CHUNK) s->chunks++;
}

// Takes the bytes as they came; calls on_event for each event they complete.
static inline void event_stream_take(EventStream *s, const char *bytes, size_t count, OnEvent on_event,
                                     void *context) {
  const char *p = bytes, *end = bytes + count, *line;
  size_t length;
  while (p < end) {
    switch (s->state) {
      case IN_HEAD:
        if (take_line(s, &p, end, &line, &length)) head_line(s, line, length);
        break;
      case IN_CHUNK_SIZE:
        read_chunk_size(s, *p++);
        break;
      case IN_CHUNK: {
        size_t part = s->chunk_left < (size_t)(end - p) ? s->chunk_left : (size_t)(end - p);
        read_body(s, p, p + part, on_event, context);
        p += part;
        s->chunk_left -= part;
        if (s->chunk_left == 0 && s->state == IN_CHUNK) s->state = AFTER_CHUNK;
        break;
      }
      case AFTER_CHUNK:
        if (*p++ == '\n') s->state = IN_CHUNK_SIZE;
        break;
      case IN_UNCHUNKED_BODY:
        read_body(s, p, end, on_event, context);
        p = end;
        break;
      case ENDED:
      case BROKEN:
        return;
    }
  }
}
