"""The realtime protocol that OpenAI and xAI share, and the place for what they do not.

    server, client   the events of both sides, as structs, and their codec
    faults           what an error means, by a dialect's table
    responses        the one place of a running reply, and who waits for it
    items, calls, turns   what came of replies, tool calls and the user's turns
    usage            accounts of tokens
    dialect          what differs: constants, and functions where constants do not do
    hearing          the user's side: sound, turns, words
    troubles         errors, limits, the session's end, and what follows
    conversation     all of these together: frames in, callbacks and client events out; pure
    connection       the socket under a conversation

A second service plugs in with a `Dialect`: its rates, its table of errors (`Faults`), how it bills,
how a turn by push-to-talk goes (a `ManualTurns` of its own), how it speaks word for word, and the
few constants that say when a truncation is taken, when final words are final, whether a cancel must
be sent. Its provider module builds the settings in its own shape, as plain JSON values in
`SessionUpdate`, fills in `Terms` for the connection, and calls `connect`. Items and events of its
own derive from `client.ClientItem` and `client.ClientEvent`. No code here asks which service it is.
"""
