// The CPU's stream: kernels are queued by JavaScript and run in order on one thread (with the pool's help), so the event
// loop stays free while a step computes. Memory may be released as soon as its last use is queued. CUDA kernels are
// launched from here, in the same order.
#pragma once
#include <exception>
#include <functional>

namespace easting {

void flush_denormals();
void enqueue(std::function<void()> kernel);
// From begin to end, what this thread queues is held back, and then queued as one: nobody else's work comes between. After a failure
// only the last of it is still done.
void begin_together();
void end_together();
bool holds_together();
// Waits for all queued work, the GPU's too; throws what the first failed kernel threw (std::bad_alloc or std::runtime_error).
void synchronize();
// Time spent in kernels since the process started.
double busy_seconds();
// Calls `done(the first failed kernel's exception or null)` after all work queued so far, on the queue's thread or on one
// that follows the GPU.
void when_finished(std::function<void(std::exception_ptr)> done);
// Returns once all that was handed to `when_finished` has been called.
void finish_calls();

}  // namespace easting
