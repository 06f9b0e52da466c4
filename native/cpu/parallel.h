// Parallel loops over independent tasks. A task owns what it writes and reduces in a fixed order, so results do not
// depend on how many threads run or which takes which task.
#pragma once
#include <cstddef>
#include <cstdint>

namespace easting {

int thread_count();
void set_thread_count(int threads);
void run_tasks(std::int64_t tasks, void (*body)(void*, std::int64_t), void* context);
// Uninitialised 64-byte aligned memory of the calling thread, valid until its next call with the same slot (0 to 4).
void* scratch(int slot, std::size_t bytes);

// Calls f(task) for task in [0, tasks); with `parallel` false on this thread only (work too small to hand out).
template <class F>
inline void parallel_for(std::int64_t tasks, bool parallel, F f) {
  if (!parallel || tasks <= 1) {
    for (std::int64_t task = 0; task < tasks; ++task) f(task);
    return;
  }
  run_tasks(tasks, [](void* context, std::int64_t task) { (*static_cast<F*>(context))(task); }, &f);
}

}  // namespace easting
