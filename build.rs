//! Links every program of this package so that it finds libtorch by itself, and tells it its version.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Handed over by torch-sys (links = "tch"), which must therefore be a direct dependency.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names its library folder");
    // RUNPATH, not RPATH: LD_LIBRARY_PATH must win, to start the same program on a CUDA libtorch.
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{lib}");
    // Nothing refers to libtorch.so, so the linker would drop it, and with it the way to CUDA.
    println!("cargo:rustc-link-arg=-L{lib}");
    println!("cargo:rustc-link-arg=-Wl,--push-state,--no-as-needed,-ltorch,--pop-state");
    compile(&lib);
    println!("cargo:rustc-env=RUNNER_COMMIT={}", commit());
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    println!("cargo:rustc-env=RUNNER_SOURCES={:016x}", sources());
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=Cargo.lock");
}

/// Compiles the functions that `src/libtorch.rs` names.
fn compile(lib: &str) {
    let folder = std::env::var("LIBTORCH_INCLUDE").map_or_else(
        |_| PathBuf::from(lib).join("../include"),
        |folder| PathBuf::from(folder).join("include"),
    );
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .flag_if_supported("-w")
        .debug(false)
        .include(folder)
        .file("src/libtorch.cpp")
        .compile("runner_libtorch");
}

/// A hash of the code that is built: results of other code are not taken over.
fn sources() -> u64 {
    let mut files = vec![PathBuf::from("Cargo.lock")];
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(&std::fs::read(&file).unwrap_or_default());
        file.hash(&mut hasher);
    }
    hasher.finish()
}

/// The commit that is built, for the manifest, with "-modified" where the code differs from it; "unknown"
/// outside a git checkout.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_string())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    let code = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];
    let status = ["status", "--porcelain", "--untracked-files=no", "--"];
    match git(&[&status[..], &code[..]].concat()) {
        Some(changes) if changes.is_empty() => commit,
        _ => commit + "-modified",
    }
}
