"""Archives of recordings on many processes and machines, with the events of one ``replay``.

What has no memory (decode, detect, align, classify) is done by workers, chunk by chunk. What has one (tracks, labels, numbers)
is done once, in order, when the results are merged. So the events do not depend on how the work was divided.
"""
