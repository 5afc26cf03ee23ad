"""The parts of `benches/compare`.

machine   processes, cores, CPU time and memory
peers     the programs that are compared, and how each is configured and started
drivers   load: wrk, handshake, pace, and a crowd that only waits
drivers   load: wrk, handshake, pace, and a crowd that only waits
cases     the table of measurements
bench     starts peers and their load
kinds     the ways to measure
drawing   the plot
"""
