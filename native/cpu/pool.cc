#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "parallel.h"
#include "queue.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace easting {
namespace {

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr int spins = 4000;  // about 50 microseconds before a waiting thread goes to sleep

struct Job {
  void (*body)(void*, std::int64_t) = nullptr;
  void* context = nullptr;
  std::int64_t tasks = 0;
};

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(const Job& job) {
    job_ = job;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    {
      std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleeping_.load() > 0) wake_.notify_all();
    take();
    for (int spin = 0; busy_.load(std::memory_order_acquire) > 0; ++spin) {
      if (spin < spins) pause_briefly();
      else std::this_thread::yield();
    }
  }

 private:
  void take() {
    for (;;) {
      const std::int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
      if (task >= job_.tasks) return;
      job_.body(job_.context, task);
    }
  }
  void work() {
    flush_denormals();
    std::uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < spins && generation_.load(std::memory_order_acquire) == seen; ++spin) pause_briefly();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        sleeping_.fetch_add(1);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
        sleeping_.fetch_sub(1);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      take();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> sleeping_{0}, busy_{0};
  std::atomic<std::int64_t> next_{0};
  bool stop_ = false;
  Job job_;
};

// Created at first use, used by the queue's thread only, never destroyed at exit (joining there could hang a process
// that leaves in the middle of a step).
Pool* pool = nullptr;
std::atomic<int> wanted{0};

}  // namespace

void flush_denormals() {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040);  // FTZ and DAZ
#endif
}

int thread_count() {
  const int threads = wanted.load();
  return threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency());
}

void set_thread_count(int threads) { wanted.store(threads); }

void run_tasks(std::int64_t tasks, void (*body)(void*, std::int64_t), void* context) {
  if (!pool || pool->threads() != thread_count()) {
    delete pool;
    pool = new Pool(thread_count());
  }
  pool->run({body, context, tasks});
}

void* scratch(int slot, std::size_t bytes) {
  struct Block {
    void* data = nullptr;
    std::size_t size = 0;
    ~Block() { std::free(data); }
  };
  thread_local Block blocks[4];
  Block& block = blocks[slot];
  if (block.size < bytes) {
    std::free(block.data);
    block.size = (bytes + 4095) / 4096 * 4096;
    block.data = std::aligned_alloc(64, block.size);
    if (!block.data) throw std::bad_alloc();
  }
  return block.data;
}

}  // namespace easting
