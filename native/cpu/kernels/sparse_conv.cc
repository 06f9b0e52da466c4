// Sparse convolution in gather form: every output plane has one owner, which walks the nonzeros of its row (forward) or
// column (backward). With a few nonzeros per row a convolution is a few scaled additions of whole runs [w][n].
#include "../../kernels.h"
#include "../channels.h"
#include "../vector.h"

namespace easting::EASTING_VARIANT {
namespace {

// One nonzero as a plane's owner sees it: where the other plane starts, the tap's offset, its weight.
struct Connection {
  const Real* plane;
  std::int32_t dh, dw;
  Real value;
  std::int32_t id;
};

// A connection from a channel that is one number everywhere adds `value` wherever its tap lies inside the image.
struct Offset {
  std::int32_t dh, dw;
  Real value;
};

// Runs of `count` vectors (template) for each pixel of one output row: sum over connections held in registers.
template <int count>
inline void gather_pixel(const Connection* connections, int n, std::int64_t offset_from, const std::int64_t* offsets,
                         Real* out, bool accumulate, Real start) {
  Vector sum[count];
  for (int v = 0; v < count; ++v) sum[v] = accumulate ? load(out + v * lanes) : broadcast_value(start);
  for (int k = 0; k < n; ++k) {
    const Real* p = connections[k].plane + offsets[k] + offset_from;
    const Vector w = broadcast_value(connections[k].value);
    for (int v = 0; v < count; ++v) sum[v] += w * load(p + v * lanes);
  }
  for (int v = 0; v < count; ++v) store(out + v * lanes, sum[v]);
}

#if defined(__AVX512F__)
constexpr int wide = 8;
#else
constexpr int wide = 2;
#endif

// out[0, run) = (out or start) + Σ_k value_k * (plane_k + offset_k)[0, run)
inline void gather_run(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t run, Real* out,
                       bool accumulate, Real start = 0) {
  std::int64_t i = 0;
  for (; i + wide * lanes <= run; i += wide * lanes)
    gather_pixel<wide>(connections, n, i, offsets, out + i, accumulate, start);
  for (; i + lanes <= run; i += lanes) gather_pixel<1>(connections, n, i, offsets, out + i, accumulate, start);
  for (; i < run; ++i) {
    Real sum = accumulate ? out[i] : start;
    for (int k = 0; k < n; ++k) sum += connections[k].value * connections[k].plane[offsets[k] + i];
    out[i] = sum;
  }
}

// One block of a run: `out` gathers as above, and the dot product of each connection's run with x goes to its `dots`.
// Each run is read once for both.
template <int count>
inline void gather_and_dot_block(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t from,
                                 const Real* x, Real* out, bool accumulate, Vector* dots) {
  Vector sum[count], xs[count];
  for (int v = 0; v < count; ++v) {
    sum[v] = out && accumulate ? load(out + v * lanes) : Vector{};
    xs[v] = load(x + v * lanes);
  }
  for (int k = 0; k < n; ++k) {
    const Real* p = connections[k].plane + offsets[k] + from;
    const Vector w = broadcast_value(connections[k].value);
    Vector even{}, odd{};
    for (int v = 0; v < count; ++v) {
      const Vector g = load(p + v * lanes);
      sum[v] += w * g;
      (v % 2 ? odd : even) += xs[v] * g;
    }
    dots[connections[k].id] += even + odd;
  }
  if (out)
    for (int v = 0; v < count; ++v) store(out + v * lanes, sum[v]);
}

// out[0, run) (+)= Σ_k value_k * run_k and dots[id_k] += <x, run_k>; `out` or `lane_dots` may be null.
inline void gather_and_dot(const Connection* connections, const std::int64_t* offsets, int n, std::int64_t run,
                           const Real* x, Real* out, bool accumulate, Vector* lane_dots, double* dots) {
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

void sparse_conv_forward(In<Real> x, In<int32_t> x_kind, In<Real> x_value, In<Real> values, In<int32_t> row_start,
                         In<int32_t> row_entry, ConvShape s, In<int32_t> needed, Out<Real> y, Out<int32_t> y_kind) {
  const int out_h = s.out_h(), out_w = s.out_w(), n = s.n;
  const std::int64_t taps = s.taps(), in_plane = s.in_plane(), out_plane = s.out_plane();
  parallel_for(s.o, s.o * out_plane > parallel_threshold, [&](std::int64_t o) {
    if (needed && !needed[o]) {
      y_kind[o] = Kind::unneeded;
      return;
    }
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
      if (kind == Kind::plane) connections[count++] = {x.data + i * in_plane, dh, dw, values[first + k], k};
      else if (kind == Kind::constant) constants[constant_count++] = {dh, dw, values[first + k] * x_value[i]};
    }
    if (y_kind) {
      y_kind[o] = count + constant_count > 0 ? Kind::plane : Kind::zero;
      if (y_kind[o] == Kind::zero) return;
    }
    Real* plane = y.data + o * out_plane;
    // Between two consecutive columns where no connection enters or leaves the image, a stride-1 row is one run.
    const int left = s.kw - 1 - s.padding > s.padding ? s.kw - 1 - s.padding : s.padding;
    for (int h = 0; h < out_h; ++h) {
      Real* row = plane + std::int64_t{h} * out_w * n;
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
        gather_run(active, offsets, m, std::int64_t{width} * n, row + std::int64_t{w} * n, false, start);
      };
      if (s.stride == 1 && out_w > 2 * left) {
        for (int w = 0; w < left; ++w) columns(w, 1);
        columns(left, out_w - 2 * left);
        for (int w = out_w - left; w < out_w; ++w) columns(w, 1);
      } else {
        for (int w = 0; w < out_w; ++w) columns(w, 1);
      }
    }
  });
}

namespace {

// Σ of dy over the output pixels whose tap (dh, dw) lies inside the image.
double window_sum(const Real* dy, int dh, int dw, const ConvShape& s) {
  const int out_h = s.out_h(), out_w = s.out_w();
  int from = 0, to = out_w;
  while (from < to && from * s.stride + dw < 0) ++from;
  while (to > from && (to - 1) * s.stride + dw >= s.w) --to;
  double sum = 0;
  for (int h = 0; h < out_h; ++h) {
    const int hi = h * s.stride + dh;
    if (hi < 0 || hi >= s.h) continue;
    const Real* row = dy + (std::int64_t{h} * out_w + from) * s.n;
    sum += blocked_sum(std::int64_t{to - from} * s.n, [&](std::int64_t i) { return load(row + i); },
                       [&](std::int64_t i) { return row[i]; });
  }
  return sum;
}

}  // namespace

void sparse_conv_backward(In<Real> x, In<int32_t> x_kind, In<Real> x_value, In<Real> dy, In<int32_t> y_kind,
                          In<Real> values, In<int32_t> column_start, In<int32_t> column_entry,
                          In<int32_t> column_value, ConvShape s, Out<Real> dx, Out<int32_t> dx_kind,
                          Out<Real> dx_value, bool accumulate_dx, Out<Real> dvalues, bool accumulate_dvalues) {
  const int out_h = s.out_h(), out_w = s.out_w(), n = s.n;
  const std::int64_t taps = s.taps(), in_plane = s.in_plane(), out_plane = s.out_plane();
  parallel_for(s.c, s.c * in_plane > parallel_threshold, [&](std::int64_t c) {
    const int first = column_start[c], entries = column_start[c + 1] - first;
    const auto kind = kind_of(x_kind, c);
    const auto put_dvalue = [&](int k, double number) {
      if (!dvalues) return;
      Real& out = dvalues[column_value[first + k]];
      out = static_cast<Real>(accumulate_dvalues ? static_cast<double>(out) + number : number);
    };
    if (kind == Kind::constant) {
      double sum = 0;
      for (int k = 0; k < entries; ++k) {
        const int entry = column_entry[first + k], tap = static_cast<int>(entry % taps);
        const std::int64_t o = entry / taps;
        const bool reached = kind_of(y_kind, o) == Kind::plane;
        const double window =
            reached ? window_sum(dy.data + o * out_plane, tap / s.kw - s.padding, tap % s.kw - s.padding, s) : 0;
        put_dvalue(k, static_cast<double>(x_value[c]) * window);
        sum += static_cast<double>(values[column_value[first + k]]) * window;
      }
      if (dx) put_constant(dx_kind, dx_value, c, sum, accumulate_dx);
      return;
    }
    auto* connections = static_cast<Connection*>(scratch(0, 2 * (entries + 1) * sizeof(Connection)));
    auto* active = connections + entries;
    auto* offsets = static_cast<std::int64_t*>(scratch(1, (entries + 1) * sizeof(std::int64_t)));
    auto* lane_dots = static_cast<Vector*>(scratch(2, (entries + 1) * (sizeof(Vector) + sizeof(double))));
    auto* dots = reinterpret_cast<double*>(lane_dots + entries + 1);
    int count = 0;
    std::int64_t unflushed = 0;
    for (int k = 0; k < entries; ++k) {
      const int entry = column_entry[first + k], tap = static_cast<int>(entry % taps), id = column_value[first + k];
      const std::int64_t o = entry / taps;
      dots[k] = 0;
      lane_dots[k] = Vector{};
      if (kind != Kind::plane || kind_of(y_kind, o) != Kind::plane) continue;
      connections[count++] = {dy.data + o * out_plane, s.padding - tap / s.kw, s.padding - tap % s.kw, values[id], k};
    }
    Real* dplane = dx ? dx.data + c * in_plane : nullptr;
    bool accumulate = accumulate_dx;
    if (dx_kind && dplane) {
      const bool there = accumulate && dx_kind[c] == Kind::plane;
      if (kind != Kind::plane || count == 0) {
        // Nothing to add: what stands there stays, or the gradient is zero.
        if (!there) dx_kind[c] = Kind::zero;
        dplane = nullptr;
      } else {
        accumulate = there;
        dx_kind[c] = Kind::plane;
      }
    }
    const Real* plane = x.data + c * in_plane;
    const int left = s.kw - 1 - s.padding > s.padding ? s.kw - 1 - s.padding : s.padding;
    for (int h = 0; h < s.h && (dplane || count > 0); ++h) {
      const std::int64_t row = std::int64_t{h} * s.w * n;
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
        const std::int64_t run = std::int64_t{width} * n, at = row + std::int64_t{w} * n;
        Real* out = dplane ? dplane + at : nullptr;
        gather_and_dot(active, offsets, m, run, plane + at, out, accumulate, dvalues ? lane_dots : nullptr, dots);
      };
      if (s.stride == 1 && s.w > 2 * left && out_w == s.w) {
        for (int w = 0; w < left; ++w) columns(w, 1);
        columns(left, s.w - 2 * left);
        for (int w = s.w - left; w < s.w; ++w) columns(w, 1);
      } else {
        for (int w = 0; w < s.w; ++w) columns(w, 1);
      }
      // Lane sums stay short, so that long planes keep their digits.
      unflushed += std::int64_t{s.w} * n;
      if (unflushed >= 8192 || h + 1 == s.h) {
        unflushed = 0;
        for (int k = 0; k < entries; ++k) {
          dots[k] += static_cast<double>(horizontal_sum(lane_dots[k]));
          lane_dots[k] = Vector{};
        }
      }
    }
    for (int k = 0; k < entries; ++k) put_dvalue(k, dots[k]);
  });
}

}  // namespace easting::EASTING_VARIANT
