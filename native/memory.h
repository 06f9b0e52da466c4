// Device memory: a caching allocator (freed blocks are kept and reused in stream order) with live bytes and high-water mark.
// With AddressSanitizer blocks are of the exact size and not kept, so that it sees what goes beyond them.
#pragma once
#include <cstddef>
#include <new>
#include <string>
#include <utility>

namespace easting {

enum class Device : int { cpu = 0, cuda = 1 };
inline constexpr const char* device_names[] = {"cpu", "cuda"};

struct MemoryCount {
  std::size_t live, peak, reserved;
};

// Says how much was asked for, and where.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

// 64-byte aligned, uninitialised. Throws OutOfMemory.
void* allocate(Device device, std::size_t bytes);
void release(Device device, void* block);
// Memory on the GPU that a captured step needs again at every replay: while a pool is used by this thread (0: none), its
// blocks come from there and return there, and nothing else gets them.
int new_pool();
void use_pool(int pool);
void end_pool(int pool);
// Returns cached blocks to the system.
void trim(Device device);
MemoryCount count(Device device);

}  // namespace easting
