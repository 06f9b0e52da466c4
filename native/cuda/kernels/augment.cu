#include "../../kernels.h"

#include <cmath>

#include "../../crop.h"
#include "../launch.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid, cuda::launch;

constexpr int images_per_block = 32, column_groups = 8;

// A block takes one row of one channel (blockIdx.x) of some images (blockIdx.y): threads write along the batch, and the
// bytes next to those that one column reads are in cache for the next. An image that the set does not hold becomes NaN.
__global__ void crops(In<std::uint8_t> images, In<std::int32_t> indices, In<Real> mean, In<Real> deviation,
                      ConvShape shape, bool reflect, bool flip, bool random, RandomKey key, Out<Stored> y) {
  __shared__ Real normalised[256];  // of each pixel value
  const auto channel = static_cast<std::int32_t>(blockIdx.x) / shape.h, row = static_cast<std::int32_t>(blockIdx.x) % shape.h;
  const double center = static_cast<double>(mean[channel]), spread = static_cast<double>(deviation[channel]);
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int v = thread; v < 256; v += images_per_block * column_groups)
    normalised[v] = static_cast<Real>((v / 255.0 - center) / spread);
  __syncthreads();
  const std::int64_t k = std::int64_t{blockIdx.y} * images_per_block + threadIdx.x;
  if (k >= shape.n) return;
  const std::int64_t index = indices[k], plane = std::int64_t{shape.h} * shape.w;
  const bool held = index >= 0 && index < images.size / (shape.c * plane);
  const Crop crop = random ? draw_crop(key, index, shape.padding, flip) : Crop{shape.padding, shape.padding, false};
  const std::int32_t from = source(row, crop.top, shape.padding, shape.h, reflect);
  const std::uint8_t* pixels = images.data + (index * shape.c + channel) * plane + std::int64_t{from} * shape.w;
  Stored* to = y.data + std::int64_t{blockIdx.x} * shape.w * shape.n + k;
  for (auto i = static_cast<std::int32_t>(threadIdx.y); i < shape.w; i += column_groups) {
    const std::int32_t column = source(crop.flipped ? shape.w - 1 - i : i, crop.left, shape.padding, shape.w, reflect);
    to[i * std::int64_t{shape.n}] =
        held ? normalised[from >= 0 && column >= 0 ? pixels[column] : 0] : static_cast<Real>(std::nan(""));
  }
}

}  // namespace

void augment(In<std::uint8_t> images, In<std::int32_t> indices, In<Real> mean, In<Real> deviation, ConvShape shape,
             bool reflect, bool flip, bool random, RandomKey key, Out<Stored> y) {
  if (y.size == 0) return;
  const dim3 blocks(static_cast<unsigned>(shape.c * shape.h),
                    static_cast<unsigned>((shape.n + images_per_block - 1) / images_per_block));
  launch(crops, Grid{blocks, dim3(images_per_block, column_groups)}, images, indices, mean, deviation, shape, reflect,
         flip, random, key, y);
}

}  // namespace easting::EASTING_VARIANT
