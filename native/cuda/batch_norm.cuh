// BatchNorm in tiles: what a block knows of its tile, and what becomes of a channel once all are known. A convolution
// calls this for the tile it has in registers.
#pragma once
#include "../affine.h"
#include "tiles.cuh"

namespace easting::EASTING_VARIANT {

// Mean of a tile and Σ (x - mean)².
struct Moments {
  double mean, squares;
};

// Of the numbers the block's threads hold. All must call; in all threads.
template <int width>
__device__ Moments moments(const Values<width> (&values)[per_thread], const Tile& tile, int size) {
  Real sum = 0;
  for (int j = 0; j < per_thread; ++j)
    for (int i = 0; tile.has(j) && i < width; ++i) sum += values[j].at[i];
  const Real center = cuda::block_sum(sum) / static_cast<Real>(size);
  Real gaps = 0, squares = 0;
  for (int j = 0; j < per_thread; ++j)
    for (int i = 0; tile.has(j) && i < width; ++i) {
      const Real gap = values[j].at[i] - center;
      gaps += gap;
      squares += gap * gap;
    }
  const double gap = cuda::block_sum(static_cast<double>(gaps)) / size;
  return {static_cast<double>(center) + gap, cuda::block_sum(static_cast<double>(squares)) - size * gap * gap};
}

// Takes the statistics from the moments of all tiles, `parts` [channel][tile], and writes norm.y where it is asked for.
// In evaluation nobody needs moments: `parts` is null.
void normalize(In<Stored> x, In<std::int32_t> x_kind, const BatchNormForward<Stored>& norm, const Tiles& tiles,
               const Moments* parts);

// Σ g and Σ g (x - mean) over a tile, for the masked gradient g.
struct GradientSums {
  double sum, product;
};

// Over the tiles of a channel, by one warp; in all its lanes.
__device__ inline GradientSums total(const GradientSums* parts, int count) {
  GradientSums sums{};
  for (int t = lane_index(); t < count; t += 32) {
    sums.sum += parts[t].sum;
    sums.product += parts[t].product;
  }
  return {cuda::warp_sum(sums.sum), cuda::warp_sum(sums.product)};
}

// dx = scale (g - mean(g) - (x - center) slope), or zero where no gradient is there.
struct PlaneGradient {
  Real scale, mean, slope, center;
  bool there;
};

// Writes a channel's parameter gradients Σ g and Σ g xhat, and what kind of gradient its residual has. `sums` counts
// where the output has a plane and its gradient too, or where the output is one number.
__device__ inline PlaneGradient finish_channel(const BatchNormBackward<Stored>& norm, int c, int out_kind,
                                               int gradient_kind, GradientSums sums, int size) {
  const bool there = out_kind == Kind::plane && gradient_kind == Kind::plane;
  const bool own = kind_of(norm.x_kind, c) == Kind::plane;
  const double deviation = static_cast<double>(norm.inverse_deviation[c]);
  double sum = 0, product = 0;
  if (there || out_kind == Kind::constant) {
    // A channel without a plane: xhat is the same number everywhere, 0 in training.
    const double lone = norm.training ? 0 : -static_cast<double>(norm.mean[c]) * deviation;
    sum = sums.sum;
    product = there && own ? sums.product * deviation : sum * lone;
  }
  const auto put = [&](Out<Real> to, double value) {
    if (to) to[c] = static_cast<Real>(norm.accumulate ? static_cast<double>(to[c]) + value : value);
  };
  put(norm.dweight, product);
  put(norm.dbias, sum);
  if (norm.dresidual_kind) {
    const auto kind = kind_of(norm.residual_kind, c);
    norm.dresidual_kind[c] = kind == Kind::constant || (kind == Kind::plane && there) ? kind : Kind::zero;
    norm.dresidual_value[c] = static_cast<Real>(sum);
  }
  const auto in_training = [&](double value) { return static_cast<Real>(norm.training ? value / size : 0); };
  return {norm.weight[c] * norm.inverse_deviation[c], in_training(sum), in_training(product * deviation), norm.mean[c],
          there};
}

// Writes norm.dx from `gradients` [channel]; `masked` tells that norm.dy is already.
void write_gradient(const BatchNormBackward<Stored>& norm, const Tiles& tiles, const PlaneGradient* gradients,
                    bool masked);

}  // namespace easting::EASTING_VARIANT
