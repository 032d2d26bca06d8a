/* Stamps in audio, shared by caller.c and model.c.
 *
 * A stamp stands in the first bytes of a 20 ms frame of mu-law (160 bytes). mu-law to linear and back is exact for the
 * byte values used, so a stamp survives every hop bit for bit and tells the far end who sent the frame, which one it
 * is, whether its sender was speaking, and when it left (CLOCK_REALTIME, ns). */
#ifndef STAMP_H
#define STAMP_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAME 160
#define STAMP_BYTES 34 /* magic 4, id 8, index 5, speaking 1, time 16; a nibble a byte */

static const uint8_t FROM_MODEL[4] = {0x8A, 0x0B, 0x8C, 0x0D};
static const uint8_t FROM_CALLER[4] = {0x8A, 0x0B, 0x8C, 0x1D};

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static inline void put_nibbles(uint8_t *to, uint64_t value, int count) {
    for (int i = count - 1; i >= 0; i--, value >>= 4) to[i] = (uint8_t)(0x90 + (value & 15));
}

static inline uint64_t get_nibbles(const uint8_t *from, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value = value << 4 | ((from[i] - 0x90) & 15);
    return value;
}

typedef struct {
    uint32_t id, index;
    int speaking;
    uint64_t sent_ns;
} stamp;

static inline void write_stamp(uint8_t *frame, const uint8_t *magic, stamp s) {
    memcpy(frame, magic, 4);
    put_nibbles(frame + 4, s.id, 8);
    put_nibbles(frame + 12, s.index, 5);
    put_nibbles(frame + 17, (uint64_t)s.speaking, 1);
    put_nibbles(frame + 18, s.sent_ns, 16);
}

/* Finds the stamp of a frame, even where the frame boundary moved; 0 when there is none. */
static inline int read_stamp(const uint8_t *frame, size_t size, const uint8_t *magic, stamp *out) {
    const uint8_t *at = memcmp(frame, magic, 4) ? memmem(frame, size, magic, 4) : frame;
    if (!at || (size_t)(frame + size - at) < STAMP_BYTES) return 0;
    out->id = (uint32_t)get_nibbles(at + 4, 8);
    out->index = (uint32_t)get_nibbles(at + 12, 5);
    out->speaking = (int)get_nibbles(at + 17, 1);
    out->sent_ns = get_nibbles(at + 18, 16);
    return 1;
}

/* A growing list of measurements. */
typedef struct {
    float *values;
    size_t count, room;
} series;

static inline void add(series *s, double value) {
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 4096;
        s->values = realloc(s->values, s->room * sizeof(float));
        if (!s->values) abort();
    }
    s->values[s->count++] = (float)value;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static inline float quantile(const float *sorted, size_t count, double q) {
    return count ? sorted[(size_t)(q * (double)(count - 1))] : 0.0f;
}

static inline void print_series(FILE *out, const char *name, const series *s) {
    float *v = malloc((s->count + 1) * sizeof(float));
    if (!v) abort();
    if (s->count) memcpy(v, s->values, s->count * sizeof(float));
    qsort(v, s->count, sizeof(float), by_size);
    fprintf(out, "\"%s\":{\"n\":%zu,\"p50\":%.2f,\"p95\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f}", name, s->count,
            quantile(v, s->count, .5), quantile(v, s->count, .95), quantile(v, s->count, .99),
            quantile(v, s->count, .999), quantile(v, s->count, 1.0));
    free(v);
}
#endif
