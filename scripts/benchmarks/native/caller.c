/* Callers for the benchmarks: up to 128 SIP calls with stamped RTP from one thread.
 *
 * One SIP socket and one RTP socket serve all calls. RTP leaves in five groups, 4 ms apart, and arrives with the kernel's
 * time stamps, so what is measured does not depend on when this program wakes up.
 *
 *   caller -n CALLS -r CALLS_PER_S -d SECONDS[-SECONDS] -e EDGE_PORT -u CALLED -o OUT.json -R RESPONSES.tsv
 *          [-T TOTAL_S -c]        churn: ring again after each end, for TOTAL_S seconds
 *          [-a]                   half of the calls end without BYE, by CANCEL or by silence (with -c)
 *
 * SIGUSR1 opens the measuring window, SIGUSR2 closes it and writes OUT.json. At the end a summary goes to stdout. */
#define _GNU_SOURCE
#include "stamp.h"
#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MOST_CALLS 128
#define SECOND 1000000000ull
#define NOTICED_WITHIN (30 * SECOND) /* the server gives a silent caller 20 s */
#define TALK_S 5.5   /* of each round the caller speaks so long, */
#define ROUND_S 9.1  /* and a round is so long: 60 percent */

enum state { IDLE, INVITING, TALKING, LEAVING, GONE, DONE };
enum manner { BY_BYE, BY_CANCEL, BY_SILENCE };

typedef struct {
    enum state state;
    enum manner manner;
    int generation, tries;
    uint32_t number;             /* counts every answered call: the id in its stamps */
    uint64_t invited, acked, due, ends, first_talk, last_rtp;
    char to[200], contact[200], tag[16];
    struct sockaddr_in rtp;
    uint16_t sequence, heard_sequence, response_sequence;
    uint32_t timestamp, source, index, heard_packets;
    int greeted, told;
    uint32_t response, response_index, response_frames;
    uint64_t response_first, response_last;
} call;

static call calls[MOST_CALLS];
static call *by_port[65536];
static int count = 1, churn, abrupt, edge_port = 5060, sip_socket, rtp_socket, sip_port, rtp_port;
static double rate = 5, shortest = 60, longest, total = 0;
static const char *out_name = "caller.json", *responses_name = "responses.tsv", *called = "100";
static FILE *responses;
static struct sockaddr_in edge;
static uint8_t speech[FRAME * 50], silence[FRAME];
static volatile sig_atomic_t window_opened, window_closed;
static int measuring;
static uint64_t started_at;
static uint32_t answered_calls;

static series gaps, model_to_caller, setup, first_audio;
static uint64_t received, sent, underruns, skipped, sequence_gaps, model_frames, answered_responses;
static int placed, answered, refused, busy, timed_out, ended, dropped_by_server, cancelled, silenced, unnoticed;

static void on_signal(int number) {
    if (number == SIGUSR1) window_opened = 1;
    else window_closed = 1;
}

static double chance(void) { return rand() / ((double)RAND_MAX + 1); }

static void send_sip(const char *format, ...) {
    char text[3000];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sendto(sip_socket, text, (size_t)size, 0, (void *)&edge, sizeof edge);
}

static void send_invite(call *c, uint64_t now) {
    int i = (int)(c - calls);
    if (c->state != INVITING) {
        c->generation++;
        c->tries = 0;
        c->invited = now;
        c->state = INVITING;
        c->source = (uint32_t)rand();
        c->manner = abrupt && chance() < .5 ? (chance() < .5 ? BY_CANCEL : BY_SILENCE) : BY_BYE;
        snprintf(c->tag, sizeof c->tag, "t%x", rand());
        placed++;
    }
    c->due = now + (SECOND / 2 << c->tries);
    c->tries++;
    char sdp[400];
    int size = snprintf(sdp, sizeof sdp,
                        "v=0\r\no=u 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                        "m=audio %d RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
                        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n", rtp_port);
    send_sip("INVITE sip:%s@127.0.0.1:%d SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKi%d.%d.%d;rport\r\n"
             "From: <sip:+12125550%03d@127.0.0.1>;tag=%s\r\nTo: <sip:%s@127.0.0.1:%d>\r\nCall-ID: c%d.%d.%d\r\n"
             "CSeq: 1 INVITE\r\nContact: <sip:c@127.0.0.1:%d>\r\nMax-Forwards: 70\r\n"
             "Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
             called, edge_port, sip_port, i, c->generation, getpid(), i, c->tag, called, edge_port, i, c->generation,
             getpid(), sip_port, size, sdp);
}

static void send_request(call *c, const char *method, int cseq) {
    int i = (int)(c - calls);
    send_sip("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%s%d.%d.%d;rport\r\n"
             "From: <sip:+12125550%03d@127.0.0.1>;tag=%s\r\nTo: %s\r\nCall-ID: c%d.%d.%d\r\nCSeq: %d %s\r\n"
             "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
             method, c->contact, sip_port, method, i, c->generation, getpid(), i, c->tag, c->to, i, c->generation,
             getpid(), cseq, method);
}

/* ACK of a refusal and CANCEL belong to the INVITE's own transaction: its URI, its branch. */
static void send_beside_invite(call *c, const char *method, const char *to) {
    int i = (int)(c - calls);
    send_sip("%s sip:%s@127.0.0.1:%d SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKi%d.%d.%d;rport\r\n"
             "From: <sip:+12125550%03d@127.0.0.1>;tag=%s\r\nTo: %s\r\nCall-ID: c%d.%d.%d\r\nCSeq: 1 %s\r\n"
             "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
             method, called, edge_port, sip_port, i, c->generation, getpid(), i, c->tag, to, i, c->generation, getpid(),
             method);
}

static char *header(char *message, const char *name, char *out, size_t room) {
    size_t length = strlen(name);
    for (char *line = message; line && *line != '\r'; line = strstr(line, "\r\n"), line = line ? line + 2 : NULL) {
        if (strncasecmp(line, name, length) || line[length] != ':') continue;
        line += length + 1;
        line += strspn(line, " ");
        size_t size = strcspn(line, "\r\n");
        if (size >= room) size = room - 1;
        memcpy(out, line, size);
        out[size] = 0;
        return out;
    }
    return NULL;
}

static void finish_response(call *c) {
    if (c->response && responses)
        fprintf(responses, "%u\t%u\t%llu\t%u\t%llu\t%u\n", c->number, c->response, (unsigned long long)c->response_first,
                c->response_index, (unsigned long long)c->response_last, c->response_frames);
    c->response = 0;
}

static void finish(call *c, uint64_t now) {
    finish_response(c);
    if (c->rtp.sin_port && by_port[ntohs(c->rtp.sin_port)] == c) by_port[ntohs(c->rtp.sin_port)] = NULL;
    c->rtp.sin_port = 0;
    c->state = churn && now < started_at + (uint64_t)(total * SECOND) ? IDLE : DONE;
    c->due = now + (uint64_t)((1.0 + chance()) * SECOND);
}

static void on_answer(call *c, char *message, uint64_t now) {
    char contact[400];
    header(message, "To", c->to, sizeof c->to);
    if (header(message, "Contact", contact, sizeof contact)) {
        char *from = strchr(contact, '<'), *to = from ? strchr(from, '>') : NULL;
        if (to) *to = 0, snprintf(c->contact, sizeof c->contact, "%s", from + 1);
    }
    send_request(c, "ACK", 1);
    if (c->state != INVITING) return;
    c->state = TALKING;
    c->acked = c->last_rtp = now_ns();
    answered++;
    add(&setup, (double)(now - c->invited) / 1e6);
    char *media = strstr(message, "m=audio ");
    c->rtp.sin_family = AF_INET;
    c->rtp.sin_port = htons((uint16_t)atoi(media ? media + 8 : "0"));
    inet_aton("127.0.0.1", &c->rtp.sin_addr);
    by_port[ntohs(c->rtp.sin_port)] = c;
    double length = longest > shortest ? shortest + chance() * (longest - shortest) : shortest;
    c->ends = c->acked + (uint64_t)(length * SECOND);
    c->first_talk = c->acked + (uint64_t)(chance() * ROUND_S * SECOND);
    c->sequence = (uint16_t)rand();
    c->timestamp = (uint32_t)rand();
    c->index = c->heard_packets = c->response = 0;
    c->greeted = 0;
    c->number = ++answered_calls;
}

static void on_response(call *c, char *message, uint64_t now) {
    char cseq[60], to[200] = "";
    int status = atoi(message + 8);
    if (!header(message, "CSeq", cseq, sizeof cseq)) return;
    if (strstr(cseq, "BYE")) {
        if (c->state == LEAVING) ended++, finish(c, now);
        return;
    }
    if (!strstr(cseq, "INVITE")) return;
    if (status < 200) {
        c->due = now + 8 * SECOND;
        if (c->manner == BY_CANCEL && c->state == INVITING) send_beside_invite(c, "CANCEL", "<sip:100@127.0.0.1>");
        return;
    }
    if (status < 300) {
        on_answer(c, message, now);
        return;
    }
    header(message, "To", to, sizeof to);
    send_beside_invite(c, "ACK", to);
    if (c->state != INVITING) return;
    if (status == 487) cancelled++;
    else refused++, busy += status == 503;
    finish(c, now);
}

static void on_request(call *c, int generation, char *message, uint64_t now) {
    char vias[2000] = "", via[600], from[300], to[300], id[120], cseq[60];
    for (char *at = message; (at = strstr(at, "\r\nVia:")); at += 6)
        if (header(at + 2, "Via", via, sizeof via)) strcat(strcat(vias, "\r\nVia: "), via);
    send_sip("SIP/2.0 200 OK%s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n", vias,
             header(message, "From", from, sizeof from), header(message, "To", to, sizeof to),
             header(message, "Call-ID", id, sizeof id), header(message, "CSeq", cseq, sizeof cseq));
    if (strncmp(message, "BYE ", 4) || generation != c->generation) return;
    if (c->state == GONE) finish(c, now);
    if (c->state != TALKING) return;
    dropped_by_server++;
    fprintf(stderr, "server ended call %u after %.1f s\n", c->number, (double)(now - c->acked) / 1e9);
    finish(c, now);
}

static void on_sip(char *message, uint64_t now) {
    char id[120];
    int slot, generation, pid;
    if (!header(message, "Call-ID", id, sizeof id)) return;
    if (sscanf(id, "c%d.%d.%d", &slot, &generation, &pid) != 3 || slot < 0 || slot >= MOST_CALLS || pid != getpid()) return;
    call *c = &calls[slot];
    if (strncmp(message, "SIP/2.0 ", 8)) on_request(c, generation, message, now);
    else if (generation == c->generation) on_response(c, message, now);
}

static int silent(const uint8_t *payload) {
    for (int i = 0; i < FRAME; i++)
        if ((payload[i] & 0x7F) < 0x68) return 0; /* louder than about -50 dB */
    return 1;
}

static void on_rtp(const uint8_t *packet, size_t size, uint16_t port, uint64_t now) {
    call *c = by_port[port];
    if (!c || size < 12 + FRAME || c->state != TALKING || (packet[1] & 0x7F)) return;
    uint16_t sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    received++;
    if (c->heard_packets) {
        if (measuring && c->heard_packets > 50) add(&gaps, (double)(now - c->last_rtp) / 1e6);
        if ((uint16_t)(sequence - c->heard_sequence) != 1) sequence_gaps++;
    }
    c->heard_packets++;
    c->last_rtp = now;
    c->heard_sequence = sequence;
    stamp s;
    if (!read_stamp(packet + 12, FRAME, FROM_MODEL, &s)) {
        if (!c->greeted && !silent(packet + 12)) c->greeted = 1, add(&first_audio, ((double)now - (double)c->acked) / 1e6);
        return;
    }
    model_frames++;
    if (s.id != c->response) {
        finish_response(c);
        c->response = s.id;
        c->response_first = now;
        c->response_frames = 0;
        answered_responses++;
        skipped += s.index;
        if (!s.index && measuring) add(&model_to_caller, ((double)now - (double)s.sent_ns) / 1e6);
    } else if (s.index == c->response_index + 1) {
        uint16_t step = (uint16_t)(sequence - c->response_sequence);
        if (step > 1) underruns += step - 1u;
    } else if (s.index > c->response_index) {
        skipped += s.index - c->response_index - 1;
    }
    c->response_frames++;
    c->response_index = s.index;
    c->response_sequence = sequence;
    c->response_last = now;
}

static void print_results(FILE *out) {
    fprintf(out, "{\"placed\":%d,\"answered\":%d,\"refused\":%d,\"busy\":%d,\"timed_out\":%d,\"ended\":%d,"
                 "\"dropped_by_server\":%d,\"cancelled\":%d,\"silenced\":%d,\"unnoticed\":%d,\"received\":%llu,\"sent\":%llu,"
                 "\"underruns\":%llu,\"skipped\":%llu,\"sequence_gaps\":%llu,\"model_frames\":%llu,\"responses\":%llu,",
            placed, answered, refused, busy, timed_out, ended, dropped_by_server, cancelled, silenced, unnoticed,
            (unsigned long long)received, (unsigned long long)sent, (unsigned long long)underruns,
            (unsigned long long)skipped, (unsigned long long)sequence_gaps, (unsigned long long)model_frames,
            (unsigned long long)answered_responses);
    print_series(out, "rtp_gap_ms", &gaps), fputc(',', out);
    print_series(out, "model_to_caller_ms", &model_to_caller), fputc(',', out);
    print_series(out, "setup_ms", &setup), fputc(',', out);
    print_series(out, "first_audio_ms", &first_audio);
    fprintf(out, "}\n");
}

static void close_window(void) {
    FILE *out = fopen(out_name, "w");
    if (!out) return;
    print_results(out);
    fclose(out);
    fflush(responses);
}

static uint64_t arrival(struct msghdr *message, uint64_t otherwise) {
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (!control || control->cmsg_type != SCM_TIMESTAMPNS) return otherwise;
    struct timespec t;
    memcpy(&t, CMSG_DATA(control), sizeof t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void drain_sip(uint64_t now) {
    char text[8000], control[64];
    for (;;) {
        struct iovec part = {text, sizeof text - 1};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t size = recvmsg(sip_socket, &message, 0);
        if (size < 0) return;
        text[size] = 0;
        on_sip(text, arrival(&message, now));
    }
}

static void drain_rtp(uint64_t now) {
    static uint8_t packets[64][400];
    static char controls[64][64];
    struct mmsghdr messages[64];
    struct iovec parts[64];
    struct sockaddr_in from[64];
    int got;
    do {
        for (int i = 0; i < 64; i++) {
            parts[i] = (struct iovec){packets[i], sizeof packets[i]};
            messages[i].msg_hdr = (struct msghdr){&from[i], sizeof from[i], &parts[i], 1, controls[i], sizeof controls[i], 0};
        }
        got = recvmmsg(rtp_socket, messages, 64, 0, NULL);
        for (int i = 0; i < got; i++)
            on_rtp(packets[i], messages[i].msg_len, ntohs(from[i].sin_port), arrival(&messages[i].msg_hdr, now));
    } while (got == 64);
}

static void send_group(int group, uint64_t now) {
    static uint8_t packets[MOST_CALLS][12 + FRAME];
    struct mmsghdr messages[MOST_CALLS];
    struct iovec parts[MOST_CALLS];
    unsigned ready = 0;
    for (int i = group; i < count; i += 5) {
        call *c = &calls[i];
        if (c->state != TALKING) continue;
        uint8_t *p = packets[ready];
        uint32_t timestamp = htonl(c->timestamp += FRAME), source = htonl(c->source);
        c->sequence++;
        p[0] = 0x80, p[1] = 0, p[2] = (uint8_t)(c->sequence >> 8), p[3] = (uint8_t)c->sequence;
        memcpy(p + 4, &timestamp, 4), memcpy(p + 8, &source, 4);
        double phase = now > c->first_talk ? (double)(now - c->first_talk) / 1e9 : ROUND_S;
        phase -= ROUND_S * (int)(phase / ROUND_S);
        int speaking = now > c->first_talk && phase < TALK_S;
        memcpy(p + 12, speaking ? speech + FRAME * (c->index % 50) : silence, FRAME);
        write_stamp(p + 12, FROM_CALLER, (stamp){c->number, c->index++, speaking, now_ns()});
        parts[ready] = (struct iovec){p, 12 + FRAME};
        messages[ready].msg_hdr = (struct msghdr){&c->rtp, sizeof c->rtp, &parts[ready], 1, NULL, 0, 0};
        ready++;
    }
    if (ready) sendmmsg(rtp_socket, messages, ready, 0), sent += ready;
}

/* Moves every call on that is due; how many are not done. */
static int attend(uint64_t now) {
    int busy_calls = 0;
    double elapsed = (double)(now - started_at) / 1e9;
    for (int i = 0; i < count; i++) {
        call *c = &calls[i];
        if (c->state != DONE && (c->state != IDLE || (churn && elapsed < total))) busy_calls++;
        if (c->state == INVITING && now > c->due) {
            if (c->tries > 5) timed_out++, finish(c, now);
            else send_invite(c, now);
        } else if (c->state == TALKING && now > c->ends) {
            if (c->manner == BY_SILENCE) {
                silenced++; /* as a telephone that lost its power: the server has to notice, and is busy until then */
                c->state = GONE, c->due = now + NOTICED_WITHIN;
                continue;
            }
            send_request(c, "BYE", 2);
            c->state = LEAVING, c->tries = 0, c->due = now + SECOND / 2;
        } else if (c->state == LEAVING && now > c->due) {
            if (++c->tries > 5) timed_out++, finish(c, now);
            else send_request(c, "BYE", 2), c->due = now + SECOND / 2;
        } else if (c->state == GONE && now > c->due) {
            unnoticed++, finish(c, now);
        } else if (c->state == IDLE && c->generation && churn && now > c->due && elapsed < total) {
            send_invite(c, now);
        }
    }
    return busy_calls;
}

static int bound_socket(int *port) {
    int one = 1, big = 8 << 20, s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in here = {.sin_family = AF_INET};
    socklen_t size = sizeof here;
    inet_aton("127.0.0.1", &here.sin_addr);
    setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big)) setsockopt(s, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    if (bind(s, (void *)&here, sizeof here)) perror("bind"), exit(1);
    getsockname(s, (void *)&here, &size);
    *port = ntohs(here.sin_port);
    return s;
}

static void read_arguments(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "n:r:d:T:o:R:cae:u:")) > 0) {
        char *dash;
        switch (option) {
        case 'n': count = atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'd':
            shortest = atof(optarg);
            if ((dash = strchr(optarg, '-'))) longest = atof(dash + 1);
            break;
        case 'T': total = atof(optarg); break;
        case 'o': out_name = optarg; break;
        case 'R': responses_name = optarg; break;
        case 'c': churn = 1; break;
        case 'a': abrupt = 1; break;
        case 'e': edge_port = atoi(optarg); break;
        case 'u': called = optarg; break;
        default: exit(2);
        }
    }
    if (count < 1 || count > MOST_CALLS) fprintf(stderr, "1 to %d calls\n", MOST_CALLS), exit(2);
}

int main(int argc, char **argv) {
    read_arguments(argc, argv);
    srand((unsigned)getpid());
    for (size_t i = 0; i < sizeof speech; i++) speech[i] = (uint8_t)((0x30 + rand() % 64) | (rand() & 1 ? 0x80 : 0));
    memset(silence, 0xFF, sizeof silence);
    if (!(responses = fopen(responses_name, "w"))) perror(responses_name), exit(1);
    signal(SIGUSR1, on_signal), signal(SIGUSR2, on_signal);
    edge.sin_family = AF_INET, edge.sin_port = htons((uint16_t)edge_port), inet_aton("127.0.0.1", &edge.sin_addr);
    sip_socket = bound_socket(&sip_port), rtp_socket = bound_socket(&rtp_port);
    int poll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    timerfd_settime(timer, 0, &(struct itimerspec){{0, 4000000}, {0, 4000000}}, NULL);
    epoll_ctl(poll, EPOLL_CTL_ADD, sip_socket, &(struct epoll_event){EPOLLIN, {.fd = sip_socket}});
    epoll_ctl(poll, EPOLL_CTL_ADD, timer, &(struct epoll_event){EPOLLIN, {.fd = timer}});
    started_at = now_ns();
    uint64_t tick = 0;
    int launched = 0;
    for (;;) {
        struct epoll_event events[4];
        int ready = epoll_wait(poll, events, 4, 100);
        uint64_t now = now_ns(), ticks = 0;
        if (window_opened) {
            window_opened = 0, measuring = 1, gaps.count = model_to_caller.count = 0;
            received = sent = underruns = skipped = sequence_gaps = model_frames = answered_responses = 0;
        }
        if (window_closed) window_closed = 0, close_window(), measuring = 0;
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == sip_socket) drain_sip(now);
            else if (read(timer, &ticks, sizeof ticks) != sizeof ticks) ticks = 0;
        }
        if (!ticks) continue;
        drain_rtp(now);
        for (uint64_t i = 0; i < (ticks > 25 ? 25 : ticks); i++, tick++) send_group((int)(tick % 5), now);
        while (launched < count && (double)(now - started_at) / 1e9 * rate >= launched) send_invite(&calls[launched++], now);
        if (!attend(now) && launched == count) break;
        if (total > 0 && now > started_at + (uint64_t)((total + 60) * SECOND)) break;
    }
    for (int i = 0; i < count; i++) finish_response(&calls[i]);
    fclose(responses);
    print_results(stdout);
    return 0;
}
