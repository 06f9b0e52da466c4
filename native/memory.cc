#include "memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

#include "cpu/queue.h"
#ifdef EASTING_CUDA
#include "cuda/runtime.h"
#endif

namespace easting {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{1} << 21;

void* system_allocate(Device device, std::size_t bytes) {
#ifdef EASTING_CUDA
  if (device == Device::cuda) return cuda::allocate(bytes);
#endif
  (void)device;
  const bool large = bytes >= huge_page;
  void* block = std::aligned_alloc(large ? huge_page : alignment, bytes);
  if (!block) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (large) madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

void system_release(Device device, void* block) {
#ifdef EASTING_CUDA
  if (device == Device::cuda) return cuda::release(block);
#endif
  (void)device;
  std::free(block);
}

std::size_t rounded(std::size_t bytes) {
  const std::size_t unit = bytes >= huge_page ? huge_page : bytes >= 65536 ? 4096 : alignment;
  return bytes == 0 ? alignment : (bytes + unit - 1) / unit * unit;
}

// A cached block serves a request when at most an eighth of it is wasted: repeated steps then allocate nothing, and odd
// sizes (the last batch of an epoch, a grown layer) do not pin large blocks.
struct Cache {
  std::mutex mutex;
  std::multimap<std::size_t, void*> free;
  std::unordered_map<void*, std::size_t> sizes;
  MemoryCount counts{};
};

Cache& cache(Device device) {
  static Cache* caches = new Cache[2];  // never destroyed: blocks may be released during exit
  return caches[static_cast<int>(device)];
}

}  // namespace

void* allocate(Device device, std::size_t bytes) {
  Cache& c = cache(device);
  const std::size_t size = rounded(bytes);
  std::lock_guard lock(c.mutex);
  void* block;
  std::size_t capacity = size;
  if (auto found = c.free.lower_bound(size); found != c.free.end() && found->first <= size + size / 8) {
    capacity = found->first;
    block = found->second;
    c.free.erase(found);
  } else {
    try {
      block = system_allocate(device, size);
    } catch (const std::bad_alloc&) {
      synchronize();  // queued kernels may still use what is cached
      for (auto& [bytes_free, cached] : c.free) {
        system_release(device, cached);
        c.counts.reserved -= bytes_free;
      }
      c.free.clear();
      block = system_allocate(device, size);
    }
    c.counts.reserved += size;
  }
  c.sizes[block] = capacity;
  c.counts.live += capacity;
  if (c.counts.live > c.counts.peak) c.counts.peak = c.counts.live;
  return block;
}

void release(Device device, void* block) {
  Cache& c = cache(device);
  std::lock_guard lock(c.mutex);
  const auto found = c.sizes.find(block);
  c.counts.live -= found->second;
  c.free.emplace(found->second, block);
  c.sizes.erase(found);
}

void trim(Device device) {
  Cache& c = cache(device);
  std::lock_guard lock(c.mutex);
  for (auto& [bytes, block] : c.free) {
    system_release(device, block);
    c.counts.reserved -= bytes;
  }
  c.free.clear();
}

MemoryCount count(Device device) {
  Cache& c = cache(device);
  std::lock_guard lock(c.mutex);
  return c.counts;
}

}  // namespace easting
