"""A plant with physics, served over real protocols: what the demo, the tests and the bench watch.

``plant`` puts together: ``physics`` (pure) moves the incubators, ``sensors`` show them with noise
and failures, ``scenario`` says what goes wrong when, ``instruments`` lays values into registers,
and ``servers`` answers over Modbus TCP.
``load`` is a server process of its own for the bench: many equipments, little CPU.
"""
