// What native/cuda/vendor uses of cuBLAS, in plain loops over host memory, for the emulated device.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "cuda_runtime.h"
#include "cuda/vendor/enums.h"

namespace enums = easting::cuda::enums;

namespace {

struct Context {
  cudaStream_t stream = nullptr;
  std::size_t workspace = 0;
};

}  // namespace

extern "C" {

int cublasGetProperty(int type, int* value) {
  *value = type == enums::major_version ? 13 : 0;
  return enums::success;
}

const char* cublasGetStatusString(int) { return "refused by the emulated cuBLAS"; }

int cublasCreate_v2(void** handle) {
  *handle = new Context;
  return enums::success;
}

// Also takes the workspace away, as cuBLAS does.
int cublasSetStream_v2(void* handle, cudaStream_t stream) {
  *static_cast<Context*>(handle) = {stream, 0};
  return enums::success;
}

int cublasSetWorkspace_v2(void* handle, void* workspace, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0) return enums::cublas_invalid_value;
  static_cast<Context*>(handle)->workspace = bytes;
  return enums::success;
}

// Column after column: c[i + j c_pitch] = alpha Σ op(a)(i, l) op(b)(l, j) + beta c[…].
int cublasGemmEx(void* handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a, int a_type,
                 int a_pitch, const void* b, int b_type, int b_pitch, const void* beta, void* c, int c_type, int c_pitch,
                 int compute_type, int algorithm) {
  const auto* context = static_cast<const Context*>(handle);
  const bool a_turned = op_a == enums::transposed, b_turned = op_b == enums::transposed;
  if (context->workspace == 0 || a_type != c_type || b_type != c_type || algorithm != enums::gemm_default ||
      a_pitch < (a_turned ? k : m) || b_pitch < (b_turned ? n : k) || c_pitch < m)
    return enums::cublas_invalid_value;
  const auto run = [&](auto zero) -> int {
    using Real = decltype(zero);
    if (compute_type != enums::compute_in<Real>) return enums::cublas_invalid_value;
    const auto *left = static_cast<const Real*>(a), *right = static_cast<const Real*>(b);
    auto* to = static_cast<Real*>(c);
    const Real by = *static_cast<const Real*>(alpha), keep = *static_cast<const Real*>(beta);
    const cudaError_t error = context->stream->act([=] {
      std::vector<double> sums(m);
      const auto factor = [&](std::int64_t l, std::int64_t j) {
        return static_cast<double>(right[b_turned ? j + l * b_pitch : l + j * b_pitch]);
      };
      for (std::int64_t j = 0; j < n; ++j) {
        sums.assign(m, 0);
        if (a_turned) {  // either way the inner loop reads neighbours
          for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t l = 0; l < k; ++l) sums[i] += static_cast<double>(left[l + i * a_pitch]) * factor(l, j);
        } else {
          for (std::int64_t l = 0; l < k; ++l)
            for (std::int64_t i = 0; i < m; ++i) sums[i] += static_cast<double>(left[i + l * a_pitch]) * factor(l, j);
        }
        for (std::int64_t i = 0; i < m; ++i) {
          Real& at = to[i + j * c_pitch];
          at = by * static_cast<Real>(sums[i]) + (keep == 0 ? Real(0) : keep * at);
        }
      }
    });
    return error == cudaSuccess ? enums::success : enums::cublas_invalid_value;
  };
  return c_type == enums::real_type<double> ? run(double{}) : run(float{});
}

}  // extern "C"
