#include "library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "enums.h"
#include "open.h"

namespace easting::cuda {

Opened::Opened(const char* name, const char* suffix, std::initializer_list<const char*> files) : name_(name) {
  const std::string variable = std::string("EASTING_") + suffix;
  std::vector<std::string> candidates;
  if (const char* named = std::getenv(variable.c_str()); named && *named) {
    candidates = {named};
  } else {
    const char* toolkit = std::getenv("CUDA_PATH");
    const char* folders = std::getenv("EASTING_CUDA_LIBRARY_PATH");
    for (const char* file : files) {
      std::istringstream each(folders ? folders : "");
      for (std::string folder; std::getline(each, folder, ':');)
        if (!folder.empty()) candidates.push_back(folder + "/" + file);
      candidates.emplace_back(file);
      if (toolkit && *toolkit) candidates.push_back(std::string(toolkit) + "/lib64/" + file);
      candidates.push_back(std::string("/usr/local/cuda/lib64/") + file);
    }
  }
  std::string complaint;
  for (const std::string& file : candidates) {
    library_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_) {
      file_ = file;
      return;
    }
    const std::string said = dlerror();
    if (complaint.empty() || !said.starts_with(file)) complaint = said;  // rather what a file that is there lacks
  }
  throw std::runtime_error(name_ + ": expected the library " + candidates.front() + ", got none (" + complaint +
                           "); install the CUDA toolkit, or set " + variable + " to the library's file");
}

Library Opened::describe(int (*property)(int, int*)) const {
  int version[3] = {};
  for (const int part : {enums::major_version, enums::minor_version, enums::patch_level}) property(part, &version[part]);
  return {name_, file_, std::to_string(version[0]) + "." + std::to_string(version[1]) + "." + std::to_string(version[2]), ""};
}

void* Opened::address(const char* symbol) const {
  void* found = dlsym(library_, symbol);
  if (!found)
    throw std::runtime_error(name_ + ": expected the function " + symbol + " in " + file_ + ", got none; install CUDA 12 or 13");
  return found;
}

std::vector<Library> libraries() { return {cusparse_library(), cublas_library()}; }

}  // namespace easting::cuda
