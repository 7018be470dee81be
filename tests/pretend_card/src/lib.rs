//! A pretend GPU, for tests on machines without one; `card.cpp` says what it is.
//!
//! It must be [inserted](insert) before anything asks libtorch for devices, and stays to the end of the
//! process. A program of its own gets one by `LD_PRELOAD` of [`LIBRARY`] and the variable
//! `PRETEND_CARDS`, the number of cards.

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem::transmute;
use std::path::Path;
use std::sync::OnceLock;

/// The library's file.
pub const LIBRARY: &str = env!("PRETEND_CARD");

/// What cards have been asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Kernels: operators that put out or change something, copies within a card among them.
    pub launches: u64,
    /// Copies from the machine to a card.
    pub uploads: u64,
    /// Copies from a card to the machine, single numbers among them.
    pub downloads: u64,
    /// How often the program has waited for a card.
    pub waits: u64,
    /// Bytes of all uploads.
    pub uploaded_bytes: u64,
}

type Symbol = *mut c_void;

struct Functions {
    resize: extern "C" fn(u64),
    refuse_kind: extern "C" fn(c_int),
    reset: extern "C" fn(),
    counts: extern "C" fn(&mut [u64; 5]),
    names: extern "C" fn(*mut c_char, u64) -> u64,
}

static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();

/// Puts `count` cards of `bytes` each in; `false` where libtorch has CUDA of its own. Later calls
/// change nothing.
pub fn insert(count: i32, bytes: u64) -> bool {
    FUNCTIONS.get_or_init(|| load(count, bytes)).is_some()
}

fn load(count: i32, bytes: u64) -> Option<Functions> {
    // A program that was moved to another machine looks for a real card.
    if !Path::new(LIBRARY).exists() {
        return None;
    }
    let path = CString::new(LIBRARY).expect("a path");
    // SAFETY: the library is ours; its functions have the types that `card.cpp` gives them.
    unsafe {
        let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
        assert!(!library.is_null(), "{LIBRARY} does not load");
        let symbol = |name: &std::ffi::CStr| {
            let symbol = libc::dlsym(library, name.as_ptr());
            assert!(!symbol.is_null(), "{name:?} is missing");
            symbol
        };
        let insert: extern "C" fn(c_int, u64) -> c_int =
            std::mem::transmute(symbol(c"card_insert"));
        if insert(count, bytes) != 0 {
            return None;
        }
        Some(Functions {
            resize: transmute::<Symbol, extern "C" fn(u64)>(symbol(c"card_resize")),
            refuse_kind: transmute::<Symbol, extern "C" fn(c_int)>(symbol(c"card_refuse_kind")),
            reset: transmute::<Symbol, extern "C" fn()>(symbol(c"card_reset")),
            counts: transmute::<Symbol, extern "C" fn(&mut [u64; 5])>(symbol(c"card_counts")),
            names: transmute::<Symbol, extern "C" fn(*mut c_char, u64) -> u64>(symbol(
                c"card_names",
            )),
        })
    }
}

fn functions() -> &'static Functions {
    let functions = FUNCTIONS.get().and_then(Option::as_ref);
    functions.expect("the card has been inserted")
}

/// Gives every card so many bytes.
pub fn resize(bytes: u64) {
    (functions().resize)(bytes);
}

/// Lets every operator fail that puts out numbers of this kind (as libtorch counts kinds: 6 is
/// float32); -1 for none.
pub fn refuse_kind(kind: i32) {
    (functions().refuse_kind)(kind);
}

/// Begins to count.
pub fn reset() {
    (functions().reset)();
}

/// The counts since [`reset`].
pub fn counts() -> Counts {
    let mut out = [0; 5];
    (functions().counts)(&mut out);
    let [launches, uploads, downloads, waits, uploaded_bytes] = out;
    Counts {
        launches,
        uploads,
        downloads,
        waits,
        uploaded_bytes,
    }
}

/// The operators since [`reset`], a line each with how often.
pub fn names() -> String {
    let mut text = vec![0u8; 1 << 16];
    let length = (functions().names)(text.as_mut_ptr().cast(), text.len() as u64);
    text.truncate(length as usize);
    String::from_utf8(text).expect("names of operators")
}
