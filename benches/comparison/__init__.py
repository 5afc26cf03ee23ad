"""The parts of `benches/compare`.

machine   processes, cores, CPU time and memory
peers     the programs that are compared, and how each is configured and started
drivers   load: wrk, handshake, pace, and a crowd that only waits
cases     the table of what is measured
bench     starts what is measured and what loads it
kinds     the ways to measure
report    medians, ratios, tables
drawing   the plot
"""
