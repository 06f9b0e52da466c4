// The CPU's stream: kernels are queued by JavaScript and run in order on one thread (with the pool's help), so the event
// loop stays free while a step computes. Memory may be released as soon as its last use is queued.
#pragma once
#include <functional>
#include <string>

namespace easting {

void flush_denormals();
void enqueue(std::function<void()> kernel);
// From begin to end, what this thread queues is held back, and then queued as one: nobody else's work comes between.
void begin_together();
void end_together();
// Waits for all queued work; throws what the first failed kernel threw.
void synchronize();
// Time spent in kernels since the process started.
double busy_seconds();
// Calls `done(error message or empty)` on the queue's thread after all work queued so far.
void when_finished(std::function<void(std::string)> done);

}  // namespace easting
