// How the process's heap treats large buffers.
#pragma once

namespace dogfs {

// Makes malloc keep what large buffers leave behind instead of giving it back to the kernel at once.
//
// By default glibc gives each block beyond 128 KiB pages of its own, zeroed by the kernel one by one at their first
// use, and unmaps them when the block is freed. A data path that takes a buffer for each megabyte that comes from a
// socket pays for that more than for copying the megabyte (see tests/bench/micro/transport_bench.cc). What stays with
// the process is bounded: 32 MiB at the end of the heap. There is one heap for all threads, so that a buffer which one
// of them frees serves the next that any takes. Call it first thing in main, before there are threads.
void keep_freed_buffers();

}  // namespace dogfs
