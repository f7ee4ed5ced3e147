// A small machine on npm's modbus-serial: `node modbus_serial_server.js [port]`, on any free port without one.
// Says {"port": n} when ready, answers each line on stdin with all that it holds and saw ("reset" first forgets it),
// and ends when stdin does.
"use strict";
const readline = require("node:readline");
const { ServerTCP } = require("modbus-serial");

const [BITS, REGISTERS] = [2000, 200];
const [START, ACKNOWLEDGE, BATCH_SIZE, RUNNING_SIZE, BATCHES] = [0, 0, 10, 0, 1];
const UNMAPPED = { modbusErrorCode: 2 };
const memory = {};
let requests, connects; // requests: the PDU of each, in hex

const filled = (size, value) => Array.from({ length: size }, (_, i) => value(i));

function reset() {
  memory.coil = filled(BITS, (i) => Number(i % 3 === 1));
  memory.discrete_input = filled(BITS, (i) => Number(i % 5 === 1));
  memory.holding_register = filled(REGISTERS, (i) => 0x1100 + i);
  memory.input_register = filled(REGISTERS, (i) => (i > BATCHES ? 0xa000 + i : 0));
  [requests, connects] = ["", 0];
}

function read(table, address) {
  if (address >= memory[table].length) throw UNMAPPED;
  return memory[table][address];
}

function write(table, address, values) {
  if (address + values.length > memory[table].length) throw UNMAPPED;
  memory[table].splice(address, values.length, ...values);
}

function writeCoil(address, value) {
  const before = memory.coil[START];
  write("coil", address, [Number(value)]);
  const now = memory.coil[START];
  if (now && !before) {
    memory.input_register[RUNNING_SIZE] = memory.holding_register[BATCH_SIZE];
    memory.input_register[BATCHES] += 1;
  }
  memory.discrete_input[ACKNOWLEDGE] = now;
}

// Without setRegisterArray an FC16 is confirmed once its first register is taken, whatever becomes of the others;
// with setCoilArray an FC15 is confirmed before the coils are looked at. So registers come together, coils one by one.
const vector = {
  getCoil: (address) => read("coil", address),
  getDiscreteInput: (address) => read("discrete_input", address),
  getHoldingRegister: (address) => read("holding_register", address),
  getInputRegister: (address) => read("input_register", address),
  setCoil: (address, value) => writeCoil(address, value),
  setRegister: (address, value) => write("holding_register", address, [value]),
  setRegisterArray: (address, values) => write("holding_register", address, values),
};

reset();
// 0 would be taken for none given, and none for 502.
const server = new ServerTCP(vector, { host: "127.0.0.1", port: process.argv[2] || "0" });
server.on("serverError", (error) => { throw error; });
server.on("initialized", () => console.log(JSON.stringify({ port: server._server.address().port })));
server._server.on("connection", (socket) => {
  connects += 1;
  // Our link awaits each answer, so that what comes at once is one frame: 7 bytes of header, and the PDU.
  socket.on("data", (frame) => { requests += frame.toString("hex", 7) + " "; });
});

readline.createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "reset") reset();
    console.log(JSON.stringify({ connections: server.socks.size, connects, requests, ...memory }));
  })
  .on("close", () => process.exit(0));
