"""One mind: the only truth about each agent, as pure functions and state. No clock, no I/O.

`agent.handle(input, instant)` takes one `Input` and returns the `Effect`s to perform, in order;
`agent.next_deadline()` says when to come back with a `Tick`.
"""
