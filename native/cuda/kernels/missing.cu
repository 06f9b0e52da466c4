// Interim: kernels still to be written.
#include "../../kernels.h"
#include <stdexcept>
namespace easting::EASTING_VARIANT {
#define MISSING(name, arguments) __attribute__((weak)) void name arguments { throw std::runtime_error(#name ": expected a CUDA kernel, got none yet"); }
MISSING(sum, (In<Real>, double, Out<Real>, bool))
MISSING(dot, (In<Real>, In<Real>, Out<Real>, bool))
MISSING(sum_of_squares, (List<In<Real>>, Out<Real>))
MISSING(broadcast, (In<Real>, double, Out<Real>, bool))
MISSING(channel_sum, (In<Real>, int32_t, Out<Real>, bool))
MISSING(add_bias, (In<Real>, In<Real>, int32_t, Out<Real>))
MISSING(scale_by, (In<Real>, In<Real>, Out<Real>, bool))
MISSING(gather, (In<Real>, In<int32_t>, Out<Real>))
MISSING(scatter, (In<Real>, In<int32_t>, Out<Real>))
MISSING(dyrelu_forward, (In<Stored>, In<Real>, int32_t, int32_t, In<double>, bool, Out<Stored>))
MISSING(dyrelu_backward, (In<Stored>, In<Real>, In<Stored>, int32_t, int32_t, In<double>, bool, Out<Stored>, bool, Out<Real>))
MISSING(cross_entropy_forward, (In<Real>, In<int32_t>, int32_t, double, Out<Real>, Out<Real>))
MISSING(cross_entropy_backward, (In<Real>, In<int32_t>, In<Real>, int32_t, double, Out<Real>, bool))
MISSING(count_correct, (In<Real>, In<int32_t>, int32_t, int32_t, Out<int32_t>))
MISSING(clip_factor, (In<Real>, double, Out<Real>))
MISSING(sgd_step, (List<SgdTensor<Real>>, In<Real>, In<double>, double, double, bool))
MISSING(adam_step, (List<AdamTensor<Real>>, In<Real>, In<double>, double, double, double, double))
MISSING(top_k, (In<Real>, In<int32_t>, In<int32_t>, RandomKey, Out<int32_t>))
MISSING(augment, (In<uint8_t>, In<int32_t>, In<Real>, In<Real>, ConvShape, bool, bool, bool, RandomKey, Out<Stored>))
}
