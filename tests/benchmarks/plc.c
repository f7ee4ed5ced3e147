/* Many fast PLCs in one process: `plc COUNT MUTE`, the last MUTE of them accept and never answer.
 * Says {"ports": [...]} when it listens, then answers each line on stdin with what it saw ("look"), forgets it
 * ("reset"), or answers requests so many microseconds late ("delay N"). Ends when stdin does.
 *
 * Coils and holding registers are kept. Input registers 0 to 9 of each PLC are five uint32: the moment, in ms of the
 * monotonic clock, at which they changed last, which is once a second. The others stand still. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 256, COILS = 64, CLOCKS = 10, CHANGE_MS = 1000, LARGEST = 300, EVENTS = 256 };
enum { LISTENER, CONNECTION, STDIN, TIMER };

typedef struct {
    int kind, fd, is_mute, position;
    uint16_t holding[WORDS];
    uint8_t coils[COILS];
} Plc;

typedef struct {
    int kind, fd, used, waiting;
    Plc *plc;
    uint8_t request[2 * LARGEST];
} Connection;

typedef struct {
    uint64_t due_ns;
    Connection *to;
    int size;
    uint8_t answer[LARGEST];
} Late;

static int epoll, timer, count, connections;
static long connects, requests, words_written, word_writes, coil_writes;
static long long words_sum;
static uint64_t delay_ns;
static Late *late; /* a ring: the delay is the same for all, so that the first asked is the first due */
static int first_late, late_count, late_room = 1024;

static void die(const char *what) { perror(what), exit(1); }

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void put16(uint8_t *at, unsigned value) { at[0] = value >> 8, at[1] = value; }
static unsigned get16(const uint8_t *at) { return at[0] << 8 | at[1]; }

static void watch(void *what, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static unsigned input_register(const Plc *plc, int address) {
    if (address >= CLOCKS) return 0x1100 + address;
    uint64_t ms = now_ns() / 1000000, phase = (uint64_t)plc->position * CHANGE_MS / count;
    uint32_t changed = ms - (ms - phase) % CHANGE_MS;
    return address % 2 ? changed & 0xFFFF : changed >> 16;
}

static int refuse(const uint8_t *pdu, uint8_t *answer, int code) {
    answer[0] = pdu[0] | 0x80, answer[1] = code;
    return 2;
}

static int read_bits(const Plc *plc, const uint8_t *pdu, uint8_t *answer, int address, int number) {
    if (number < 1 || number > 2000) return refuse(pdu, answer, 3);
    answer[0] = pdu[0], answer[1] = (number + 7) / 8;
    memset(answer + 2, 0, answer[1]);
    for (int i = 0; i < number && address + i < COILS; i++) answer[2 + i / 8] |= plc->coils[address + i] << i % 8;
    return 2 + answer[1];
}

static int read_words(const Plc *plc, const uint8_t *pdu, uint8_t *answer, int address, int number) {
    if (number < 1 || number > 125 || address + number > WORDS) return refuse(pdu, answer, number < 126 ? 2 : 3);
    answer[0] = pdu[0], answer[1] = 2 * number;
    for (int i = 0; i < number; i++)
        put16(answer + 2 + 2 * i, pdu[0] == 3 ? plc->holding[address + i] : input_register(plc, address + i));
    return 2 + 2 * number;
}

static void write_word(Plc *plc, int address, unsigned value) {
    plc->holding[address] = value;
    words_sum += value, words_written++;
}

static int write_words(Plc *plc, const uint8_t *pdu, uint8_t *answer, int address, int number, int size) {
    if (number < 1 || size != 6 + 2 * number) return refuse(pdu, answer, 3);
    if (address + number > WORDS) return refuse(pdu, answer, 2);
    for (int i = 0; i < number; i++) write_word(plc, address + i, get16(pdu + 6 + 2 * i));
    word_writes++;
    memcpy(answer, pdu, 5);
    return 5;
}

static int write_coils(Plc *plc, const uint8_t *pdu, uint8_t *answer, int address, int number) {
    if (address + number > COILS) return refuse(pdu, answer, 2);
    for (int i = 0; i < number; i++) plc->coils[address + i] = pdu[6 + i / 8] >> i % 8 & 1;
    coil_writes++;
    memcpy(answer, pdu, 5);
    return 5;
}

static int echo_write(Plc *plc, const uint8_t *pdu, uint8_t *answer, int address, unsigned value) {
    if (address >= (pdu[0] == 5 ? COILS : WORDS)) return refuse(pdu, answer, 2);
    if (pdu[0] == 5) plc->coils[address] = value == 0xFF00, coil_writes++;
    if (pdu[0] == 6) write_word(plc, address, value), word_writes++;
    if (pdu[0] == 22) write_word(plc, address, (plc->holding[address] & value) | (get16(pdu + 5) & ~value)), word_writes++;
    memcpy(answer, pdu, pdu[0] == 22 ? 7 : 5);
    return pdu[0] == 22 ? 7 : 5;
}

static int act(Plc *plc, const uint8_t *pdu, int size, uint8_t *answer) {
    if (size < 5) return refuse(pdu, answer, 3);
    int address = get16(pdu + 1), number = get16(pdu + 3);
    switch (pdu[0]) {
        case 1: case 2: return read_bits(plc, pdu, answer, address, number);
        case 3: case 4: return read_words(plc, pdu, answer, address, number);
        case 5: case 6: case 22: return echo_write(plc, pdu, answer, address, number);
        case 15: return write_coils(plc, pdu, answer, address, number);
        case 16: return write_words(plc, pdu, answer, address, number, size);
        default: return refuse(pdu, answer, 1);
    }
}

static void set_timer(void) {
    uint64_t due = late_count ? late[first_late].due_ns : 0;
    struct itimerspec at = {.it_value = {due / 1000000000, due % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static Late *next_late(void) {
    if (late_count == late_room) {
        Late *wider = malloc(2 * late_room * sizeof *late);
        for (int i = 0; i < late_count; i++) wider[i] = late[(first_late + i) % late_room];
        free(late);
        late = wider, first_late = 0, late_room *= 2;
    }
    return &late[(first_late + late_count++) % late_room];
}

static void answer_one(Connection *from, const uint8_t *frame, int size) {
    uint8_t at_once[LARGEST], *answer = at_once;
    Late *entry = NULL;
    if (delay_ns) entry = next_late(), answer = entry->answer;
    memcpy(answer, frame, 7);
    int length = act(from->plc, frame + 7, size - 7, answer + 7);
    put16(answer + 4, length + 1);
    requests++;
    if (!entry) {
        if (write(from->fd, answer, 7 + length) < 0) return; /* it has hung up: the next read tells */
        return;
    }
    entry->due_ns = now_ns() + delay_ns, entry->to = from, entry->size = 7 + length;
    from->waiting++;
    if (late_count == 1) set_timer();
}

static void free_if_done(Connection *gone) {
    if (gone->fd < 0 && !gone->waiting) free(gone);
}

static void send_due(void) {
    uint64_t passed, now = now_ns();
    if (read(timer, &passed, sizeof passed) < 0) return;
    while (late_count && late[first_late].due_ns <= now) {
        Late *entry = &late[first_late];
        first_late = (first_late + 1) % late_room, late_count--;
        entry->to->waiting--;
        if (entry->to->fd >= 0 && write(entry->to->fd, entry->answer, entry->size) < 0) continue;
        free_if_done(entry->to);
    }
    set_timer();
}

static void take_in(Plc *plc) {
    int fd = accept4(plc->fd, NULL, NULL, SOCK_NONBLOCK), yes = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    Connection *new = calloc(1, sizeof *new);
    new->kind = CONNECTION, new->fd = fd, new->plc = plc;
    watch(new, fd);
    connections++, connects++;
}

static void hear(Connection *from) {
    ssize_t came = read(from->fd, from->request + from->used, sizeof from->request - from->used);
    if (came <= 0) {
        close(from->fd), from->fd = -1, connections--;
        free_if_done(from);
        return;
    }
    if (from->plc->is_mute) return;
    from->used += came;
    while (from->used >= 8) {
        int size = 6 + get16(from->request + 4);
        if (size > LARGEST) { from->used = 0; return; }
        if (from->used < size) return;
        answer_one(from, from->request, size);
        memmove(from->request, from->request + size, from->used -= size);
    }
}

static void obey(void) {
    char line[64];
    if (!fgets(line, sizeof line, stdin)) exit(0);
    if (!strncmp(line, "delay ", 6)) delay_ns = strtoull(line + 6, NULL, 10) * 1000;
    if (!strcmp(line, "reset\n"))
        connects = requests = words_written = word_writes = coil_writes = words_sum = 0;
    printf("{\"connections\": %d, \"connects\": %ld, \"requests\": %ld, \"word_writes\": %ld, \"words\": %ld, "
           "\"words_sum\": %lld, \"coil_writes\": %ld}\n",
           connections, connects, requests, word_writes, words_written, words_sum, coil_writes);
    fflush(stdout);
}

static void listen_on(Plc *plc) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    plc->kind = LISTENER, plc->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(plc->fd, (struct sockaddr *)&at, sizeof at) || listen(plc->fd, 64)) die("listen");
    getsockname(plc->fd, (struct sockaddr *)&at, &size);
    printf("%s%d", plc->position ? ", " : "", ntohs(at.sin_port));
    watch(plc, plc->fd);
}

static void allow_many_descriptors(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    count = atoi(argv[1]);
    int mute = atoi(argv[2]), listening = STDIN, ticking = TIMER;
    allow_many_descriptors();
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    late = malloc(late_room * sizeof *late);
    Plc *plcs = calloc(count, sizeof *plcs);
    printf("{\"ports\": [");
    for (int i = 0; i < count; i++) {
        plcs[i].position = i, plcs[i].is_mute = i >= count - mute;
        listen_on(&plcs[i]);
    }
    printf("]}\n");
    fflush(stdout);
    watch(&listening, STDIN_FILENO), watch(&ticking, timer);
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) switch (*(int *)events[i].data.ptr) {
            case LISTENER: take_in(events[i].data.ptr); break;
            case CONNECTION: hear(events[i].data.ptr); break;
            case STDIN: obey(); break;
            case TIMER: send_due(); break;
        }
    }
}
