// Runs a TorchScript file, or one for the lite interpreter, without Python, and writes its logits.
//
//   native RUNTIME ENGINE FILE OUTPUT PICTURES LOGITS N C H W [CALLERS CALLS SECONDS TIMES]
//   native
//
// RUNTIME is `torchscript` or `lite_interpreter`; ENGINE the quantized engine, or `none` for a float file. OUTPUT says
// where the logits are in what a call returns: `tensor`, `tuple:N` (or a list) or `dict:KEY`. PICTURES holds N*C*H*W
// float32 numbers in the machine's byte order; each picture is run alone. LOGITS will hold one row of float32 numbers
// for each; then, of CALLERS threads that share the module and begin together, the rows of each one's CALLS: caller I
// begins with picture I, and goes on in their order. SIGALRM ends them after SECONDS and TIMES what their calls would
// take one by one. On standard output stands each stage as it begins; then `failed`
// and what libtorch says (exit status 1), or the shape of the logits. Without arguments the program says which libtorch
// it was built against and which libraries it runs with, by name and one a line.

#ifdef __APPLE__
#include <mach-o/dyld.h>
#else
#include <link.h>
#endif

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/csrc/jit/mobile/import.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using Model = std::function<c10::IValue(const at::Tensor&)>;

void say(const std::string& line) {
  std::cout << line << std::endl;  // flushed: what is said last tells where a crash came
}

void set_engine(const std::string& name) {
  at::set_num_threads(1);
  if (name == "none") {
    return;
  }
  for (const auto engine : at::globalContext().supportedQEngines()) {
    auto own = c10::toString(engine);
    std::transform(own.begin(), own.end(), own.begin(), [](unsigned char letter) { return std::tolower(letter); });
    if (own == name) {
      at::globalContext().setQEngine(engine);
      return;
    }
  }
  throw std::runtime_error("libtorch has no quantized engine " + name);
}

Model load(const std::string& runtime, const std::string& file) {
  if (runtime == "lite_interpreter") {
    auto module = torch::jit::_load_for_mobile(file);
    return [module](const at::Tensor& x) mutable { return module.forward({x}); };
  }
  if (runtime == "torchscript") {
    auto module = torch::jit::load(file);
    return [module](const at::Tensor& x) mutable { return module.forward({x}); };
  }
  throw std::runtime_error("there is no runtime " + runtime);
}

c10::IValue element(const std::string& output, const c10::IValue& returned) {
  const std::string tuple = "tuple:";
  const std::string dict = "dict:";
  if (output == "tensor") {
    return returned;
  }
  if (output.compare(0, dict.size(), dict) == 0 && returned.isGenericDict()) {
    for (const auto& entry : returned.toGenericDict()) {
      if (entry.key().isString() && entry.key().toStringRef() == output.substr(dict.size())) {
        return entry.value();
      }
    }
  }
  if (output.compare(0, tuple.size(), tuple) == 0) {
    const auto at = static_cast<size_t>(std::stoull(output.substr(tuple.size())));
    if (returned.isTuple() && at < returned.toTupleRef().elements().size()) {
      return returned.toTupleRef().elements()[at];
    }
    if (returned.isList() && at < returned.toListRef().size()) {
      return returned.toListRef()[at];
    }
  }
  throw std::runtime_error("the model returned a " + returned.tagKind() + ", which has no " + output);
}

at::Tensor taken(const std::string& output, const c10::IValue& returned) {
  const auto found = element(output, returned);
  if (!found.isTensor()) {
    throw std::runtime_error("the model returned a " + found.tagKind() + " where " + output + " names a tensor");
  }
  return found.toTensor();
}

at::Tensor read(const std::string& path, const std::vector<int64_t>& shape) {
  auto pictures = at::empty(shape, at::kFloat);
  std::ifstream in(path, std::ios::binary);
  in.read(static_cast<char*>(pictures.data_ptr()), static_cast<std::streamsize>(pictures.nbytes()));
  if (!in || in.peek() != std::ifstream::traits_type::eof()) {
    throw std::runtime_error(path + " does not hold float32 numbers of that shape");
  }
  return pictures;
}

void write(const std::string& path, const at::Tensor& logits) {
  std::ofstream out(path, std::ios::binary);
  out.write(static_cast<const char*>(logits.data_ptr()), static_cast<std::streamsize>(logits.nbytes()));
  if (!out.flush()) {
    throw std::runtime_error("cannot write " + path);
  }
}

void end_after(double seconds) {
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(seconds);
  timer.it_value.tv_usec = static_cast<suseconds_t>((seconds - static_cast<double>(timer.it_value.tv_sec)) * 1e6);
  setitimer(ITIMER_REAL, &timer, nullptr);
}

using Call = std::function<at::Tensor(const at::Tensor&)>;
using Rows = std::vector<at::Tensor>;

void call(const Call& answer, const Rows& pictures, size_t first, size_t calls, Rows& rows) {
  const at::NoGradGuard no_gradients;  // a thread's own, as the number of threads is
  at::set_num_threads(1);
  for (size_t i = first; i < first + calls; ++i) {
    rows.push_back(answer(pictures[i % pictures.size()]));
  }
}

Rows called_at_once(const Call& answer, const Rows& pictures, size_t callers, size_t calls) {
  std::vector<Rows> rows(callers);
  std::vector<std::exception_ptr> failures(callers);
  std::vector<std::thread> threads;
  std::atomic<size_t> ready{0};
  for (size_t number = 0; number < callers; ++number) {
    threads.emplace_back([&, number] {
      ++ready;
      while (ready < callers) {
        std::this_thread::yield();
      }
      try {
        call(answer, pictures, number, calls, rows[number]);
      } catch (...) {
        failures[number] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  Rows all;
  for (size_t number = 0; number < callers; ++number) {
    if (failures[number]) {
      std::rethrow_exception(failures[number]);
    }
    all.insert(all.end(), rows[number].begin(), rows[number].end());
  }
  return all;
}

void run(const std::vector<std::string>& words) {
  std::vector<int64_t> shape;
  for (size_t i = 6; i < 10; ++i) {
    shape.push_back(std::stoll(words[i]));
  }
  say("set_engine");
  set_engine(words[1]);
  say("load");
  auto model = load(words[0], words[2]);
  say("run");
  const auto pictures = read(words[4], shape).split(1);
  const Call answer = [&](const at::Tensor& x) { return taken(words[3], model(x)); };
  Rows rows;
  const auto start = std::chrono::steady_clock::now();
  call(answer, pictures, 0, pictures.size(), rows);
  if (words.size() > 10) {
    const auto callers = std::stoull(words[10]);
    const auto calls = std::stoull(words[11]);
    const std::chrono::duration<double> serial = std::chrono::steady_clock::now() - start;
    const auto each = serial.count() / static_cast<double>(pictures.size());
    end_after(std::stod(words[12]) + std::stod(words[13]) * each * static_cast<double>(callers * calls));
    const auto more = called_at_once(answer, pictures, callers, calls);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  const auto logits = at::cat(rows).to(at::kFloat).contiguous();
  write(words[5], logits);
  say(std::to_string(logits.size(0)) + " " + std::to_string(logits.size(1)));
}

void say_library(const std::string& path) {
  if (!path.empty()) {  // as the program itself has it
    say(path.substr(path.rfind('/') + 1));
  }
}

void say_libraries() {
#ifdef __APPLE__
  for (uint32_t i = 0; i < _dyld_image_count(); ++i) {
    say_library(_dyld_get_image_name(i));
  }
#else
  const auto each = [](dl_phdr_info* library, size_t, void*) {
    say_library(library->dlpi_name);
    return 0;
  };
  dl_iterate_phdr(each, nullptr);
#endif
}

}  // namespace

int main(int count, char** words) {
  if (count == 1) {
    say(TORCH_VERSION);
    say_libraries();
    return 0;
  }
  if (count != 11 && count != 15) {
    std::cerr << "usage: native [RUNTIME ENGINE FILE OUTPUT PICTURES LOGITS N C H W [CALLERS CALLS SECONDS TIMES]]" << std::endl;
    return 2;
  }
  try {
    run({words + 1, words + count});
  } catch (const std::exception& error) {
    say(std::string("failed ") + error.what());
    return 1;
  }
  return 0;
}
