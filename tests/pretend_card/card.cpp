// A pretend GPU: CUDA's dispatch key over the CPU's kernels, for machines without a card.
//
// Tensors on it say that they are CUDA's and lie in the machine's own memory. An operator that
// libtorch would hand to a CUDA kernel comes to `fallback`, which looks at its operands as CUDA
// would (all of them on one card, none on the CPU but for numbers), counts it, and has the CPU do
// the work on the same memory. So a program meets here every mistake of placement that it would
// meet on a card, and what it launches, copies and waits for can be counted. Speed, rounding and
// the kernels of CUDA itself are not to be seen.

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

namespace {

using at::Tensor;
using c10::Device;
using c10::DeviceIndex;
using c10::DeviceType;
using c10::IValue;

constexpr DeviceType CARD = DeviceType::CUDA;

DeviceIndex cards = 0;
std::atomic<int64_t> total_bytes{0};
thread_local DeviceIndex current = 0;

// What has been asked of the cards since `card_reset`; see `Counts` in lib.rs.
struct Counts {
  std::atomic<uint64_t> launches, uploads, downloads, waits, uploaded_bytes;
} counts;
// A kind of numbers that no operator may put out, or -1.
std::atomic<int> refused_kind{-1};
std::mutex names_mutex;
std::map<std::string, uint64_t> names;

void count_name(const std::string& name) {
  std::lock_guard<std::mutex> lock(names_mutex);
  names[name]++;
}

// ---- memory

struct Usage {
  std::atomic<int64_t> current{0}, peak{0};
} usage[16];

void take(DeviceIndex card, int64_t bytes) {
  auto& of = usage[card];
  auto now = of.current.fetch_add(bytes) + bytes;
  if (now > total_bytes.load()) {
    of.current.fetch_sub(bytes);
    TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", bytes, " bytes.");
  }
  for (auto peak = of.peak.load(); peak < now && !of.peak.compare_exchange_weak(peak, now);) {
  }
}

// A piece of a card's memory: of its own, or that of a result which the CPU has put out.
struct Piece {
  DeviceIndex card;
  int64_t bytes;
  void* own;
  c10::Storage result;
};

void release(void* context) {
  auto* piece = static_cast<Piece*>(context);
  usage[piece->card].current.fetch_sub(piece->bytes);
  std::free(piece->own);
  delete piece;
}

c10::DataPtr memory(DeviceIndex card, int64_t bytes) {
  take(card, bytes);
  void* own = bytes == 0 ? nullptr : std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  return {own, new Piece{card, bytes, own, {}}, &release, Device(CARD, card)};
}

c10::DataPtr memory_of(DeviceIndex card, const c10::Storage& result) {
  auto bytes = static_cast<int64_t>(result.nbytes());
  take(card, bytes);
  return {result.mutable_data(), new Piece{card, bytes, nullptr, result}, &release, Device(CARD, card)};
}

struct Allocator final : c10::DeviceAllocator {
  c10::DataPtr allocate(size_t bytes) override { return memory(current, static_cast<int64_t>(bytes)); }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(DeviceIndex card) override {
    c10::CachingDeviceAllocator::DeviceStats stats;
    stats.allocated_bytes[0].current = usage[card].current;
    stats.allocated_bytes[0].peak = usage[card].peak;
    return stats;
  }
  void resetAccumulatedStats(DeviceIndex) override {}
  void resetPeakStats(DeviceIndex card) override { usage[card].peak = usage[card].current.load(); }
  std::pair<size_t, size_t> getMemoryInfo(DeviceIndex card) override {
    auto total = total_bytes.load();
    return {std::max<int64_t>(total - usage[card].current, 0), total};
  }
};

Allocator& allocator() {
  static auto* allocator = new Allocator();
  return *allocator;
}

// ---- the device

struct Guard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return CARD; }
  Device exchangeDevice(Device device) const override {
    Device before(CARD, current);
    current = device.index();
    return before;
  }
  Device getDevice() const override { return {CARD, current}; }
  void setDevice(Device device) const override { current = device.index(); }
  void uncheckedSetDevice(Device device) const noexcept override { current = device.index(); }
  c10::Stream getStream(Device device) const override { return c10::Stream(c10::Stream::DEFAULT, {CARD, std::max<DeviceIndex>(device.index(), 0)}); }
  c10::Stream getDefaultStream(Device device) const override { return getStream(device); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  DeviceIndex deviceCount() const noexcept override { return cards; }
  void record(void** event, const c10::Stream&, const DeviceIndex, const c10::EventFlag) const override { *event = nullptr; }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override { counts.waits++; }
  void synchronizeEvent(void*) const override { counts.waits++; }
  void synchronizeDevice(const DeviceIndex) const override { counts.waits++; }
};

struct Hooks final : at::CUDAHooksInterface {
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex current_device() const override { return current; }
  DeviceIndex deviceCount() const override { return cards; }
  int getNumGPUs() const override { return cards; }
  DeviceIndex getCurrentDevice() const override { return current; }
  void setCurrentDevice(DeviceIndex card) const override { current = card; }
  DeviceIndex exchangeDevice(DeviceIndex card) const override { return std::exchange(current, card); }
  DeviceIndex maybeExchangeDevice(DeviceIndex card) const override { return std::exchange(current, card); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
  c10::Allocator* getCUDADeviceAllocator() const override { return &allocator(); }
  void deviceSynchronize(DeviceIndex) const override { counts.waits++; }
};

// ---- operators

// The operands of one call as tensors of the CPU over the same memory, and back.
class Call {
 public:
  explicit Call(const std::string& name) : name(name) {}

  std::optional<DeviceIndex> card;

  Tensor on_cpu(const Tensor& t) {
    if (!t.defined()) return t;
    if (!t.is_cuda()) {
      TORCH_CHECK(t.dim() == 0, name, ": expected all tensors to be on the same device, found ", t.sizes(), " on the CPU beside one on a card");
      return t;
    }
    TORCH_CHECK(card.value_or(t.device().index()) == t.device().index(), name, ": expected all tensors to be on the same card");
    card = t.device().index();
    if (t.storage().nbytes() == 0) {
      auto empty = at::detail::empty_cpu(t.sizes(), t.scalar_type());
      originals.emplace(empty.unsafeGetTensorImpl(), std::make_pair(empty, t));
      return empty;
    }
    auto alias = make(storage_on_cpu(t.storage()), c10::DispatchKey::CPU, t);
    originals.emplace(alias.unsafeGetTensorImpl(), std::make_pair(alias, t));
    return alias;
  }

  Tensor on_card(const Tensor& t) {
    if (!t.defined() || t.is_cuda()) return t;
    auto known = originals.find(t.unsafeGetTensorImpl());
    if (known != originals.end()) {
      adopt(known->second.second, t);
      return known->second.second;
    }
    TORCH_CHECK(t.scalar_type() != static_cast<c10::ScalarType>(refused_kind.load()), name, " puts out ", t.scalar_type(), ", which is refused");
    for (auto& [original, storage] : storages)
      if (storage.second.unsafeGetStorageImpl() == t.storage().unsafeGetStorageImpl())
        return make(storage.first, c10::DispatchKey::CUDA, t);
    c10::Storage storage(c10::Storage::use_byte_size_t(), t.storage().nbytes(), memory_of(*card, t.storage()), &allocator(), false);
    return make(storage, c10::DispatchKey::CUDA, t);
  }

 private:
  static Tensor make(c10::Storage storage, c10::DispatchKey key, const Tensor& like) {
    auto t = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
    t.unsafeGetTensorImpl()->set_storage_offset(like.storage_offset());
    t.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides());
    return t;
  }

  c10::Storage storage_on_cpu(const c10::Storage& storage) {
    auto found = storages.find(storage.unsafeGetStorageImpl());
    if (found == storages.end()) {
      auto* held = new c10::Storage(storage);
      c10::DataPtr data(storage.mutable_data(), held, [](void* held) { delete static_cast<c10::Storage*>(held); }, Device(DeviceType::CPU));
      c10::Storage alias(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(data), nullptr, false);
      found = storages.emplace(storage.unsafeGetStorageImpl(), std::make_pair(storage, alias)).first;
    }
    return found->second.second;
  }

  // An operand that the operator has changed in shape, or that was empty and was given memory.
  void adopt(const Tensor& original, const Tensor& t) {
    auto* impl = original.unsafeGetTensorImpl();
    if (original.storage().nbytes() == 0 && t.storage().nbytes() != 0)
      impl->set_storage_keep_dtype(c10::Storage(c10::Storage::use_byte_size_t(), t.storage().nbytes(), memory_of(*card, t.storage()), &allocator(), true));
    if (original.sizes() != t.sizes() || original.strides() != t.strides()) impl->set_sizes_and_strides(t.sizes(), t.strides());
  }

  const std::string& name;
  // Every alias with what it stands for: both live as long as the call, so that no address is used twice.
  std::unordered_map<c10::TensorImpl*, std::pair<Tensor, Tensor>> originals;
  std::unordered_map<c10::StorageImpl*, std::pair<c10::Storage, c10::Storage>> storages;
};

template <typename F>
IValue mapped(const IValue& value, F f) {
  if (value.isTensor()) return f(value.toTensor());
  if (value.isTensorList()) {
    c10::List<Tensor> list;
    for (const Tensor& t : value.toTensorVector()) list.push_back(f(t));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> list;
    for (const auto& t : value.toOptionalTensorVector()) list.push_back(t ? std::optional<Tensor>(f(*t)) : std::nullopt);
    return list;
  }
  return value;
}

// Operators after which CUDA waits for the card, since the size or value of a result is asked for.
const std::set<std::string> WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::is_nonzero", "aten::_unique2", "aten::bincount", "aten::repeat_interleave.Tensor"};

bool is_view(const c10::FunctionSchema& schema) {
  for (const auto& returned : schema.returns())
    if (returned.alias_info() && !returned.alias_info()->isWrite()) return true;
  return false;
}

struct Silent : c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

void fallback(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  // On a card no thread of the machine helps another, or waits for it.
  thread_local bool alone = (at::set_num_threads(1), true);
  (void)alone;
  const auto& schema = op.schema();
  auto name = toString(op.operator_name());
  Call call(name);
  auto first = stack->size() - schema.arguments().size();
  std::optional<DeviceIndex> made_on;
  for (auto i = first; i < stack->size(); i++) {
    auto& value = (*stack)[i];
    if (value.isDevice() && value.toDevice().is_cuda()) {
      made_on = value.toDevice().has_index() ? value.toDevice().index() : current;
      value = Device(DeviceType::CPU);
    } else {
      value = mapped(value, [&](const Tensor& t) { return call.on_cpu(t); });
    }
  }
  if (!call.card) call.card = made_on.value_or(current);
  if (WAITING.count(name)) {
    counts.waits++;
    counts.downloads++;
    count_name("wait " + name);
  } else if (!is_view(schema)) {
    counts.launches++;
    count_name(name);
  }
  // Of outputs that the CPU would make otherwise.
  static Silent silent;
  c10::WarningUtils::WarningHandlerGuard guard(&silent);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  first = stack->size() - schema.returns().size();
  for (auto i = first; i < stack->size(); i++)
    (*stack)[i] = mapped((*stack)[i], [&](const Tensor& t) { return call.on_card(t); });
}

Tensor empty(c10::SymIntArrayRef size, std::optional<c10::ScalarType> kind, std::optional<c10::Layout>, std::optional<Device> device, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  auto before = std::exchange(current, device && device->has_index() ? device->index() : current);
  auto t = at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &allocator(), c10::DispatchKeySet(c10::DispatchKey::CUDA), kind.value_or(c10::ScalarType::Float), format);
  current = before;
  return t;
}

Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<c10::ScalarType> kind, std::optional<c10::Layout>, std::optional<Device> device, std::optional<bool>) {
  auto before = std::exchange(current, device && device->has_index() ? device->index() : current);
  auto t = at::detail::empty_strided_generic(C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &allocator(), c10::DispatchKeySet(c10::DispatchKey::CUDA), kind.value_or(c10::ScalarType::Float));
  current = before;
  return t;
}

// To, from, or within a card: between machine and card the program waits unless it says otherwise.
Tensor& copy_(Tensor& to, const Tensor& from, bool non_blocking) {
  std::string name = "aten::copy_";
  Call target(name), source(name);
  auto target_on_cpu = to.is_cuda() ? target.on_cpu(to) : to;
  auto source_on_cpu = from.is_cuda() ? source.on_cpu(from) : from;
  if (to.is_cuda() && from.is_cuda()) {
    counts.launches++;
  } else {
    (to.is_cuda() ? counts.uploads : counts.downloads)++;
    if (to.is_cuda()) counts.uploaded_bytes += from.nbytes();
    if (!non_blocking) counts.waits++;
  }
  count_name(to.is_cuda() ? from.is_cuda() ? "aten::copy_" : "upload" : "download");
  target_on_cpu.copy_(source_on_cpu);
  return to;
}

void insert(DeviceIndex count) {
  cards = count;
  at::CUDAHooksRegistry()->Register("CUDAHooks", [](at::CUDAHooksArgs) -> std::unique_ptr<at::CUDAHooksInterface> { return std::make_unique<Hooks>(); });
  auto* any = new torch::Library(torch::Library::IMPL, "_", c10::DispatchKey::CUDA, __FILE__, __LINE__);
  any->fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
  auto* aten = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CUDA, __FILE__, __LINE__);
  aten->impl("empty.memory_format", TORCH_FN(empty));
  aten->impl("empty_strided", TORCH_FN(empty_strided));
  aten->impl("copy_", TORCH_FN(copy_));
  // One kernel of cuDNN each; libtorch would choose between kernels that are not there.
  for (auto* name : {"convolution", "_convolution", "convolution_backward"})
    aten->impl(name, torch::CppFunction::makeFromBoxedFunction<&fallback>());
}

}  // namespace

extern "C" {

// Puts `count` cards of so many bytes in; 1 where libtorch has CUDA of its own.
int card_insert(int count, uint64_t bytes) {
  static std::once_flag once;
  if (cards == 0 && at::CUDAHooksRegistry()->Has("CUDAHooks")) return 1;
  total_bytes = static_cast<int64_t>(bytes);
  std::call_once(once, [&] { insert(static_cast<DeviceIndex>(count)); });
  c10::SetAllocator(CARD, &allocator(), 0);
  c10::impl::device_guard_impl_registry[static_cast<size_t>(CARD)].store(new Guard());
  return 0;
}

void card_resize(uint64_t bytes) { total_bytes = static_cast<int64_t>(bytes); }

void card_refuse_kind(int kind) { refused_kind = kind; }

void card_reset() {
  counts.launches = counts.uploads = counts.downloads = counts.waits = counts.uploaded_bytes = 0;
  std::lock_guard<std::mutex> lock(names_mutex);
  names.clear();
}

void card_counts(uint64_t* out) {
  out[0] = counts.launches;
  out[1] = counts.uploads;
  out[2] = counts.downloads;
  out[3] = counts.waits;
  out[4] = counts.uploaded_bytes;
}

// The operators since `card_reset`, a line each with how often: as many bytes as fit.
uint64_t card_names(char* out, uint64_t size) {
  std::lock_guard<std::mutex> lock(names_mutex);
  std::string text;
  for (auto& [name, count] : names) text += name + " " + std::to_string(count) + "\n";
  auto length = std::min<uint64_t>(size, text.size());
  std::memcpy(out, text.data(), length);
  return length;
}
}

// A program that is started with this library in LD_PRELOAD has cards from the beginning.
__attribute__((constructor)) void card_insert_by_environment() {
  if (auto* count = std::getenv("PRETEND_CARDS")) card_insert(std::atoi(count), uint64_t{8} << 30);
}
