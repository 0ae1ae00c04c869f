// Command line arguments as `--name value` pairs, each with a range.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGUMENTS 64

typedef struct {
  int count;
  char **words;
  bool used[MAX_ARGUMENTS];
} Arguments;

static inline Arguments read_arguments(int count, char **words) {
  if (count > MAX_ARGUMENTS || count % 2 == 0) {
    fprintf(stderr, "%s: arguments come as `--name value` pairs\n", words[0]);
    exit(2);
  }
  return (Arguments){.count = count, .words = words};
}

static inline const char *text_argument(Arguments *arguments, const char *name, const char *absent) {
  for (int i = 1; i + 1 < arguments->count; i += 2) {
    if (strcmp(arguments->words[i], name) == 0) {
      arguments->used[i] = true;
      return arguments->words[i + 1];
    }
  }
  return absent;
}

static inline double number_argument(Arguments *arguments, const char *name, double absent, double least,
                                     double most) {
  const char *text = text_argument(arguments, name, NULL);
  if (text == NULL) return absent;
  char *end;
  double value = strtod(text, &end);
  if (*text == '\0' || *end != '\0' || !(value >= least && value <= most)) {
    fprintf(stderr, "%s %s: a number from %.10g to %.10g is needed\n", name, text, least, most);
    exit(2);
  }
  return value;
}

// "127.0.0.1:3000". Any address outside of 127.0.0.0/8 is refused: this must never load somebody else's machine.
static inline struct sockaddr_in loopback_argument(Arguments *arguments, const char *name) {
  const char *text = text_argument(arguments, name, "");
  const char *colon = strchr(text, ':');
  char host[16] = "";
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (colon != NULL && (size_t)(colon - text) < sizeof host) {
    memcpy(host, text, (size_t)(colon - text));
    address.sin_port = htons((uint16_t)atoi(colon + 1));
  }
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || address.sin_port == 0 ||
      ntohl(address.sin_addr.s_addr) >> 24 != 127) {
    fprintf(stderr, "%s %s: an address in 127.0.0.0/8 with a port is needed\n", name, text);
    exit(2);
  }
  return address;
}

// Call when all arguments have been asked for: a misspelt name must not pass for its default.
static inline void refuse_unknown_arguments(const Arguments *arguments) {
  for (int i = 1; i < arguments->count; i += 2) {
    if (!arguments->used[i]) {
      fprintf(stderr, "%s: no such argument\n", arguments->words[i]);
      exit(2);
    }
  }
}
