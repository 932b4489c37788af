"""Threads, queues, stages, counters and clocks that know nothing about faces or cameras."""
