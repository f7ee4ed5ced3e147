"""Other people's Modbus servers, which share no line and no opinion with our own doubles.

Both are the same small machine: 2000 coils and discrete inputs, 200 holding and input registers, all with a pattern in
them. When coil 0 (start) rises, the machine takes holding register 10 (batch size) over into input register 0 and
counts one up in input register 1; discrete input 0 (acknowledge) follows the coil. It answers whatever the unit id.
"""
