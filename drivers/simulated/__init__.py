"""A plant with physics, served over real protocols: what the demo, the tests and the bench watch.

``plant`` puts together: ``incubator`` and ``bioreactor`` (pure) are the physics, ``sensors`` show
them with noise and failures, ``scenario`` says what goes wrong when, and ``simulation`` lets it
happen to the ``equipment``.  ``instruments`` lays values into registers for the Modbus TCP hosts of
``servers``, and ``nodes`` into the address space of the OPC UA servers of ``opcua``.
``load`` is a server process of its own for the bench: many equipments, little CPU.
"""
