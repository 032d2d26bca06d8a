/* A realtime model for the benchmarks: OpenAI's Realtime protocol over WebSocket for any number of calls, one thread.
 *
 * Says a stamped answer of 6 s about every 10 s, in deltas of 200 ms at four times real time; takes the caller's stamped
 * frames out of the appends and measures how long they took. It hears speech by the flag in the stamps: every Nth onset
 * over its own voice is a barge-in (speech_started, response cancelled), as server VAD would do it.
 *
 *   model -p PORT -o OUT.json -B BARGES.tsv [-b N]     N = 0: never interrupted
 *
 * Also answers POST /v1/realtime/client_secrets (tokens) and POST /v1/audio/speech (a tone), as far as the server under
 * test asks for them. SIGUSR1 opens the measuring window, SIGUSR2 closes it and writes OUT.json. */
#define _GNU_SOURCE
#include "stamp.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_SOCKETS 1024
#define MILLISECOND 1000000ull
#define DELTAS 30      /* of one answer */
#define DELTA_FRAMES 10
#define WORD_DELTAS 3  /* there is a word behind every third */
#define ANSWER_EVERY_MS 10000
#define PCM_LOUD 1500   /* of 16 bits: the callers' speech has peaks of 3900, and their pauses none */
#define PCM_PAUSE 7200  /* samples at 24 kHz: 300 ms */

typedef struct {
    int fd, is_websocket, wants_pcm, answers, speaking, ignored, loud, quiet, onsets;
    uint8_t *in;
    size_t held, room, quiet_samples;
    uint64_t next_answer, next_delta, playing_until, answer_began;
    uint32_t ordinal, answer, delta, user_item, caller, last_index;
    int answering, have_index;
} session;

static session *sessions[MOST_SOCKETS];
static int poll_fd, highest, port, barge_every = 3;
static const char *out_name = "model.json", *barges_name = "barges.tsv";
static FILE *barges;
static volatile sig_atomic_t window_opened, window_closed;
static int measuring;
static series caller_to_model;
static uint32_t items;
static uint64_t events, appends, stamps, unstamped, gaps, responses, barge_ins, truncations, connections, short_writes;

static void on_signal(int number) {
    if (number == SIGUSR1) window_opened = 1;
    else window_closed = 1;
}

/* --- base64 and SHA-1, as the WebSocket handshake and audio deltas need them --------------------------------------- */

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static int8_t meaning[256];

static size_t to_base64(const uint8_t *from, size_t size, char *to) {
    char *start = to;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t v = (uint32_t)from[i] << 16 | (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) | (left > 2 ? from[i + 2] : 0);
        *to++ = ALPHABET[v >> 18];
        *to++ = ALPHABET[v >> 12 & 63];
        *to++ = left > 1 ? ALPHABET[v >> 6 & 63] : '=';
        *to++ = left > 2 ? ALPHABET[v & 63] : '=';
    }
    *to = 0;
    return (size_t)(to - start);
}

static size_t from_base64(const char *from, size_t size, uint8_t *to) {
    uint8_t *start = to;
    uint32_t v = 0;
    int bits = 0;
    for (size_t i = 0; i < size && from[i] != '='; i++) {
        v = v << 6 | (uint32_t)meaning[(uint8_t)from[i]];
        if ((bits += 6) >= 8) bits -= 8, *to++ = (uint8_t)(v >> bits);
    }
    return (size_t)(to - start);
}

static uint32_t rotate(uint32_t x, int by) { return x << by | x >> (32 - by); }

static void sha1(const uint8_t *data, size_t size, uint8_t *out) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t padded[256] = {0};
    memcpy(padded, data, size);
    padded[size] = 0x80;
    size_t total = (size + 9 + 63) / 64 * 64;
    for (int i = 0; i < 8; i++) padded[total - 1 - (size_t)i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t at = 0; at < total; at += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)padded[at + 4 * (size_t)i] << 24 | (uint32_t)padded[at + 4 * (size_t)i + 1] << 16 |
                   (uint32_t)padded[at + 4 * (size_t)i + 2] << 8 | padded[at + 4 * (size_t)i + 3];
        for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t t = rotate(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotate(b, 30), b = a, a = t;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* --- sockets and WebSocket frames ---------------------------------------------------------------------------------- */

static void drop(session *s) {
    epoll_ctl(poll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    close(s->fd);
    sessions[s->fd] = NULL;
    free(s->in);
    free(s);
}

static void put(session *s, const void *bytes, size_t size) {
    if (send(s->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size) short_writes++;
}

static void put_frame(session *s, int opcode, const char *content, size_t size) {
    static char frame[65536 + 4];
    size_t head = 2;
    frame[0] = (char)(0x80 | opcode);
    if (size < 126) frame[1] = (char)size;
    else frame[1] = 126, frame[2] = (char)(size >> 8), frame[3] = (char)size, head = 4;
    memcpy(frame + head, content, size);
    put(s, frame, head + size);
}

/* Sends {"type":TYPE,"event_id":…,REST}. */
static void tell(session *s, const char *type, const char *format, ...) {
    static char text[60000];
    int size = snprintf(text, sizeof text, "{\"type\":\"%s\",\"event_id\":\"event_%llu\",", type, (unsigned long long)++events);
    va_list arguments;
    va_start(arguments, format);
    size += vsnprintf(text + size, sizeof text - (size_t)size, format, arguments);
    va_end(arguments);
    text[size++] = '}';
    put_frame(s, 1, text, (size_t)size);
}

/* --- the conversation ---------------------------------------------------------------------------------------------- */

static const char SESSION[] =
    "\"session\":{\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":\"sess_1\",\"model\":\"gpt-realtime-2.1\","
    "\"output_modalities\":[\"audio\"],\"instructions\":\"\",\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcmu\"}},"
    "\"output\":{\"format\":{\"type\":\"audio/pcmu\"},\"voice\":\"marin\"}}}";
static const char USAGE[] =
    "\"usage\":{\"total_tokens\":300,\"input_tokens\":200,\"output_tokens\":100,\"input_token_details\":{\"cached_tokens\":64,"
    "\"text_tokens\":120,\"audio_tokens\":80},\"output_token_details\":{\"text_tokens\":20,\"audio_tokens\":80}}";
#define PLACE "\"response_id\":\"resp_%u\",\"item_id\":\"item_%u\",\"output_index\":0,\"content_index\":0"

static void begin_answer(session *s, uint64_t now) {
    s->answer = ++items;
    s->answering = 1;
    s->delta = 0;
    s->next_delta = now + 120 * MILLISECOND;
    s->next_answer = now + (uint64_t)ANSWER_EVERY_MS * MILLISECOND;
    responses++;
    tell(s, "response.created", "\"response\":{\"object\":\"realtime.response\",\"id\":\"resp_%u\",\"status\":\"in_progress\",\"output\":[]}", s->answer);
    tell(s, "conversation.item.added", "\"previous_item_id\":null,\"item\":{\"id\":\"item_%u\",\"object\":\"realtime.item\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}", s->answer);
    tell(s, "response.content_part.added", PLACE ",\"part\":{\"type\":\"audio\",\"transcript\":\"\"}", s->answer, s->answer);
}

static void end_answer(session *s, const char *status) {
    s->answering = 0;
    if (!strcmp(status, "completed")) {
        tell(s, "response.output_audio.done", PLACE, s->answer, s->answer);
        tell(s, "response.output_audio_transcript.done", PLACE ",\"transcript\":\"words\"", s->answer, s->answer);
        tell(s, "response.output_item.done", "\"output_index\":0,\"response_id\":\"resp_%u\",\"item\":{\"id\":\"item_%u\",\"object\":\"realtime.item\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_audio\",\"transcript\":\"words\"}]}", s->answer, s->answer);
        tell(s, "conversation.item.done", "\"previous_item_id\":null,\"item\":{\"id\":\"item_%u\",\"object\":\"realtime.item\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_audio\",\"transcript\":\"words\"}]}", s->answer);
    }
    tell(s, "response.done", "\"response\":{\"object\":\"realtime.response\",\"id\":\"resp_%u\",\"status\":\"%s\",\"output\":[],%s}", s->answer, status, USAGE);
}

/* A client of the stock service wants 16 bits at 24 kHz, in which no stamp survives: it gets a tone. */
static size_t fill_delta(session *s, uint8_t *audio, uint64_t now) {
    if (s->wants_pcm) {
        int16_t *tone = (int16_t *)audio;
        for (int i = 0; i < DELTA_FRAMES * 480; i++) tone[i] = (int16_t)(9000 * sin(2 * M_PI * 400 * i / 24000.0));
        return DELTA_FRAMES * 480 * sizeof *tone;
    }
    for (size_t i = 0; i < DELTA_FRAMES * FRAME; i++) audio[i] = (uint8_t)(0x30 + i * 7 % 64);
    for (uint32_t i = 0; i < DELTA_FRAMES; i++)
        write_stamp(audio + FRAME * i, FROM_MODEL, (stamp){s->answer, s->delta * DELTA_FRAMES + i, 1, now});
    return DELTA_FRAMES * FRAME;
}

static void say_delta(session *s) {
    static _Alignas(16) uint8_t audio[DELTA_FRAMES * 480 * 2];
    static char text[sizeof audio * 4 / 3 + 8];
    uint64_t now = now_ns();
    if (!s->delta) {
        s->answer_began = now, s->playing_until = now + (uint64_t)DELTAS * DELTA_FRAMES * 20 * MILLISECOND;
        if (measuring) fprintf(barges, "A\t%u\t%u\t%llu\t0\n", s->ordinal, s->answer, (unsigned long long)now);
    }
    to_base64(audio, fill_delta(s, audio, now), text);
    tell(s, "response.output_audio.delta", PLACE ",\"delta\":\"%s\"", s->answer, s->answer, text);
    if (s->delta % WORD_DELTAS == WORD_DELTAS - 1) /* as many letters a second as people speak */
        tell(s, "response.output_audio_transcript.delta", PLACE ",\"delta\":\"said%u.%u \"", s->answer, s->answer, s->answer, s->delta);
    s->delta++;
    s->next_delta = now + 50 * MILLISECOND;
}

static void on_onset(session *s, uint64_t now) {
    int playing = s->answer && s->playing_until > now && (s->delta || !s->answering);
    if (playing && (!barge_every || ++s->onsets % barge_every)) {
        s->ignored = 1;
        return;
    }
    s->speaking = 1;
    s->user_item = ++items;
    uint64_t said = now_ns();
    tell(s, "input_audio_buffer.speech_started", "\"audio_start_ms\":1,\"item_id\":\"item_%u\"", s->user_item);
    if (!playing) return;
    barge_ins++;
    s->playing_until = 0;
    if (s->answering) end_answer(s, "cancelled");
    fprintf(barges, "B\t%u\t%u\t%llu\t0\n", s->caller, s->answer, (unsigned long long)said);
}

static void on_pause(session *s) {
    s->speaking = 0;
    tell(s, "input_audio_buffer.speech_stopped", "\"audio_end_ms\":2,\"item_id\":\"item_%u\"", s->user_item);
    tell(s, "input_audio_buffer.committed", "\"previous_item_id\":null,\"item_id\":\"item_%u\"", s->user_item);
    tell(s, "conversation.item.added", "\"previous_item_id\":null,\"item\":{\"id\":\"item_%u\",\"object\":\"realtime.item\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"transcript\":null}]}", s->user_item);
    tell(s, "conversation.item.input_audio_transcription.completed", "\"item_id\":\"item_%u\",\"content_index\":0,\"transcript\":\"I would like to book an appointment\",\"usage\":{\"type\":\"duration\",\"seconds\":2}", s->user_item);
}

static void hear(session *s, int loud, uint64_t now) {
    if (loud) s->loud++, s->quiet = 0;
    else s->quiet++, s->loud = s->speaking || s->ignored ? s->loud : 0;
    if (!s->speaking && !s->ignored && s->loud >= 3) on_onset(s, now);
    if ((s->speaking || s->ignored) && s->quiet >= 15) {
        s->loud = 0;
        if (s->ignored) s->ignored = 0;
        else on_pause(s);
    }
}

/* What a client of the stock service appends has no stamps: it is only noted when its caller spoke after a pause. */
static void hear_pcm(session *s, const int16_t *samples, size_t count) {
    int loud = 0;
    for (size_t i = 0; i < count && !loud; i++) loud = samples[i] > PCM_LOUD || samples[i] < -PCM_LOUD;
    if (loud && measuring && s->quiet_samples > PCM_PAUSE)
        fprintf(barges, "C\t%u\t0\t%llu\t0\n", s->ordinal, (unsigned long long)now_ns());
    s->quiet_samples = loud ? 0 : s->quiet_samples + count;
}

static void on_append(session *s, char *text, size_t size, uint64_t now) {
    static _Alignas(16) uint8_t audio[70000];
    char *at = memmem(text, size, "\"audio\":", 8);
    char *from = at ? memchr(at + 8, '"', size - (size_t)(at + 8 - text)) : NULL;
    char *to = from ? memchr(from + 1, '"', size - (size_t)(from + 1 - text)) : NULL;
    if (!to || to - from > 90000) return;
    appends++;
    size_t bytes = from_base64(from + 1, (size_t)(to - from - 1), audio);
    if (s->wants_pcm) {
        hear_pcm(s, (const int16_t *)audio, bytes / sizeof(int16_t));
        return;
    }
    for (size_t i = 0; i + FRAME <= bytes; i += FRAME) {
        stamp mark;
        if (!read_stamp(audio + i, FRAME, FROM_CALLER, &mark)) {
            unstamped++;
            continue;
        }
        stamps++;
        s->caller = mark.id;
        if (s->have_index && mark.index != s->last_index + 1) gaps++;
        s->have_index = 1, s->last_index = mark.index;
        if (measuring) add(&caller_to_model, ((double)now_ns() - (double)mark.sent_ns) / 1e6);
        if (s->answers) hear(s, mark.speaking, now);
    }
}

static void on_truncate(session *s, char *text, size_t size) {
    char *ms = memmem(text, size, "audio_end_ms", 12), *item = memmem(text, size, ":\"item_", 7);
    if (!ms || !item) return;
    truncations++;
    fprintf(barges, "T\t%u\t%u\t%llu\t%d\n", s->caller, (unsigned)atoi(item + 7), (unsigned long long)now_ns(),
            atoi(ms + 12 + strspn(ms + 12, "\": ")));
}

static void on_event(session *s, char *text, size_t size, uint64_t now) {
    text[size] = 0;
    if (memmem(text, size < 160 ? size : 160, "input_audio_buffer.append", 25)) on_append(s, text, size, now);
    else if (memmem(text, size, "\"session.update\"", 16)) {
        s->wants_pcm = !memmem(text, size, "audio/pcmu", 10);
        tell(s, "session.updated", "%s", SESSION);
    }
    else if (memmem(text, size, "\"conversation.item.truncate\"", 28)) on_truncate(s, text, size);
    else if (memmem(text, size, "\"conversation.item.create\"", 26))
        tell(s, "conversation.item.added", "\"previous_item_id\":null,\"item\":{\"id\":\"msg_%u\",\"object\":\"realtime.item\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\",\"content\":[]}", ++items);
    else if (memmem(text, size, "\"response.create\"", 17) && !s->answers) {
        s->answers = 1;
        s->next_answer = now + (300 + (uint64_t)(rand() % 1500)) * MILLISECOND;
    }
}

/* --- HTTP ---------------------------------------------------------------------------------------------------------- */

static void put_http(session *s, const char *kind, const void *body, size_t size) {
    char head[300];
    int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", kind, size);
    put(s, head, (size_t)length);
    put(s, body, size);
}

static void put_token(session *s) {
    char body[400];
    int size = snprintf(body, sizeof body, "{\"value\":\"ek_bench\",\"expires_at\":%lld,%s}", (long long)time(NULL) + 600, SESSION);
    put_http(s, "application/json", body, (size_t)size);
}

/* Two seconds of a 400 Hz tone, 16 bits at 24 kHz: heard from its first frame on. */
static void put_tone(session *s) {
    static int16_t tone[48000];
    for (int i = 0; i < 48000; i++) tone[i] = (int16_t)(9000 * sin(2 * M_PI * 400 * i / 24000.0 + 1.2));
    put_http(s, "audio/pcm", tone, sizeof tone);
}

static void upgrade(session *s, const char *key) {
    char accept[128], text[300];
    uint8_t digest[20];
    int length = (int)strcspn(key, "\r\n");
    snprintf(accept, sizeof accept, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", length < 60 ? length : 60, key);
    sha1((uint8_t *)accept, strlen(accept), digest);
    to_base64(digest, sizeof digest, accept);
    int size = snprintf(text, sizeof text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                           "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
    put(s, text, (size_t)size);
    s->is_websocket = 1;
    s->ordinal = (uint32_t)connections++;
    tell(s, "session.created", "%s", SESSION);
}

/* Bytes used of what is held: 0 while the request is not whole. */
static size_t on_http(session *s) {
    s->in[s->held] = 0;
    char *text = (char *)s->in, *end = strstr(text, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(text, "\r\ncontent-length:"), *key = strcasestr(text, "\r\nsec-websocket-key:");
    size_t used = (size_t)(end + 4 - text) + (length && length < end ? (size_t)atol(length + 17) : 0);
    if (s->held < used) return 0;
    if (key && key < end) upgrade(s, key + 20 + strspn(key + 20, " "));
    else if (strstr(text, "/client_secrets")) put_token(s);
    else put_tone(s);
    return used;
}

/* One WebSocket frame; bytes used, 0 while it is not whole, -1 when the session is gone. */
static ssize_t on_frame(session *s, size_t at, uint64_t now) {
    uint8_t *p = s->in + at;
    size_t held = s->held - at, head = 2, size;
    if (held < 2) return 0;
    size = p[1] & 127;
    if (size == 126) {
        if (held < 4) return 0;
        size = (size_t)p[2] << 8 | p[3], head = 4;
    } else if (size == 127) {
        if (held < 10) return 0;
        size = 0, head = 10;
        for (int i = 0; i < 8; i++) size = size << 8 | p[2 + i];
    }
    uint8_t mask[4] = {0};
    if (p[1] & 128) {
        if (held < head + 4) return 0;
        memcpy(mask, p + head, 4), head += 4;
    }
    if (held < head + size) return 0;
    char *content = (char *)p + head;
    for (size_t i = 0; i < size; i++) content[i] = (char)(content[i] ^ mask[i & 3]);
    int opcode = p[0] & 15;
    if (opcode == 8) return drop(s), -1;
    if (opcode == 9) put_frame(s, 10, content, size);
    if (opcode < 3) {
        char next = content[size];
        on_event(s, content, size, now);
        content[size] = next;
    }
    return (ssize_t)(head + size);
}

static void on_readable(session *s, uint64_t now) {
    ssize_t got;
    do {
        if (s->held + 65537 > s->room && !(s->in = realloc(s->in, s->room = s->held + 131072))) abort();
        got = recv(s->fd, s->in + s->held, 65536, MSG_DONTWAIT);
        if (!got || (got < 0 && errno != EAGAIN)) {
            drop(s);
            return;
        }
        if (got > 0) s->held += (size_t)got;
    } while (got == 65536);
    size_t at = 0;
    while (at < s->held) {
        if (!s->is_websocket) {
            memmove(s->in, s->in + at, s->held -= at), at = 0;
            if (!(at = on_http(s))) break;
            continue;
        }
        ssize_t used = on_frame(s, at, now);
        if (used < 0) return;
        if (!used) break;
        at += (size_t)used;
    }
    memmove(s->in, s->in + at, s->held -= at);
}

static void close_window(void) {
    FILE *out = fopen(out_name, "w");
    if (!out) return;
    fprintf(out, "{\"appends\":%llu,\"stamps\":%llu,\"unstamped\":%llu,\"gaps\":%llu,\"responses\":%llu,\"barge_ins\":%llu,"
                 "\"truncations\":%llu,\"connections\":%llu,\"short_writes\":%llu,",
            (unsigned long long)appends, (unsigned long long)stamps, (unsigned long long)unstamped, (unsigned long long)gaps,
            (unsigned long long)responses, (unsigned long long)barge_ins, (unsigned long long)truncations,
            (unsigned long long)connections, (unsigned long long)short_writes);
    print_series(out, "caller_to_model_ms", &caller_to_model);
    fprintf(out, "}\n");
    fclose(out);
    fflush(barges);
}

static void accept_all(int listener) {
    int fd, one = 1, big = 1 << 20;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MOST_SOCKETS) {
            close(fd);
            continue;
        }
        setsockopt(fd, SOL_TCP, TCP_NODELAY, &one, sizeof one), setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
        session *s = calloc(1, sizeof *s);
        if (!s) abort();
        s->fd = fd, sessions[fd] = s, highest = fd > highest ? fd : highest;
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){EPOLLIN, {.fd = fd}});
    }
}

/* Moves every conversation on; milliseconds until the next thing to do. */
static int attend(uint64_t now) {
    uint64_t next = now + 100 * MILLISECOND;
    for (int i = 0; i <= highest; i++) {
        session *s = sessions[i];
        if (!s || !s->answers) continue;
        if (!s->answering && now >= s->next_answer) begin_answer(s, now);
        if (s->answering && now >= s->next_delta) {
            if (s->delta < DELTAS) say_delta(s);
            else end_answer(s, "completed");
        }
        uint64_t due = s->answering ? s->next_delta : s->next_answer;
        if (due < next) next = due;
    }
    return next > now ? (int)((next - now) / MILLISECOND) + 1 : 0;
}

int main(int argc, char **argv) {
    int option, one = 1, wait = 5;
    while ((option = getopt(argc, argv, "p:o:B:b:")) > 0) {
        if (option == 'p') port = atoi(optarg);
        if (option == 'o') out_name = optarg;
        if (option == 'B') barges_name = optarg;
        if (option == 'b') barge_every = atoi(optarg);
    }
    for (int i = 0; i < 64; i++) meaning[(uint8_t)ALPHABET[i]] = (int8_t)i;
    if (!(barges = fopen(barges_name, "w"))) perror(barges_name), exit(1);
    signal(SIGUSR1, on_signal), signal(SIGUSR2, on_signal), signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_aton("127.0.0.1", &here.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&here, sizeof here) || listen(listener, 256)) perror("bind"), exit(1);
    poll_fd = epoll_create1(0);
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &(struct epoll_event){EPOLLIN, {.fd = listener}});
    for (;;) {
        struct epoll_event ready[128];
        int count = epoll_wait(poll_fd, ready, 128, wait);
        uint64_t now = now_ns();
        if (window_opened) {
            window_opened = 0, measuring = 1, caller_to_model.count = 0;
            appends = stamps = unstamped = gaps = responses = barge_ins = truncations = short_writes = 0;
        }
        if (window_closed) window_closed = 0, close_window(), measuring = 0;
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd == listener) accept_all(listener);
            else if (sessions[ready[i].data.fd]) on_readable(sessions[ready[i].data.fd], now);
        }
        wait = attend(now);
    }
}
