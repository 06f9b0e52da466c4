#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <iterator>
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
constexpr std::size_t large = std::size_t{1} << 20;

#ifdef __SANITIZE_ADDRESS__
constexpr bool exact = true;
#else
constexpr bool exact = false;
#endif

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Large blocks of host memory, out of one range of addresses as big as the machine's memory. The lowest hole that fits is
// taken, and neighbouring holes are one: gradients of large planes then fit where activations of many small ones were.
// The system gives memory to what has been written, so the process holds the range up to its highest block.
class Heap {
 public:
  Heap() {
    const std::size_t pages = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES));
    size_ = round_up(pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), huge_page);
    void* range = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
      size_ = 0;
      return;
    }
    base_ = static_cast<std::byte*>(range);
#ifdef MADV_HUGEPAGE
    madvise(base_, size_, MADV_HUGEPAGE);
#endif
  }
  // False where the system reserves no addresses ahead (strict overcommit): blocks then come one by one.
  bool there() const { return base_ != nullptr; }
  // Null when no hole is large enough.
  void* allocate(std::size_t bytes) {
    for (auto hole = holes_.begin(); hole != holes_.end(); ++hole)
      if (hole->second >= bytes) {
        const auto [at, room] = *hole;
        holes_.erase(hole);
        if (room > bytes) holes_.emplace(at + bytes, room - bytes);
        returned_ -= bytes < returned_ ? bytes : returned_;
        return base_ + at;
      }
    const std::size_t at = end_of_last_block();  // a hole before the top is made longer
    if (bytes > size_ - at) return nullptr;
    if (at < top_) holes_.erase(at);
    returned_ -= top_ - at < returned_ ? top_ - at : returned_;
    top_ = at + bytes;
    return base_ + at;
  }
  void release(void* block, std::size_t bytes) {
    const auto at = static_cast<std::size_t>(static_cast<std::byte*>(block) - base_);
    auto hole = holes_.emplace(at, bytes).first;
    if (auto next = std::next(hole); next != holes_.end() && at + bytes == next->first) {
      hole->second += next->second;
      holes_.erase(next);
    }
    if (hole == holes_.begin()) return;
    if (auto before = std::prev(hole); before->first + before->second == at) {
      before->second += hole->second;
      holes_.erase(hole);
    }
  }
  // Gives the memory of holes back, and ends the range with its last block.
  void trim() {
    for (const auto& [at, room] : holes_) madvise(base_ + at, room, MADV_DONTNEED);
    const std::size_t end = end_of_last_block();
    if (end < top_) holes_.erase(end);
    top_ = end;
    returned_ = 0;
    for (const auto& [at, room] : holes_) returned_ += room;
  }
  bool holds(const void* block) const { return block >= base_ && block < base_ + size_; }
  // At most so much memory is the process's: all below the highest block, but for what trim gave back.
  std::size_t held() const { return top_ - returned_; }

 private:
  std::size_t end_of_last_block() const {
    if (holes_.empty()) return top_;
    const auto& [at, room] = *std::prev(holes_.end());
    return at + room == top_ ? at : top_;
  }

  std::byte* base_ = nullptr;
  std::size_t size_ = 0, top_ = 0, returned_ = 0;
  std::map<std::size_t, std::size_t> holes_;  // where from, how long; never two that touch
};

void* system_allocate(Device device, std::size_t bytes) {
#ifdef EASTING_CUDA
  if (device == Device::cuda) return cuda::allocate(bytes);
#endif
  (void)device;
  void* block = nullptr;
  if (posix_memalign(&block, alignment, bytes) != 0) throw std::bad_alloc();
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
  if (exact) return bytes == 0 ? 1 : bytes;
  return bytes == 0 ? alignment : round_up(bytes, bytes >= 65536 ? 4096 : alignment);
}

// Small blocks, and all on the GPU: a cached block serves a request when at most an eighth of it is wasted. Repeated
// steps then allocate nothing, and odd sizes (the last batch of an epoch, a grown layer) do not pin large blocks.
using FreeBlocks = std::multimap<std::size_t, void*>;
struct Block {
  std::size_t size;
  int pool;
};
struct Cache {
  std::mutex mutex;
  FreeBlocks free;
  std::map<int, FreeBlocks> pools;
  std::unordered_map<void*, Block> blocks;
  MemoryCount counts{};
};

thread_local int pool_in_use = 0;

Cache& cache(Device device) {
  static Cache* caches = new Cache[2];  // never destroyed: blocks may be released during exit
  return caches[static_cast<int>(device)];
}

Heap& heap() {
  static Heap* heap = new Heap;
  return *heap;
}

void release_cached(Cache& c, Device device) {
  if (c.free.empty()) return;
  for (auto& [bytes, block] : c.free) {
    system_release(device, block);
    c.counts.reserved -= bytes;
  }
  c.free.clear();
}

void* take_cached(Cache& c, FreeBlocks& free, Device device, std::size_t& size) {
  if (auto found = free.lower_bound(size); found != free.end() && found->first <= size + size / 8) {
    size = found->first;
    void* block = found->second;
    free.erase(found);
    return block;
  }
  void* block;
  try {
    block = system_allocate(device, size);
  } catch (const std::bad_alloc&) {
    synchronize();  // queued kernels may still use what is cached
    release_cached(c, device);
    block = system_allocate(device, size);
  }
  c.counts.reserved += size;
  return block;
}

}  // namespace

void* allocate(Device device, std::size_t bytes) {
  Cache& c = cache(device);
  std::size_t size = rounded(bytes);
  std::lock_guard lock(c.mutex);
  void* block = nullptr;
  int pool = 0;
  try {
    if (!exact && device == Device::cpu && size >= large && heap().there()) {
      block = heap().allocate(size);
      if (!block) throw std::bad_alloc();
    } else {
      pool = device == Device::cuda && c.pools.contains(pool_in_use) ? pool_in_use : 0;
      block = take_cached(c, pool ? c.pools[pool] : c.free, device, size);
    }
  } catch (const std::bad_alloc&) {
    throw OutOfMemory("memory: expected room for " + std::to_string(bytes) + " bytes on " +
                      device_names[static_cast<int>(device)] + " beside the " + std::to_string(c.counts.live) +
                      " in use, got none; use a smaller batch or free tensors");
  }
  c.blocks[block] = {size, pool};
  c.counts.live += size;
  if (c.counts.live > c.counts.peak) c.counts.peak = c.counts.live;
  return block;
}

void release(Device device, void* block) {
  Cache& c = cache(device);
  std::lock_guard lock(c.mutex);
  const auto found = c.blocks.find(block);
  const auto [size, pool] = found->second;
  c.counts.live -= size;
  if (const auto own = c.pools.find(pool); own != c.pools.end()) {
    own->second.emplace(size, block);
  } else if (exact) {
    c.counts.reserved -= size;
    enqueue([device, block] { system_release(device, block); });  // behind what still uses it
  } else if (device == Device::cpu && heap().holds(block)) {
    heap().release(block, size);
  } else {
    c.free.emplace(size, block);
  }
  c.blocks.erase(found);
}

int new_pool() {
  static std::atomic<int> last = 0;
  Cache& c = cache(Device::cuda);
  std::lock_guard lock(c.mutex);
  const int pool = ++last;
  c.pools[pool];
  return pool;
}

void use_pool(int pool) { pool_in_use = pool; }

void end_pool(int pool) {
  Cache& c = cache(Device::cuda);
  std::lock_guard lock(c.mutex);
  c.free.merge(c.pools[pool]);
  c.pools.erase(pool);
}

void trim(Device device) {
  Cache& c = cache(device);
  std::lock_guard lock(c.mutex);
  release_cached(c, device);
  if (device == Device::cpu) heap().trim();
}

MemoryCount count(Device device) {
  Cache& c = cache(device);
  std::lock_guard lock(c.mutex);
  MemoryCount counts = c.counts;
  if (device == Device::cpu) counts.reserved += heap().held();
  return counts;
}

}  // namespace easting
