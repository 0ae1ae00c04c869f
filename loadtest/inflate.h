// A gzip answer, inflated as its bytes arrive (RFC 1952). One costs some 40 KB, so only streams that
// are being parsed have one.
#pragma once
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

typedef struct {
  z_stream z;
  bool ended;  // the trailer has come, and was right
} Inflater;

static inline Inflater *inflater_new(void) {
  Inflater *inflater = calloc(1, sizeof *inflater);
  // zlib.h: 15 is the largest window, and 16 more asks for a gzip header and trailer.
  if (inflater == NULL || inflateInit2(&inflater->z, 15 + 16) != Z_OK) abort();
  return inflater;
}

static inline void inflater_free(Inflater *inflater) {
  if (inflater == NULL) return;
  inflateEnd(&inflater->z);
  free(inflater);
}

static inline void inflater_feed(Inflater *inflater, const char *bytes, size_t count) {
  // The cast holds: zlib does not write to what it reads.
  inflater->z.next_in = (Bytef *)bytes;
  inflater->z.avail_in = (uInt)count;
}

// Inflates some of what was fed into `into`; 0 once all of it has been, -1 where it is no gzip, its
// trailer is wrong, or bytes come after the trailer.
static inline ssize_t inflater_next(Inflater *inflater, char *into, size_t room) {
  z_stream *z = &inflater->z;
  if (inflater->ended) return z->avail_in > 0 ? -1 : 0;
  z->next_out = (Bytef *)into;
  z->avail_out = (uInt)room;
  int status = inflate(z, Z_SYNC_FLUSH);
  if (status == Z_STREAM_END) inflater->ended = true;
  // Z_BUF_ERROR is no error: there was nothing more to do.
  else if (status != Z_OK && status != Z_BUF_ERROR) return -1;
  size_t made = room - z->avail_out;
  return made == 0 && z->avail_in > 0 ? -1 : (ssize_t)made;
}
