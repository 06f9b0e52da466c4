#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "parallel.h"
#include "queue.h"
#include "spin.h"

namespace easting {
namespace {

struct Job {
  void (*body)(void*, std::int64_t) = nullptr;
  void* context = nullptr;
  std::int64_t tasks = 0;
};

// Whoever is awake takes tasks; nobody waits for a thread that has taken none, which a busy machine may run late.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_.store(true);
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(const Job& job) {
    job_ = job;
    done_.store(0, std::memory_order_relaxed);
    generation_ += left_mask + 1;
    {
      std::lock_guard lock(mutex_);
      ticket_.store(generation_ | static_cast<std::uint64_t>(job.tasks), std::memory_order_release);
    }
    if (sleeping_.load() > 0) wake_.notify_all();
    take();
    for (int spin = 0; done_.load(std::memory_order_acquire) < job.tasks; ++spin) {
      if (spin < spins) pause_briefly();
      else std::this_thread::yield();
    }
  }

 private:
  static constexpr std::uint64_t left_mask = 0xffffffff;
  bool tasks_left() const { return (ticket_.load(std::memory_order_acquire) & left_mask) != 0; }

  // Who has taken a task may read job_: it stays until all tasks are done.
  void take() {
    for (std::uint64_t ticket = ticket_.load(std::memory_order_acquire); (ticket & left_mask) != 0;) {
      if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      job_.body(job_.context, job_.tasks - static_cast<std::int64_t>(ticket & left_mask));
      done_.fetch_add(1, std::memory_order_release);
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }
  void work() {
    flush_denormals();
    while (!stop_.load(std::memory_order_relaxed)) {
      spin_until([this] { return tasks_left(); });
      if (!tasks_left()) {
        std::unique_lock lock(mutex_);
        sleeping_.fetch_add(1);
        wake_.wait(lock, [&] { return tasks_left() || stop_.load(); });
        sleeping_.fetch_sub(1);
      }
      take();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> ticket_{0};  // generation · 2³² + tasks that nobody has taken
  std::uint64_t generation_ = 0;
  std::atomic<std::int64_t> done_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
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
  thread_local Block blocks[5];
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
