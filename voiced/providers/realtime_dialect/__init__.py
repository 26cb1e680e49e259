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
    leg              the contract's functions that need nothing of a service

A second service plugs in with a `Dialect`. No code here asks which service it is.

- Its table of errors is a `Faults`; what is in no row is told with the service's own words.
- `bill`, `bill_transcription` and `bill_item` say what things cost. A service that tells a running
  total has its `Dialect` made anew for each connection (`msgspec.structs.replace`).
- A turn by push-to-talk is a `ManualTurns`: press, append, release, and what it hears of replies
  and of speech meanwhile.
- `said` speaks word for word, by a reply of its own or by a client event. Events and items that
  only one service has derive from `client.ClientEvent` and `client.ClientItem`.
- The constants say when a truncation is taken, when final words are final, whether a cancel must be
  sent, and what is lost without a word and after how long.

Its provider module makes the settings in its own shape, as JSON values in `SessionUpdate`, fills in
`Terms`, calls `connect`, takes over the functions of `leg`, and hands on what the others are given:
`conversation.hearing` takes sound and the gate's edges, `conversation` the rest. After each it
awaits `Connection.flush`. `Connection.prime` takes history, in as many rows as the module likes.
"""
