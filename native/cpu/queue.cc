#include "queue.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "spin.h"
#ifdef EASTING_CUDA
#include "../cuda/runtime.h"
#endif

namespace easting {
namespace {

class Queue {
 public:
  Queue() : thread_([this] { work(); }) { thread_.detach(); }

  void push(std::function<void()> kernel) {
    {
      std::lock_guard lock(mutex_);
      kernels_.push_back(std::move(kernel));
      pushed_.fetch_add(1, std::memory_order_release);
    }
    filled_.notify_one();
  }
  void drain() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return kernels_.empty() && !running_; });
  }
  void fail(std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  double busy_seconds() const {
    const std::chrono::steady_clock::duration busy(busy_.load(std::memory_order_relaxed));
    return std::chrono::duration<double>(busy).count();
  }
  std::exception_ptr take_error() {
    std::lock_guard lock(mutex_);
    return std::exchange(error_, nullptr);
  }

 private:
  void work() {
    flush_denormals();
    std::unique_lock lock(mutex_);
    for (;;) {
      if (kernels_.empty()) {
        // Who calls often calls soon, and waking takes longer than a small network.
        const std::uint64_t seen = pushed_.load(std::memory_order_relaxed);
        lock.unlock();
        spin_until([&] { return pushed_.load(std::memory_order_acquire) != seen; });
        lock.lock();
      }
      filled_.wait(lock, [this] { return !kernels_.empty(); });
      std::deque<std::function<void()>> batch;
      batch.swap(kernels_);
      running_ = true;
      lock.unlock();
      for (auto start = std::chrono::steady_clock::now(); !batch.empty(); batch.pop_front()) {
        try {
          batch.front()();
        } catch (const std::bad_alloc&) {
          fail(std::current_exception());
        } catch (const std::exception& error) {
          fail(std::make_exception_ptr(std::runtime_error(error.what())));
        }
        batch.front() = nullptr;  // with what it holds, before its time ends
        const auto end = std::chrono::steady_clock::now();
        busy_.fetch_add((end - start).count(), std::memory_order_relaxed);
        start = end;
      }
      lock.lock();
      running_ = false;
      if (kernels_.empty()) idle_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable filled_, idle_;
  std::deque<std::function<void()>> kernels_;
  bool running_ = false;
  std::atomic<std::uint64_t> pushed_{0};  // kernels, ever
  std::atomic<std::chrono::steady_clock::rep> busy_{0};
  std::exception_ptr error_;
  std::thread thread_;
};

Queue& queue() {
  static Queue* instance = new Queue;  // lives as long as the process: its thread may be mid-kernel at exit
  return *instance;
}

}  // namespace

namespace {
thread_local std::optional<std::vector<std::function<void()>>> together;
}

void enqueue(std::function<void()> kernel) {
  if (together) together->push_back(std::move(kernel));
  else queue().push(std::move(kernel));
}

void begin_together() { together.emplace(); }

void end_together() {
  if (!together) return;
  auto kernels = std::make_shared<std::vector<std::function<void()>>>(std::move(*together));
  together.reset();
  enqueue([kernels] {
    std::exception_ptr error;
    for (auto& kernel : *kernels) try {
        if (!error || &kernel == &kernels->back()) kernel();  // the last one ends what the first one began
      } catch (...) {
        if (!error) error = std::current_exception();
      }
    if (error) std::rethrow_exception(error);
  });
}

bool holds_together() { return together.has_value(); }

void synchronize() {
  queue().drain();
#ifdef EASTING_CUDA
  cuda::synchronize();
#endif
  if (const auto error = queue().take_error()) std::rethrow_exception(error);
}

double busy_seconds() { return queue().busy_seconds(); }

void when_finished(std::function<void(std::exception_ptr)> done) {
  queue().push([done = std::move(done)] {
    auto call = [done, error = queue().take_error()] { done(error); };
#ifdef EASTING_CUDA
    return cuda::afterwards(std::move(call));
#else
    call();
#endif
  });
}

void finish_calls() {
  queue().drain();
#ifdef EASTING_CUDA
  cuda::finish_calls();
#endif
}

}  // namespace easting
