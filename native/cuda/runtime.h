// The CUDA side as addon.cc, memory.cc and cpu/queue.cc see it: plain C++, no CUDA header. One device and one stream, so
// that work and copies run in the order in which they were queued.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace easting::cuda {

struct Status {
  std::string reason;                // why the device asked about cannot be used; empty if it can
  std::vector<std::string> devices;  // names of all there are
};
// Looks once per device and remembers; nothing is left allocated on it but CUDA's context.
Status status(int device);

// The device that this process computes on, 0 if none is chosen. Throws std::invalid_argument once another is in use.
void choose(int device);
int chosen();

// Throws std::bad_alloc when the device's memory is used up.
void* allocate(std::size_t bytes);
void release(void* block);

// Queues the copy; the host memory may be reused at once.
void upload(void* device, const void* host, std::size_t bytes);
// Queues the copy; the host memory must stay as it is until it is made, each time when it is part of a graph.
void copy_from_host(void* device, const void* host, std::size_t bytes);
// Queues the copy within the device.
void copy(void* to, const void* from, std::size_t bytes);
// Queues the copy; the host memory holds the data when what is handed to `afterwards` next is called.
void read(void* host, const void* device, std::size_t bytes);
// Returns once the host memory holds the data.
void download(void* host, const void* device, std::size_t bytes);
// Calls `done` on a thread of its own once all work queued so far is done; at once where CUDA was never used.
void afterwards(std::function<void()> done);
// Returns once all that was handed to `afterwards` has been called.
void finish_calls();

// Returns once all work queued so far is done. Nothing where CUDA was never used.
void synchronize();

// Queues a note, under a number of the caller's, of when the device comes to it.
void mark(int number);
// Milliseconds on the device from one mark to another. Waits for both. Call it while nothing is being queued.
double elapsed(int from, int to);

// The entry of kernels.def that is queued from now on, for messages.
void name_kernel(const char* name);

// A kernel that failed takes CUDA from the process: nothing more can be computed, so it ends with this code.
constexpr int lost_exit_code = 76;

}  // namespace easting::cuda
