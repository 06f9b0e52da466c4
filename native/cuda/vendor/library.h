// NVIDIA's libraries, opened when they are asked for: the addon is linked to none of them and loads where there are none.
// Only what is used is declared, in cusparse.def and cublas.def, as their public interfaces have it.
#pragma once
#include <string>
#include <vector>

namespace easting::cuda {

struct Library {
  std::string name, file, version;
  std::string reason;  // why it cannot be used; empty if it can
};
// cuSPARSE and cuBLAS. Slow the first time, as it opens them; touches no device.
std::vector<Library> libraries();

// Take the library into use, as must happen before work is captured: both queue nothing, but need the device.
// Throws std::runtime_error with the reason where there is none.
void use_cusparse();
// From then on large products of f32 matrices are cuBLAS's. False where there is none.
bool use_cublas();

}  // namespace easting::cuda
