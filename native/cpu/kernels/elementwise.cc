#include "../../kernels.h"
#include "../vector.h"

#include "../../elementwise.h"
#include "../each.h"

namespace easting::EASTING_VARIANT {

void fill(Out<Stored> y, double value) {
  const Real v = static_cast<Real>(value);
  write_each(y, false, [=](std::int64_t) { return v; });
}

void copy(In<Stored> x, Out<Stored> y, bool accumulate) {
  write_each(y, accumulate, [=](std::int64_t i) { return x[i]; });
}

void add(In<Stored> a, In<Stored> b, Out<Stored> y) {
  write_each(y, false, [=](std::int64_t i) { return elementwise::Add<Real>{}(a[i], b[i]); });
}

void multiply(In<Stored> a, In<Stored> b, Out<Stored> y, bool accumulate) {
  write_each(y, accumulate, [=](std::int64_t i) { return elementwise::Multiply<Real>{}(a[i], b[i]); });
}

void scale(In<Stored> x, double factor, Out<Stored> y, bool accumulate) {
  const elementwise::Scale<Real> f{static_cast<Real>(factor)};
  write_each(y, accumulate, [=](std::int64_t i) { return f(x[i]); });
}

void relu_forward(In<Stored> x, Out<Stored> y) {
  write_each(y, false, [=](std::int64_t i) { return elementwise::Relu<Real>{}(x[i]); });
}

void relu_backward(In<Stored> y, In<Stored> dy, Out<Stored> dx, bool accumulate) {
  write_each(dx, accumulate, [=](std::int64_t i) { return elementwise::ReluGradient<Real>{}(y[i], dy[i]); });
}

void narrow(In<Real> x, Out<Stored> y, bool accumulate) {
  write_each(y, accumulate, [=](std::int64_t i) { return x[i]; });
}

void widen(In<Stored> x, Out<Real> y, bool accumulate) {
  write_each(y, accumulate, [=](std::int64_t i) { return x[i]; });
}

}  // namespace easting::EASTING_VARIANT
