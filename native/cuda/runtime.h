// The CUDA side as addon.cc and memory.cc see it: plain C++, no CUDA header. One device and one stream, so that work and
// copies run in the order in which they were queued.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace easting::cuda {

struct Status {
  std::string reason;                // why no device can be used; empty if one can
  std::vector<std::string> devices;  // names
};
// Looks once and remembers.
const Status& status();

// Throws std::bad_alloc when the device's memory is used up.
void* allocate(std::size_t bytes);
void release(void* block);
// Return once the host memory may be reused or holds the data.
void upload(void* device, const void* host, std::size_t bytes);
void download(void* host, const void* device, std::size_t bytes);

void copy(void* to, const void* from, std::size_t bytes);  // within the device
// Returns once all work queued so far is done; throws what went wrong in it. Nothing where CUDA was never used.
void synchronize();

}  // namespace easting::cuda
