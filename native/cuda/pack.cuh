// Neighbouring elements that a thread loads and stores at once.
#pragma once
#include <cstdint>

namespace easting::cuda {

template <int width, class T>
struct alignas(width * sizeof(T) < 16 ? width * sizeof(T) : 16) Pack {
  T at[width];
};

template <int width, class Real, class T>
__device__ void load(const T* from, Real (&to)[width]) {
  const auto pack = *reinterpret_cast<const Pack<width, T>*>(from);
  for (int i = 0; i < width; ++i) to[i] = pack.at[i];
}

template <int width, class Real, class T>
__device__ void store(T* to, const Real (&from)[width]) {
  Pack<width, T> pack;
  for (int i = 0; i < width; ++i) pack.at[i] = from[i];
  *reinterpret_cast<Pack<width, T>*>(to) = pack;
}

// Whether runs of `size` elements that start one after the other at these addresses (or null) are made of packs of four.
template <class... T>
bool in_fours(std::int64_t size, const T*... from) {
  return size % 4 == 0 && ((reinterpret_cast<std::uintptr_t>(from) % alignof(Pack<4, T>) == 0) && ...);
}

}  // namespace easting::cuda
