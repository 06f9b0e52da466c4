// Many small tensors in one launch: as many as the arguments of a kernel have room for, each cut into chunks, a block each.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

namespace easting::cuda {

template <class Item>
struct Tensors {
  // A kernel takes 4 KB of arguments; some are left for the others.
  static constexpr int most = static_cast<int>((4096 - 256) / (sizeof(Item) + sizeof(std::int32_t))) - 1;
  Item items[most];
  std::int32_t first[most + 1];  // first block of each, and after the last
  int count;

  struct Place {
    int tensor;
    std::int64_t chunk;
  };
  __device__ Place find(std::int64_t block) const {
    int low = 0;
    for (int high = count - 1; low < high;) {
      const int middle = (low + high + 1) / 2;
      if (first[middle] <= block) low = middle;
      else high = middle - 1;
    }
    return {low, block - first[low]};
  }
};

// Calls launch_group(tensors, blocks, index of the first) for the list's tensors in turn, as many at once as fit. An empty
// tensor has one chunk, with nothing in it.
template <class Item, class Size, class Launch>
void each_group(const std::vector<Item>& list, std::int64_t chunk, Size size_of, Launch launch_group) {
  for (std::size_t from = 0; from < list.size();) {
    Tensors<Item> tensors{};
    std::int64_t blocks = 0;
    for (; from + tensors.count < list.size() && tensors.count < Tensors<Item>::most; ++tensors.count) {
      const Item& item = list[from + tensors.count];
      const std::int64_t size = size_of(item);
      tensors.items[tensors.count] = item;
      tensors.first[tensors.count] = static_cast<std::int32_t>(blocks);
      blocks += size > 0 ? (size + chunk - 1) / chunk : 1;
    }
    tensors.first[tensors.count] = static_cast<std::int32_t>(blocks);
    launch_group(tensors, static_cast<unsigned>(blocks), from);
    from += tensors.count;
  }
}

}  // namespace easting::cuda
