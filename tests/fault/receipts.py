"""Holds what senders were told of devices (`delivered`) against what those devices logged.

A device counts once it has the message, or, where it acknowledges itself, has acknowledged it. It logs that before its
stack answers the PING behind it, but for what its socket's reader holds for the moment: LATER is for that, and for a
loop that is busy. A receipt may count fewer than there are, for a device is known to have it some time after it has;
never more. Polls are no devices: nothing was written to a connection and confirmed.
"""
LATER = 1.0


def has(device, message, when):
    first = device.first.get(message.seq)
    if first is None or first > when or device.streams[0].page:
        return False
    if not device.acks:
        return True
    acknowledged = device.acknowledged(message.seq)
    return acknowledged is not None and acknowledged <= when


def false_receipts(receipts, devices):
    rooms = {}
    for device in devices:
        rooms.setdefault(device.room, []).append(device)
    for when, message, count in receipts:
        devices = [device for device in rooms.get(message.room, ()) if message.user in (None, device.user)]
        having = sum(1 for device in devices if has(device, message, when + LATER))
        if having < count:
            yield (f"seq {message.seq} of {message.room} id {message.id}: {count} devices were told of, "
                   f"{having} had it at {when:.3f}")
