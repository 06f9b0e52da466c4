#include "../elementwise.h"

#include "launch.cuh"
#include "runtime.h"

namespace easting::cuda_f32 {
namespace {

using cuda::launch;

struct Same {
  __device__ Real operator()(Real x) const { return x; }
};

template <class F>
__global__ void unary(F f, In<Real> x, Out<Real> y, bool accumulate) {
  EASTING_EACH(i, y.size) y.data[i] = accumulate ? y.data[i] + f(x.data[i]) : f(x.data[i]);
}

template <class F>
__global__ void binary(F f, In<Real> a, In<Real> b, Out<Real> y, bool accumulate) {
  EASTING_EACH(i, y.size) {
    const Real value = f(a.data[i], b.data[i]);
    y.data[i] = accumulate ? y.data[i] + value : value;
  }
}

__global__ void constant(Out<Real> y, Real value) {
  EASTING_EACH(i, y.size) y.data[i] = value;
}

}  // namespace

void fill(Out<Real> y, double value) { launch(constant, y.size, y, static_cast<Real>(value)); }

void copy(In<Real> x, Out<Real> y, bool accumulate) { launch(unary<Same>, y.size, Same{}, x, y, accumulate); }

void add(In<Real> a, In<Real> b, Out<Real> y) {
  using F = elementwise::Add<Real>;
  launch(binary<F>, y.size, F{}, a, b, y, false);
}

void multiply(In<Real> a, In<Real> b, Out<Real> y, bool accumulate) {
  using F = elementwise::Multiply<Real>;
  launch(binary<F>, y.size, F{}, a, b, y, accumulate);
}

void scale(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  using F = elementwise::Scale<Real>;
  launch(unary<F>, y.size, F{static_cast<Real>(factor)}, x, y, accumulate);
}

void relu_forward(In<Real> x, Out<Real> y) {
  using F = elementwise::Relu<Real>;
  launch(unary<F>, y.size, F{}, x, y, false);
}

void relu_backward(In<Real> y, In<Real> dy, Out<Real> dx, bool accumulate) {
  using F = elementwise::ReluGradient<Real>;
  launch(binary<F>, dx.size, F{}, y, dy, dx, accumulate);
}

}  // namespace easting::cuda_f32
