/* A small machine on libmodbus: `libmodbus_server [port]`, on any free port without one.
 * Says {"port": n} when ready, answers each line on stdin with all that it holds and saw ("reset" first forgets it),
 * and ends when stdin does. */
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

enum { BITS = 2000, REGISTERS = 200 };
enum { START = 0, ACKNOWLEDGE = 0, BATCH_SIZE = 10, RUNNING_SIZE = 0, BATCHES = 1 };

static modbus_t *bus;
static modbus_mapping_t *memory;
static FILE *requests; /* the PDU of each, in hex; it writes to `seen` */
static char *seen;
static size_t seen_size;
static fd_set watched;
static int listener, connections, connects;

static void reset(void) {
    for (int i = 0; i < BITS; i++) memory->tab_bits[i] = i % 3 == 1, memory->tab_input_bits[i] = i % 5 == 1;
    for (int i = 0; i < REGISTERS; i++) memory->tab_registers[i] = 0x1100 + i;
    for (int i = 0; i < REGISTERS; i++) memory->tab_input_registers[i] = i > BATCHES ? 0xA000 + i : 0;
    rewind(requests);
    connects = 0;
}

static void say(const char *table, int count, const uint8_t *bits, const uint16_t *registers) {
    printf(", \"%s\": [", table);
    for (int i = 0; i < count; i++) printf("%s%d", i ? "," : "", bits ? bits[i] : registers[i]);
    printf("]");
}

static void answer_line(void) {
    char line[80];
    if (!fgets(line, sizeof line, stdin)) exit(0);
    if (!strcmp(line, "reset\n")) reset();
    fflush(requests);
    printf("{\"connections\": %d, \"connects\": %d, \"requests\": \"%.*s\"", connections, connects, (int)seen_size, seen);
    say("coil", BITS, memory->tab_bits, NULL);
    say("discrete_input", BITS, memory->tab_input_bits, NULL);
    say("holding_register", REGISTERS, NULL, memory->tab_registers);
    say("input_register", REGISTERS, NULL, memory->tab_input_registers);
    printf("}\n");
    fflush(stdout);
}

static void take_in(void) {
    int connection = modbus_tcp_accept(bus, &listener);
    if (connection < 0) exit(1);
    FD_SET(connection, &watched);
    connections++, connects++;
}

static void act(int was_on) {
    int is_on = memory->tab_bits[START];
    if (is_on && !was_on) {
        memory->tab_input_registers[RUNNING_SIZE] = memory->tab_registers[BATCH_SIZE];
        memory->tab_input_registers[BATCHES]++;
    }
    memory->tab_input_bits[ACKNOWLEDGE] = is_on;
}

static void serve(int connection) {
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_set_socket(bus, connection);
    int length = modbus_receive(bus, request), was_on = memory->tab_bits[START];
    if (length < 0) {
        FD_CLR(connection, &watched);
        connections--;
        close(connection);
        return;
    }
    for (int i = modbus_get_header_length(bus); i < length; i++) fprintf(requests, "%02x", request[i]);
    fputc(' ', requests);
    modbus_reply(bus, request, length, memory);
    act(was_on);
}

static void open_at(int port) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    bus = modbus_new_tcp("127.0.0.1", port);
    listener = modbus_tcp_listen(bus, 16);
    if (listener < 0 || getsockname(listener, (struct sockaddr *)&address, &size)) exit(1);
    FD_SET(listener, &watched);
    FD_SET(STDIN_FILENO, &watched);
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv) {
    memory = modbus_mapping_new(BITS, BITS, REGISTERS, REGISTERS);
    requests = open_memstream(&seen, &seen_size);
    reset();
    setvbuf(stdin, NULL, _IONBF, 0); /* select() does not see what stdio has read already */
    open_at(argc > 1 ? atoi(argv[1]) : 0);
    for (;;) {
        fd_set ready = watched;
        if (select(FD_SETSIZE, &ready, NULL, NULL, NULL) < 0) return 1;
        for (int fd = 0; fd < FD_SETSIZE; fd++) {
            if (!FD_ISSET(fd, &ready)) continue;
            if (fd == STDIN_FILENO) answer_line();
            else if (fd == listener) take_in();
            else serve(fd);
        }
    }
}
