// Sparse convolution in gather form: every output plane has one owner, which walks the nonzeros of its row (forward) or
// column (backward). With a few nonzeros per row a convolution is a few scaled additions of whole runs [w][n].
#include "../../kernels.h"
#include "../batch_norm.h"

namespace easting::EASTING_VARIANT {
namespace {

// One nonzero as a plane's owner sees it: where the other plane starts, the tap's offset, its weight.
struct Connection {
  const Stored* plane;
  std::int32_t dh, dw;
  Real value;
  std::int32_t id;
  Affine norm{1, 0};  // with `lazy`: the other side's channel is read as max(x * scale + shift, 0)
};

inline Vector rectified(Vector v) {
  const Vector none{};
  return v < none ? none : v;  // NaN passes
}

// A connection from a channel that is one number everywhere adds `value` wherever its tap lies inside the image.
struct Offset {
  std::int32_t dh, dw;
  Real value;
};

// Runs of `count` vectors (template) for each pixel of one output row: sum over connections held in registers.
template <int count, bool lazy>
inline void gather_pixel(const Connection* connections, int n, std::int64_t offset_from, const std::int64_t* offsets,
                         Stored* out, bool accumulate, Real start) {
  Vector sum[count];
  for (int v = 0; v < count; ++v) sum[v] = accumulate ? load(out + v * lanes) : broadcast_value(start);
  for (int k = 0; k < n; ++k) {
    const Stored* p = connections[k].plane + offsets[k] + offset_from;
    const Vector w = broadcast_value(connections[k].value);
    if constexpr (lazy) {
      const Vector scale = broadcast_value(connections[k].norm.scale), shift = broadcast_value(connections[k].norm.shift);
      for (int v = 0; v < count; ++v) sum[v] += w * rectified(load(p + v * lanes) * scale + shift);
    } else {
      for (int v = 0; v < count; ++v) sum[v] += w * load(p + v * lanes);
    }
  }
  for (int v = 0; v < count; ++v) store(out + v * lanes, sum[v]);
}

#if defined(__AVX512F__)
constexpr int wide = 8;
#else
constexpr int wide = 2;
#endif

// out[0, run) = (out or start) + Σ_k value_k * (plane_k + offset_k)[0, run)
template <bool lazy = false>
inline void gather_run(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t run, Stored* out,
                       bool accumulate, Real start = 0) {
  std::int64_t i = 0;
  for (; i + wide * lanes <= run; i += wide * lanes)
    gather_pixel<wide, lazy>(connections, n, i, offsets, out + i, accumulate, start);
  for (; i + lanes <= run; i += lanes) gather_pixel<1, lazy>(connections, n, i, offsets, out + i, accumulate, start);
  for (; i < run; ++i) {
    Real sum = accumulate ? out[i] : start;
    for (int k = 0; k < n; ++k) {
      Real v = connections[k].plane[offsets[k] + i];
      if constexpr (lazy) {
        v = v * connections[k].norm.scale + connections[k].norm.shift;
        v = v < 0 ? 0 : v;
      }
      sum += connections[k].value * v;
    }
    out[i] = sum;
  }
}

// sum[] += w_k * run_k and dots[id_k] += <active, run_k> for a block of `count` vectors; each run is read once for both.
template <int count>
inline void gather_and_dot_registers(const Connection* connections, const std::int64_t* offsets, int n,
                                     std::int64_t from, const Vector (&active)[count], Vector (&sum)[count],
                                     Vector* dots) {
  for (int k = 0; k < n; ++k) {
    const Stored* p = connections[k].plane + offsets[k] + from;
    const Vector w = broadcast_value(connections[k].value);
    Vector even{}, odd{};
    for (int v = 0; v < count; ++v) {
      const Vector g = load(p + v * lanes);
      sum[v] += w * g;
      (v % 2 ? odd : even) += active[v] * g;
    }
    dots[connections[k].id] += even + odd;
  }
}

// One block of a run: `out` gathers as above, and the dot product of each connection's run with x goes to its `dots`.
template <int count>
inline void gather_and_dot_block(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t from,
                                 const Stored* x, Stored* out, bool accumulate, Vector* dots) {
  Vector sum[count], xs[count];
  for (int v = 0; v < count; ++v) {
    sum[v] = out && accumulate ? load(out + v * lanes) : Vector{};
    xs[v] = load(x + v * lanes);
  }
  gather_and_dot_registers(connections, offsets, n, from, xs, sum, dots);
  if (out)
    for (int v = 0; v < count; ++v) store(out + v * lanes, sum[v]);
}

// out[0, run) (+)= Σ_k value_k * run_k and dots[id_k] += <x, run_k>; `out` or `lane_dots` may be null.
inline void gather_and_dot(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t run,
                           const Stored* x, Stored* out, bool accumulate, Vector* lane_dots, double* dots) {
  if (!lane_dots) {
    if (out) gather_run(connections, offsets, n, run, out, accumulate);
    return;
  }
  std::int64_t i = 0;
  const auto at = [&](std::int64_t j) { return out ? out + j : nullptr; };
  for (; i + wide * lanes <= run; i += wide * lanes)
    gather_and_dot_block<wide>(connections, offsets, n, i, x + i, at(i), accumulate, lane_dots);
  for (; i + lanes <= run; i += lanes)
    gather_and_dot_block<1>(connections, offsets, n, i, x + i, at(i), accumulate, lane_dots);
  for (; i < run; ++i) {
    Real sum = out && accumulate ? out[i] : Real(0);
    for (int k = 0; k < n; ++k) {
      const Real g = connections[k].plane[offsets[k] + i];
      sum += connections[k].value * g;
      dots[connections[k].id] += static_cast<double>(x[i] * g);
    }
    if (out) out[i] = sum;
  }
}

}  // namespace

void sparse_conv_forward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Real> norm_weight, In<Real> norm_bias,
                         In<Real> norm_mean, In<Real> norm_deviation, In<Real> values, In<int32_t> row_start,
                         In<int32_t> row_entry, ConvShape s, In<int32_t> needed, Out<Stored> y, Out<int32_t> y_kind,
                         BatchNormForward<Stored> next) {
  const int out_h = s.out_h(), out_w = s.out_w(), n = s.n;
  const std::int64_t taps = s.taps(), in_plane = s.in_plane(), out_plane = s.out_plane();
  parallel_for(s.o, s.o * out_plane > parallel_threshold, [&](std::int64_t o) {
    Stored* plane = y.data + o * out_plane;
    const auto finish = [&](std::int32_t kind) {
      if (y_kind) y_kind[o] = kind;
      if (next) normalize_channel(next, o, kind, plane, out_plane);
    };
    if (needed && needed[o] == Need::never) return finish(Kind::unneeded);
    const int first = row_start[o], entries = row_start[o + 1] - first;
    auto* connections = static_cast<Connection*>(scratch(0, 2 * (entries + 1) * sizeof(Connection)));
    auto* active = connections + entries;
    auto* offsets = static_cast<std::int64_t*>(scratch(1, (entries + 1) * sizeof(std::int64_t)));
    auto* constants = static_cast<Offset*>(scratch(2, (entries + 1) * sizeof(Offset)));
    int count = 0, constant_count = 0;
    for (int k = 0; k < entries; ++k) {
      const int entry = row_entry[first + k], tap = static_cast<int>(entry % taps);
      const std::int64_t i = entry / taps;
      const int dh = tap / s.kw - s.padding, dw = tap % s.kw - s.padding;
      const auto kind = kind_of(x_kind, i);
      if (kind == Kind::unneeded) continue;
      const Affine norm =
          norm_weight ? affine(norm_weight[i], norm_bias[i], norm_mean[i], norm_deviation[i]) : Affine{1, 0};
      if (kind == Kind::plane) {
        connections[count++] = {x.data + i * in_plane, dh, dw, values[first + k], k, norm};
        continue;
      }
      // What a channel without a plane holds everywhere: with a normalisation, its shift behind the ReLU.
      const Real constant = kind == Kind::constant ? x_value[i] : norm.shift < 0 ? Real(0) : norm.shift;
      if (constant != 0) constants[constant_count++] = {dh, dw, values[first + k] * constant};
    }
    if (y_kind && count + constant_count == 0 && needed[o] != Need::always) return finish(Kind::zero);
    // Between two consecutive columns where no connection enters or leaves the image, a stride-1 row is one run.
    const int left = s.kw - 1 - s.padding > s.padding ? s.kw - 1 - s.padding : s.padding;
    for (int h = 0; h < out_h; ++h) {
      Stored* row = plane + std::int64_t{h} * out_w * n;
      const auto columns = [&](int w, int width) {
        int m = 0;
        for (int k = 0; k < count; ++k) {
          const int hi = h * s.stride + connections[k].dh, wi = w * s.stride + connections[k].dw;
          if (hi < 0 || hi >= s.h || wi < 0 || wi >= s.w) continue;
          active[m] = connections[k];
          offsets[m++] = (std::int64_t{hi} * s.w + wi) * n;
        }
        Real start = 0;
        for (int k = 0; k < constant_count; ++k) {
          const int hi = h * s.stride + constants[k].dh, wi = w * s.stride + constants[k].dw;
          if (hi >= 0 && hi < s.h && wi >= 0 && wi < s.w) start += constants[k].value;
        }
        Stored* out = row + std::int64_t{w} * n;
        if (norm_weight) gather_run<true>(active, offsets, m, std::int64_t{width} * n, out, false, start);
        else gather_run(active, offsets, m, std::int64_t{width} * n, out, false, start);
      };
      if (s.stride == 1 && out_w > 2 * left) {
        for (int w = 0; w < left; ++w) columns(w, 1);
        columns(left, out_w - 2 * left);
        for (int w = out_w - left; w < out_w; ++w) columns(w, 1);
      } else {
        for (int w = 0; w < out_w; ++w) columns(w, 1);
      }
    }
    finish(Kind::plane);
  });
}

namespace {

// Σ of dy over the output pixels whose tap (dh, dw) lies inside the image.
double window_sum(const Stored* dy, int dh, int dw, const ConvShape& s) {
  const int out_h = s.out_h(), out_w = s.out_w();
  int from = 0, to = out_w;
  while (from < to && from * s.stride + dw < 0) ++from;
  while (to > from && (to - 1) * s.stride + dw >= s.w) --to;
  double sum = 0;
  for (int h = 0; h < out_h; ++h) {
    const int hi = h * s.stride + dh;
    if (hi < 0 || hi >= s.h) continue;
    const Stored* row = dy + (std::int64_t{h} * out_w + from) * s.n;
    sum += blocked_sum(std::int64_t{to - from} * s.n, [&](std::int64_t i) { return load(row + i); },
                       [&](std::int64_t i) { return row[i]; });
  }
  return sum;
}

}  // namespace

namespace {

// The nonzeros that one input channel feeds, and the walk over its plane that both backward kernels share. Connections to
// outputs without a gradient are left out; their values' gradient is 0.
struct Column {
  const ConvShape& s;
  In<Stored> dy;
  In<Real> values;
  In<int32_t> y_kind, column_entry, column_value;
  int first, entries, count = 0;
  Connection *connections, *active;
  std::int64_t* offsets;
  Vector* lane_dots;
  double* dots;  // per entry: the gradient of its value

  Column(const ConvShape& shape, std::int64_t c, In<Stored> dy, In<int32_t> y_kind, In<Real> values,
         In<int32_t> column_start, In<int32_t> column_entry, In<int32_t> column_value)
      : s(shape), dy(dy), values(values), y_kind(y_kind), column_entry(column_entry), column_value(column_value),
        first(column_start[c]), entries(column_start[c + 1] - first) {
    connections = static_cast<Connection*>(scratch(0, 2 * (entries + 1) * sizeof(Connection)));
    active = connections + entries;
    offsets = static_cast<std::int64_t*>(scratch(1, (entries + 1) * sizeof(std::int64_t)));
    lane_dots = static_cast<Vector*>(scratch(2, (entries + 1) * (sizeof(Vector) + sizeof(double))));
    dots = reinterpret_cast<double*>(lane_dots + entries + 1);
    const std::int64_t taps = s.taps(), out_plane = s.out_plane();
    for (int k = 0; k < entries; ++k) {
      const int entry = column_entry[first + k], tap = static_cast<int>(entry % taps), id = column_value[first + k];
      const std::int64_t o = entry / taps;
      dots[k] = 0;
      lane_dots[k] = Vector{};
      if (kind_of(y_kind, o) != Kind::plane) continue;
      connections[count++] = {dy.data + o * out_plane, s.padding - tap / s.kw, s.padding - tap % s.kw, values[id], k};
    }
  }

  // For a channel that is one number everywhere: gradients of the values, and the sum of the channel's own gradient.
  double gather_constant(Real number) const {
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      const Connection& connection = connections[k];
      const double window = window_sum(connection.plane, -connection.dh, -connection.dw, s);
      dots[connection.id] = static_cast<double>(number) * window;
      sum += static_cast<double>(connection.value) * window;
    }
    return sum;
  }

  // Calls visit(number of active connections, where the run starts, its length) over the plane, and settle() now and
  // then: lane sums stay short, so that long planes keep their digits.
  template <class Visit, class Settle>
  void sweep(Visit visit, Settle settle) const {
    const int out_h = s.out_h(), out_w = s.out_w(), n = s.n;
    const int left = s.kw - 1 - s.padding > s.padding ? s.kw - 1 - s.padding : s.padding;
    std::int64_t unsettled = 0;
    for (int h = 0; h < s.h; ++h) {
      // Which outputs (pixel wo at stride s) does input pixel w feed through tap dw: wo = (w + dw) / s where it divides.
      const auto columns = [&](int w, int width) {
        int m = 0;
        for (int k = 0; k < count; ++k) {
          const int hs = h + connections[k].dh, ws = w + connections[k].dw;
          if (hs < 0 || ws < 0 || hs % s.stride || ws % s.stride) continue;
          const int ho = hs / s.stride, wo = ws / s.stride;
          if (ho >= out_h || wo >= out_w) continue;
          active[m] = connections[k];
          offsets[m++] = (std::int64_t{ho} * out_w + wo) * n;
        }
        visit(m, (std::int64_t{h} * s.w + w) * n, std::int64_t{width} * n);
      };
      if (s.stride == 1 && s.w > 2 * left && out_w == s.w) {
        for (int w = 0; w < left; ++w) columns(w, 1);
        columns(left, s.w - 2 * left);
        for (int w = s.w - left; w < s.w; ++w) columns(w, 1);
      } else {
        for (int w = 0; w < s.w; ++w) columns(w, 1);
      }
      unsettled += std::int64_t{s.w} * n;
      if (unsettled < 8192 && h + 1 < s.h) continue;
      unsettled = 0;
      settle();
      for (int k = 0; k < entries; ++k) {
        dots[k] += static_cast<double>(horizontal_sum(lane_dots[k]));
        lane_dots[k] = Vector{};
      }
    }
  }

  void write(Out<Real> dvalues, bool accumulate) const {
    for (int k = 0; dvalues && k < entries; ++k) {
      Real& out = dvalues[column_value[first + k]];
      out = static_cast<Real>(accumulate ? static_cast<double>(out) + dots[k] : dots[k]);
    }
  }
};

}  // namespace

namespace {

// What a channel's owner sums up while it gathers: Σ g and Σ g (x - mean) of the masked gradient g.
struct NormSums {
  Affine norm;
  Real center;
  Vector lane_sum{}, lane_product{};
  double sum = 0, product = 0;

  void flush() {
    sum += static_cast<double>(horizontal_sum(lane_sum));
    product += static_cast<double>(horizontal_sum(lane_product));
    lane_sum = lane_product = Vector{};
  }
};

// gather_and_dot for an input that is relu(x * scale + shift + residual), which `y` holds, or without one is worked out
// from x (null `y`): dots with that, masks by it, and sums up.
template <int count>
inline void gather_normalized_block(const Connection* connections, const std::int64_t* offsets, int n,
                                    std::int64_t from, const Stored* x, const Stored* y, Stored* out, bool accumulate,
                                    Vector* dots, NormSums& sums) {
  Vector sum[count], active[count];
  const Vector scale = broadcast_value(sums.norm.scale), shift = broadcast_value(sums.norm.shift), none{};
  for (int v = 0; v < count; ++v) {
    sum[v] = accumulate ? load(out + v * lanes) : none;
    active[v] = y ? load(y + v * lanes) : rectified(load(x + v * lanes) * scale + shift);
  }
  gather_and_dot_registers(connections, offsets, n, from, active, sum, dots);
  const Vector center = broadcast_value(sums.center);
  for (int v = 0; v < count; ++v) {
    const Vector g = active[v] > none ? sum[v] : none;
    store(out + v * lanes, g);
    sums.lane_sum += g;
    sums.lane_product += g * (load(x + v * lanes) - center);
  }
}

inline void gather_normalized(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t run,
                              const Stored* x, const Stored* y, Stored* out, bool accumulate, Vector* lane_dots,
                              double* dots, NormSums& sums) {
  std::int64_t i = 0;
  const auto at = [&](std::int64_t j) { return y ? y + j : nullptr; };
  for (; i + wide * lanes <= run; i += wide * lanes)
    gather_normalized_block<wide>(connections, offsets, n, i, x + i, at(i), out + i, accumulate, lane_dots, sums);
  for (; i + lanes <= run; i += lanes)
    gather_normalized_block<1>(connections, offsets, n, i, x + i, at(i), out + i, accumulate, lane_dots, sums);
  for (; i < run; ++i) {
    const Real pre = y ? y[i] : x[i] * sums.norm.scale + sums.norm.shift, active = pre < 0 ? 0 : pre;
    Real sum = accumulate ? out[i] : Real(0);
    for (int k = 0; k < n; ++k) {
      const Real g = connections[k].plane[offsets[k] + i];
      sum += connections[k].value * g;
      dots[connections[k].id] += static_cast<double>(active * g);
    }
    out[i] = active > 0 ? sum : Real(0);
    sums.sum += static_cast<double>(out[i]);
    sums.product += static_cast<double>(out[i] * (x[i] - sums.center));
  }
}

}  // namespace

void sparse_conv_backward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Stored> dy, In<int32_t> y_kind,
                          In<Real> values, In<int32_t> column_start, In<int32_t> column_entry,
                          In<int32_t> column_value, ConvShape s, Out<Stored> dx, Out<int32_t> dx_kind,
                          Out<Real> dx_value, bool accumulate_dx, Out<Real> dvalues, bool accumulate_dvalues,
                          BatchNormBackward<Stored> previous) {
  const std::int64_t in_plane = s.in_plane();
  parallel_for(s.c, s.c * in_plane > parallel_threshold, [&](std::int64_t c) {
    Column column(s, c, dy, y_kind, values, column_start, column_entry, column_value);
    const auto finish = [&] {
      column.write(dvalues, accumulate_dvalues);
      if (previous) denormalize_channel(previous, c, in_plane);
    };
    const auto kind = kind_of(x_kind, c);
    if (kind == Kind::constant) {
      const double sum = column.gather_constant(x_value[c]);
      if (dx) put_constant(dx_kind, dx_value, c, sum, accumulate_dx);
      return finish();
    }
    Stored* to = dx ? dx.data + c * in_plane : nullptr;
    bool accumulate = accumulate_dx;
    if (dx_kind && to) {
      const bool there = accumulate && dx_kind[c] == Kind::plane;
      if (kind != Kind::plane || column.count == 0) {
        // Nothing to add: what stands there stays, or the gradient is zero.
        if (!there) dx_kind[c] = Kind::zero;
        to = nullptr;
      } else {
        accumulate = there;
        dx_kind[c] = Kind::plane;
      }
    }
    const Stored* plane = x.data + c * in_plane;
    if (previous && previous.relu && to && column.count > 0 && kind_of(previous.x_kind, c) == Kind::plane) {
      // One pass gathers, takes the dots, masks and sums; the next finds the plane in cache.
      const Affine norm =
          affine(previous.weight[c], previous.bias[c], previous.mean[c], previous.inverse_deviation[c]);
      const Real center = previous.mean[c], deviation = previous.inverse_deviation[c];
      const Stored* raw = previous.x.data + c * in_plane;
      NormSums sums{norm, center};
      column.sweep(
          [&](int m, std::int64_t at, std::int64_t run) {
            gather_normalized(column.active, column.offsets, m, run, raw + at, plane + at, to + at, accumulate,
                              column.lane_dots, column.dots, sums);
          },
          [&] { sums.flush(); });
      column.write(dvalues, accumulate_dvalues);
      const double product = sums.product * static_cast<double>(deviation);
      finish_channel(previous, c, sums.sum, product, true);
      if (previous.dx)
        PlaneGradient(raw, norm, center, deviation, sums.sum, product, previous.training, in_plane)
            .write(previous.dx.data + c * in_plane, [&](std::int64_t i) { return load(to + i); },
                   [&](std::int64_t i) { return to[i]; });
      return;
    }
    if (to || (kind == Kind::plane && column.count > 0))
      column.sweep(
          [&](int m, std::int64_t at, std::int64_t run) {
            gather_and_dot(column.active, column.offsets, m, run, plane + at, to ? to + at : nullptr, accumulate,
                           dvalues ? column.lane_dots : nullptr, column.dots);
          },
          [] {});
    finish();
  });
}

// Backward through convolution, ReLU and BatchNorm at once: dx is the gradient of what was normalised.
void sparse_conv_backward_normalized(In<Stored> x, In<int32_t> x_kind, In<Real> norm_weight, In<Real> norm_bias,
                                     In<Real> norm_mean, In<Real> norm_deviation, bool training, In<Stored> dy,
                                     In<int32_t> y_kind, In<Real> values, In<int32_t> column_start,
                                     In<int32_t> column_entry, In<int32_t> column_value, ConvShape s, Out<Stored> dx,
                                     Out<Real> dnorm_weight, Out<Real> dnorm_bias, bool accumulate_norm,
                                     Out<Real> dvalues, bool accumulate_dvalues) {
  const std::int64_t in_plane = s.in_plane();
  parallel_for(s.c, s.c * in_plane > parallel_threshold, [&](std::int64_t c) {
    Column column(s, c, dy, y_kind, values, column_start, column_entry, column_value);
    const auto finish = [&](double sum, double product) {
      if (dnorm_weight) dnorm_weight[c] = static_cast<Real>(accumulate_norm ? dnorm_weight[c] + product : product);
      if (dnorm_bias) dnorm_bias[c] = static_cast<Real>(accumulate_norm ? dnorm_bias[c] + sum : sum);
      column.write(dvalues, accumulate_dvalues);
    };
    const auto kind = kind_of(x_kind, c);
    if (kind == Kind::unneeded) return finish(0, 0);
    const double deviation = static_cast<double>(norm_deviation[c]);
    NormSums sums{affine(norm_weight[c], norm_bias[c], norm_mean[c], norm_deviation[c]), norm_mean[c]};
    if (kind != Kind::plane) {
      if (!(sums.norm.shift > 0)) return finish(0, 0);
      const double sum = column.gather_constant(sums.norm.shift);
      return finish(sum, training ? 0 : -sum * static_cast<double>(norm_mean[c]) * deviation);
    }
    const Stored* plane = x.data + c * in_plane;
    Stored* to = dx.data + c * in_plane;
    column.sweep(
        [&](int m, std::int64_t at, std::int64_t run) {
          gather_normalized(column.active, column.offsets, m, run, plane + at, nullptr, to + at, false,
                            column.lane_dots, column.dots, sums);
        },
        [&] { sums.flush(); });
    const double product = sums.product * deviation;
    finish(sums.sum, product);
    PlaneGradient(plane, sums.norm, norm_mean[c], norm_deviation[c], sums.sum, product, training, in_plane)
        .write(to, [&](std::int64_t i) { return load(to + i); }, [&](std::int64_t i) { return to[i]; });
  });
}

}  // namespace easting::EASTING_VARIANT
