// Many tensors in few launches: as many as fit a kernel's parameters go together, and every block takes one chunk of one
// of them.
#pragma once
#include "../types.h"
#include "launch.cuh"

namespace easting::cuda {

constexpr std::int64_t list_chunk = 4096;  // elements of one block

// What a kernel takes as `const __grid_constant__ TensorBatch<Tensor>`, which keeps it where it is when indexed.
template <class Tensor>
struct TensorBatch {
  static constexpr int capacity = (4096 - 256) / (sizeof(Tensor) + sizeof(std::int32_t));  // 256 for other parameters
  Tensor tensors[capacity];
  std::int32_t first_chunk[capacity + 1];
  std::int32_t count;
  std::int32_t chunks() const { return first_chunk[count]; }

  struct Part {
    std::int32_t tensor;
    std::int64_t begin;
  };
  // Of this block: the last tensor that starts at or before its chunk (empty ones start where the next does).
  __device__ Part part() const {
    const auto chunk = static_cast<std::int32_t>(blockIdx.x);
    std::int32_t low = 0, high = count;
    while (high - low > 1) {
      const std::int32_t middle = (low + high) / 2;
      if (first_chunk[middle] <= chunk) low = middle;
      else high = middle;
    }
    return {low, (chunk - first_chunk[low]) * list_chunk};
  }
};

// run(batch, index of its first tensor in the list) for all tensors, each of size(tensor) elements.
template <class Tensor, class Size, class Run>
void in_batches(const List<Tensor>& tensors, Size size, Run run) {
  for (std::size_t at = 0; at < tensors.size();) {
    TensorBatch<Tensor> batch{};
    const std::size_t first = at;
    for (; at < tensors.size() && batch.count < batch.capacity; ++at, ++batch.count) {
      const std::int64_t chunks = (size(tensors[at]) + list_chunk - 1) / list_chunk;
      batch.tensors[batch.count] = tensors[at];
      batch.first_chunk[batch.count + 1] = batch.first_chunk[batch.count] + static_cast<std::int32_t>(chunks);
    }
    run(batch, static_cast<std::int64_t>(first));
  }
}

}  // namespace easting::cuda
