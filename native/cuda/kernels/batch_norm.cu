// BatchNorm (Ioffe and Szegedy, 2015), forward and backward, with the residual add and ReLU fused behind it: sums of
// tiles, then of channels by a warp each, then one pass that writes.
#include "../../kernels.h"

#include "../../elementwise.h"
#include "../batch_norm.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::launch, cuda::scratch, cuda::warp_sum;
using elementwise::Relu;

template <int width>
__global__ void measure(In<Stored> x, In<std::int32_t> x_kind, Tiles tiles, Moments* parts) {
  const Tile tile(tiles);
  if (kind_of(x_kind, tile.channel) != Kind::plane) return;
  const Stored* plane = x.data + std::int64_t{tile.channel} * tiles.plane;
  Values<width> values[per_thread];
  for (int j = 0; j < per_thread; ++j)
    if (tile.has(j)) values[j] = load<width>(plane + tile.at(j));
  const Moments found = moments(values, tile, tiles.size(tile.index));
  if (tile.leads()) parts[tile.channel * tiles.count + tile.index] = found;
}

struct Statistics {
  double mean, variance;
};

// Chan, Golub and LeVeque (1979), all tiles at once.
__device__ Statistics merge(const Moments* parts, const Tiles& tiles) {
  double sum = 0, squares = 0;
  for (int t = lane_index(); t < tiles.count; t += 32) sum += tiles.size(t) * parts[t].mean;
  const double mean = warp_sum(sum) / tiles.plane;
  for (int t = lane_index(); t < tiles.count; t += 32) {
    const double gap = parts[t].mean - mean;
    squares += parts[t].squares + tiles.size(t) * gap * gap;
  }
  const double variance = warp_sum(squares) / tiles.plane;
  return {mean, variance < 0 ? 0 : variance};
}

// Writes mean and inverse deviation of a channel and moves the running estimates.
__device__ void put_statistics(const BatchNormForward<Stored>& norm, int c, Statistics batch, int size) {
  norm.mean[c] = static_cast<Real>(batch.mean);
  norm.inverse_deviation[c] = static_cast<Real>(1 / sqrt(batch.variance + norm.epsilon));
  if (!norm.training || !norm.running_mean) return;
  const auto move = [&](Real& running, double now) {
    running = static_cast<Real>((1 - norm.momentum) * static_cast<double>(running) + norm.momentum * now);
  };
  move(norm.running_mean[c], batch.mean);
  move(norm.running_variance[c], size > 1 ? batch.variance * size / (size - 1) : batch.variance);
}

__device__ bool has_residual_plane(const BatchNormForward<Stored>& norm, int c) {
  return norm.residual && kind_of(norm.residual_kind, c) == Kind::plane;
}

// y = x * scale + shift, with the residual where that is one number.
__device__ Affine output_affine(const BatchNormForward<Stored>& norm, int c) {
  Affine a = affine(norm.weight[c], norm.bias[c], norm.mean[c], norm.inverse_deviation[c]);
  if (norm.residual && kind_of(norm.residual_kind, c) == Kind::constant) a.shift += norm.residual_value[c];
  return a;
}

// Kind of a channel's output, and its value where it is one number.
__device__ void put_output(const BatchNormForward<Stored>& norm, int c, int kind) {
  if (!norm.y || !norm.y_kind) return;
  norm.y_kind[c] = Kind::plane;
  if (kind == Kind::plane || has_residual_plane(norm, c)) return;
  const Real shift = output_affine(norm, c).shift, value = norm.relu ? Relu<Real>{}(shift) : shift;
  // Behind a ReLU a zero passes nothing on; without one its gradient still counts.
  norm.y_kind[c] = norm.relu && value == 0 ? Kind::zero : Kind::constant;
  norm.y_value[c] = value;
}

__global__ void take_statistics(BatchNormForward<Stored> norm, In<std::int32_t> x_kind, Tiles tiles,
                                const Moments* parts) {
  const int c = warp_index();
  if (c >= tiles.channels) return;
  const auto kind = kind_of(x_kind, c);
  if (kind == Kind::unneeded) {
    if (norm.y && lane_index() == 0) norm.y_kind[c] = Kind::zero;
    return;
  }
  Statistics found{0, 0};
  if (!norm.training) found = {static_cast<double>(norm.running_mean[c]), static_cast<double>(norm.running_variance[c])};
  else if (kind == Kind::plane) found = merge(parts + std::int64_t{c} * tiles.count, tiles);
  if (lane_index() != 0) return;
  put_statistics(norm, c, found, tiles.plane);
  put_output(norm, c, kind);
}

template <int width>
__global__ void apply(In<Stored> x, In<std::int32_t> x_kind, BatchNormForward<Stored> norm, Tiles tiles) {
  const Tile tile(tiles);
  const int c = tile.channel;
  const auto kind = kind_of(x_kind, c);
  const bool own = kind == Kind::plane, other = has_residual_plane(norm, c);
  if (kind == Kind::unneeded || (!own && !other)) return;
  const Affine a = output_affine(norm, c);
  const std::int64_t start = std::int64_t{c} * tiles.plane;
  Values<width> values[per_thread]{}, residual[per_thread]{};
  for (int j = 0; j < per_thread; ++j) {
    if (!tile.has(j)) continue;
    if (own) values[j] = load<width>(x.data + start + tile.at(j));
    if (other) residual[j] = load<width>(norm.residual.data + start + tile.at(j));
  }
  for (int j = 0; j < per_thread; ++j) {
    if (!tile.has(j)) continue;
    for (Real& v : values[j].at) {
      const Real y = v * a.scale + a.shift + residual[j].at[&v - values[j].at];
      v = norm.relu ? Relu<Real>{}(y) : y;
    }
    store<width>(norm.y.data + start + tile.at(j), values[j]);
  }
}

}  // namespace

void normalize(In<Stored> x, In<std::int32_t> x_kind, const BatchNormForward<Stored>& norm, const Tiles& tiles,
               const Moments* parts) {
  launch(take_statistics, warps_of(tiles.channels), norm, x_kind, tiles, parts);
  if (!norm.y) return;
  const Tiles written(tiles.channels, tiles.plane, aligned(tiles.plane, x.data, norm.residual.data, norm.y.data));
  with_width(written, [&](auto width) { launch(apply<width>, written.grid(), x, x_kind, norm, written); });
  if (!norm.means) return;
  const auto batch = static_cast<std::int32_t>(norm.means.size / tiles.channels);
  average_pool_forward({norm.y.data, norm.y.size}, {norm.y_kind.data, norm.y_kind.size}, {norm.y_value.data, norm.y_value.size},
                       tiles.channels, batch, norm.means);
}

void batch_norm_forward(In<Stored> x, In<int32_t> x_kind, int32_t channels, BatchNormForward<Stored> norm) {
  const std::int64_t plane = x.size / channels;
  const Tiles tiles(channels, plane, aligned(plane, x.data));
  Moments* parts = nullptr;
  if (norm.training) {
    parts = static_cast<Moments*>(scratch(0, sizeof(Moments) * channels * tiles.count));
    with_width(tiles, [&](auto width) { launch(measure<width>, tiles.grid(), x, x_kind, tiles, parts); });
  }
  normalize(x, x_kind, norm, tiles, parts);
}

namespace {

// What the ReLU lets through of `g`.
template <int width>
struct Mask {
  const Stored *x, *y;  // y null: worked out from x
  Affine norm;

  __device__ Mask(const BatchNormBackward<Stored>& n, int c, std::int64_t start)
      : x(n.x.data + start),
        y(n.y ? n.y.data + start : nullptr),
        norm(affine(n.weight[c], n.bias[c], n.mean[c], n.inverse_deviation[c])) {}
  __device__ Values<width> operator()(int at, Values<width> g) const {
    const Values<width> seen = load<width>((y ? y : x) + at);
    for (int i = 0; i < width; ++i)
      g.at[i] = (y ? seen.at[i] : seen.at[i] * norm.scale + norm.shift) > 0 ? g.at[i] : Real(0);
    return g;
  }
};

template <int width>
__global__ void sum_gradient(BatchNormBackward<Stored> norm, Tiles tiles, GradientSums* parts) {
  const Tile tile(tiles);
  const int c = tile.channel;
  if (kind_of(norm.y_kind, c) != Kind::plane || kind_of(norm.dy_kind, c) != Kind::plane) return;
  const std::int64_t start = std::int64_t{c} * tiles.plane;
  const bool own = kind_of(norm.x_kind, c) == Kind::plane, keep = norm.relu && norm.residual;
  const Mask<width> mask(norm, c, start);
  Real sum = 0, product = 0;
  for (int j = 0; j < per_thread; ++j) {
    if (!tile.has(j)) continue;
    Values<width> g = load<width>(norm.dy.data + start + tile.at(j)), x{};
    if (norm.relu) g = mask(tile.at(j), g);
    if (keep) store<width>(norm.dy.data + start + tile.at(j), g);
    if (own) x = load<width>(mask.x + tile.at(j));
    for (int i = 0; i < width; ++i) {
      sum += g.at[i];
      if (own) product += g.at[i] * (x.at[i] - norm.mean[c]);
    }
  }
  const GradientSums found{cuda::block_sum(static_cast<double>(sum)), cuda::block_sum(static_cast<double>(product))};
  if (tile.leads()) parts[c * tiles.count + tile.index] = found;
}

__global__ void finish_gradient(BatchNormBackward<Stored> norm, Tiles tiles, const GradientSums* parts,
                                PlaneGradient* gradients) {
  const int c = warp_index();
  if (c >= tiles.channels) return;
  const auto out = kind_of(norm.y_kind, c), gradient = kind_of(norm.dy_kind, c);
  GradientSums sums{0, 0};
  if (out == Kind::plane && gradient == Kind::plane) sums = total(parts + std::int64_t{c} * tiles.count, tiles.count);
  else if (gradient == Kind::constant) sums.sum = static_cast<double>(norm.dy_value[c]);
  if (lane_index() == 0) gradients[c] = finish_channel(norm, c, out, gradient, sums, tiles.plane);
}

// dx may be dy.
template <int width>
__global__ void write_plane(BatchNormBackward<Stored> norm, Tiles tiles, const PlaneGradient* gradients, bool masked) {
  const Tile tile(tiles);
  const int c = tile.channel;
  if (kind_of(norm.x_kind, c) != Kind::plane) return;
  const std::int64_t start = std::int64_t{c} * tiles.plane;
  const PlaneGradient gradient = gradients[c];
  Values<width> x[per_thread]{}, g[per_thread]{};
  for (int j = 0; gradient.there && j < per_thread; ++j) {
    if (!tile.has(j)) continue;
    x[j] = load<width>(norm.x.data + start + tile.at(j));
    g[j] = load<width>(norm.dy.data + start + tile.at(j));
  }
  const Mask<width> mask(norm, c, start);
  for (int j = 0; j < per_thread; ++j) {
    if (!tile.has(j)) continue;
    Values<width> dx{};
    if (gradient.there) {
      if (!masked) g[j] = mask(tile.at(j), g[j]);
      for (int i = 0; i < width; ++i)
        dx.at[i] = gradient.scale * (g[j].at[i] - gradient.mean - (x[j].at[i] - gradient.center) * gradient.slope);
    }
    store<width>(norm.dx.data + start + tile.at(j), dx);
  }
}

}  // namespace

void write_gradient(const BatchNormBackward<Stored>& norm, const Tiles& tiles, const PlaneGradient* gradients,
                    bool masked) {
  const Tiles written(tiles.channels, tiles.plane,
                      aligned(tiles.plane, norm.x.data, norm.y.data, norm.dy.data, norm.dx.data));
  with_width(written, [&](auto width) { launch(write_plane<width>, written.grid(), norm, written, gradients, masked); });
}

void batch_norm_backward(int32_t channels, BatchNormBackward<Stored> norm) {
  const std::int64_t plane = norm.x.size / channels;
  const Tiles tiles(channels, plane, aligned(plane, norm.x.data, norm.y.data, norm.dy.data));
  if (norm.dmeans) {
    const auto batch = static_cast<std::int32_t>(norm.dmeans.size / channels);
    average_pool_backward(norm.dmeans, {}, channels, batch, norm.dy, {}, {}, true);
  }
  auto* parts = static_cast<GradientSums*>(scratch(0, sizeof(GradientSums) * channels * tiles.count));
  auto* gradients = static_cast<PlaneGradient*>(scratch(1, sizeof(PlaneGradient) * channels));
  with_width(tiles, [&](auto width) { launch(sum_gradient<width>, tiles.grid(), norm, tiles, parts); });
  launch(finish_gradient, warps_of(channels), norm, tiles, parts, gradients);
  if (norm.dx) write_gradient(norm, tiles, gradients, !norm.relu || norm.residual);
}

}  // namespace easting::EASTING_VARIANT
