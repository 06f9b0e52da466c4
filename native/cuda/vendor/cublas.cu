#include "cublas.h"

#include <atomic>
#include <stdexcept>
#include <string>

#include "../launch.cuh"
#include "../runtime.h"
#include "enums.h"
#include "library.h"
#include "open.h"

namespace easting::cuda {
namespace {

struct Functions {
  Opened library{"cuBLAS", "CUBLAS", {"libcublas.so.13", "libcublas.so.12"}};
#define FUNCTION(result, name, arguments) result(*name) arguments = nullptr;
#include "cublas.def"
#undef FUNCTION
  Functions() {
#define FUNCTION(result, name, arguments) library.find(name, #name);
#include "cublas.def"
#undef FUNCTION
  }
};

const Functions& functions() {
  static const Functions opened;  // tried again after a failure
  return opened;
}

void check(int status, const char* call) {
  if (status != enums::success)
    throw std::runtime_error(std::string(call) + ": expected success, got " + functions().cublasGetStatusString(status));
}

std::atomic<void*> handle{nullptr};
constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what cuBLAS wants on Hopper

}  // namespace

Library cublas_library() {
  try {
    return functions().library.describe(functions().cublasGetProperty);
  } catch (const std::runtime_error& error) {
    return {"cuBLAS", "", "", error.what()};
  }
}

bool use_cublas() {
  if (handle) return true;
  if (!cublas_library().reason.empty()) return false;
  void* made = nullptr;
  const cudaStream_t queue = stream();  // chooses the device
  check(functions().cublasCreate_v2(&made), "cublasCreate");
  check(functions().cublasSetStream_v2(made, queue), "cublasSetStream");
  // Its own workspaces would be allocated inside captures, and would make results depend on what ran before.
  check(functions().cublasSetWorkspace_v2(made, allocate(workspace_bytes), workspace_bytes), "cublasSetWorkspace");
  handle = made;
  return true;
}

bool blas_takes(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
  constexpr std::int64_t least_extent = 32, least_products = std::int64_t{1} << 27;
  return handle && rows >= least_extent && columns >= least_extent && depth >= least_extent &&
         rows * columns * depth >= least_products;
}

// cuBLAS counts columns first: it is handed the transposes of all three.
template <class Real>
void multiply(const Gemm<Real>& g) {
  const Real alpha = 1;
  const auto op = [](bool transposed) { return transposed ? enums::transposed : enums::as_it_is; };
  constexpr int type = enums::real_type<Real>;
  check(functions().cublasGemmEx(handle, op(g.b_transposed), op(g.a_transposed), g.columns, g.rows, g.depth, &alpha, g.b,
                                 type, g.b_pitch, g.a, type, g.a_pitch, &g.beta, g.c, type, g.c_pitch,
                                 enums::compute_in<Real>, enums::gemm_default),
        "cublasGemmEx");
}
template void multiply(const Gemm<float>&);
template void multiply(const Gemm<double>&);

}  // namespace easting::cuda
