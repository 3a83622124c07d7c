"""Histories: plain text, one step a line, and what carries them out.

  # why it is kept
  world limit=5 engine=lmdb
  grant 1 ann
  send 1 m1 to=ann
  open a 0 1 ann phone after=m1

A step is a verb, its operands, and options. Messages, clients and places are named, so that a history still is one when
any of its steps is left out; a step that makes no sense where things stand changes nothing.

  world limit= ttl=S cursors=S ids= window=S edges= engine=memory|lmdb either evict seed=   begins; first line, always
  grant|revoke|deny ROOM USER
  send ROOM ID [to=USER] [ttl=S] [except=CLIENT] [text=T] [size=BYTES]     the same ID again: a duplicate
  receipts ID [bare [except=CLIENT]]          sends it again, and asks how many devices have it; bare: without its ttl, and
     without its except or with another, as a sender does that was started anew
  open CLIENT EDGE ROOM USER DEVICE [derived] [ack] [claim] [after=] [epoch=first|now|other]
     after=new, 0, ID (its seq), a number, +N (so far ahead of the newest), last (where the last poll ended)
  sub|unsub CLIENT ROOM [after=] [epoch=]
  pong CLIENT [ID]                            answers its newest PING, or the first that followed this message
  ack CLIENT ID
  freeze|thaw CLIENT                          it reads nothing, and again
  close CLIENT [ack=ID]                       acknowledges this first, in the same moment
  poll EDGE ROOM USER [after=] [epoch=] [limit=N] [claim]
  wait NAME EDGE ROOM USER [after=] [epoch=] [limit=N] [claim]   a poll that waits for the next message, half a minute
  age S                                       time goes by
  clock S                                     the wall clock is set, forward or back; no time goes by
  write|sweep|rest                            what the hub does now and then: cursors, ages, the journal's own commits
  crash|restart [limit=]                      of the hub; edges lose their line; a restart may keep less from then on
  return EDGE                                 finds the hub again, within a second
  stop|cont EDGE                              as by SIGSTOP and SIGCONT
  kill EDGE                                   as by SIGKILL; another one is there at once
  backup|restore                              cp state/* backup/ and back, as an administrator would
"""


def parse(line):
    """(words, options) of a step."""
    words, options = [], {}
    for part in line.split():
        name, equals, value = part.partition("=")
        if equals:
            options[name] = value
        else:
            words.append(part)
            options[part] = True
    return words, options


def read(text):
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def with_engine(steps, engine):
    """Its world with this engine."""
    kept = [part for part in steps[0].split() if not part.startswith("engine=")]
    return [" ".join(kept + ["engine=" + engine])] + list(steps[1:])
