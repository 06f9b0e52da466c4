// Copies between host and device through pinned memory, which the GPU reads and writes by itself, so that neither side
// waits for the other; and who is called when the stream has come to where it was asked.
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "launch.cuh"
#include "runtime.h"

namespace easting::cuda {
namespace {

constexpr std::size_t piece = std::size_t{1} << 20;

std::byte* pinned(std::size_t bytes) {
  static_cast<void>(stream());  // on its device
  void* block = nullptr;
  check(cudaMallocHost(&block, bytes), "cudaMallocHost");
  return static_cast<std::byte*>(block);
}

cudaEvent_t new_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return event;
}

// Uploads lie one after the other in a ring of pieces. One that is entered again has been copied from.
class Ring {
 public:
  Ring() : memory_(pinned(pieces * piece)) {
    for (cudaEvent_t& event : left_) event = new_event();
  }
  void upload(std::byte* device, const std::byte* host, std::size_t bytes) {
    while (bytes > 0) {
      if (filled_ >= piece) next();
      const std::size_t part = bytes < piece - filled_ ? bytes : piece - filled_;
      std::byte* at = memory_ + at_ * piece + filled_;
      std::memcpy(at, host, part);
      check(cudaMemcpyAsync(device, at, part, cudaMemcpyHostToDevice, stream()), "upload");
      filled_ += (part + 63) / 64 * 64;
      device += part;
      host += part;
      bytes -= part;
    }
  }

 private:
  void next() {
    check(cudaEventRecord(left_[at_], stream()), "cudaEventRecord");
    at_ = (at_ + 1) % pieces;
    filled_ = 0;
    check(cudaEventSynchronize(left_[at_]), "upload");
  }

  static constexpr std::size_t pieces = 8;
  std::byte* memory_;
  cudaEvent_t left_[pieces];
  std::size_t at_ = 0, filled_ = 0;
};

// Calls back in order, each call behind an event in the stream.
class Calls {
 public:
  Calls() { std::thread([this] { work(); }).detach(); }
  void push(std::function<void()> done) {
    cudaEvent_t event = take_event();
    check(cudaEventRecord(event, stream()), "cudaEventRecord");
    {
      std::lock_guard lock(mutex_);
      waiting_.emplace_back(event, std::move(done));
    }
    changed_.notify_all();
  }
  void drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.empty(); });
  }

 private:
  cudaEvent_t take_event() {
    std::lock_guard lock(mutex_);
    if (events_.empty()) return new_event();
    const cudaEvent_t event = events_.back();
    events_.pop_back();
    return event;
  }
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !waiting_.empty(); });
      auto& [event, done] = waiting_.front();
      lock.unlock();
      check(cudaEventSynchronize(event), "cudaEventSynchronize");
      done();
      done = nullptr;
      lock.lock();
      events_.push_back(event);
      waiting_.pop_front();
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<cudaEvent_t, std::function<void()>>> waiting_;
  std::vector<cudaEvent_t> events_;
};

// Neither is ever destroyed: threads may be in the middle of a copy at exit.
Calls* calls = nullptr;
Calls& the_calls() {
  if (!calls) calls = new Calls;
  return *calls;
}

// Room for small reads, used again. Given back on the thread of `Calls`, taken on the queue's.
struct Landings {
  std::mutex mutex;
  std::vector<std::byte*> free;
};
Landings& landings() {
  static Landings* instance = new Landings;
  return *instance;
}

}  // namespace

void upload(void* device, const void* host, std::size_t bytes) {
  static Ring* ring = new Ring;
  ring->upload(static_cast<std::byte*>(device), static_cast<const std::byte*>(host), bytes);
}

void copy_from_host(void* device, const void* host, std::size_t bytes) {
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream()), "upload");
}

void copy(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copy");
}

void read(void* host, const void* device, std::size_t bytes) {
  if (bytes > piece) return download(host, device, bytes);  // checkpoints and the like: by the driver's own pieces
  std::byte* landing = nullptr;
  {
    std::lock_guard lock(landings().mutex);
    if (!landings().free.empty()) {
      landing = landings().free.back();
      landings().free.pop_back();
    }
  }
  if (!landing) landing = pinned(piece);
  check(cudaMemcpyAsync(landing, device, bytes, cudaMemcpyDeviceToHost, stream()), "read");
  the_calls().push([=] {
    std::memcpy(host, landing, bytes);
    std::lock_guard lock(landings().mutex);
    landings().free.push_back(landing);
  });
}

void download(void* host, const void* device, std::size_t bytes) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()), "read");
  synchronize();
}

void afterwards(std::function<void()> done) {
  if (!used()) return done();
  the_calls().push(std::move(done));
}

void finish_calls() {
  if (calls) calls->drain();
}

}  // namespace easting::cuda
