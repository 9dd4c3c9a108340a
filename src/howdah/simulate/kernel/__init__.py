"""The compiled engine: a discrete-event kernel on one block of memory. See README.md."""
