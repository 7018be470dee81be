//! Compiles the pretend card to a library that a process can load.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=card.cpp");
    println!("cargo:rerun-if-changed=build.rs");
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names its library folder");
    let include = Path::new(&lib).join("../include");
    let out = std::env::var("OUT_DIR").expect("cargo names a folder");
    let library = Path::new(&out).join("libpretend_card.so");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .flag("-w")
        .debug(false)
        .opt_level(1);
    build.include(&include);
    build.include(include.join("torch/csrc/api/include"));
    let mut compiler: Command = build.get_compiler().to_command();
    compiler.args(["-shared", "card.cpp", "-o"]).arg(&library);
    compiler.arg(format!("-L{lib}"));
    compiler.args(["-ltorch_cpu", "-lc10"]);
    compiler.arg(format!("-Wl,-rpath,{lib}"));
    assert!(compiler.status().expect("a C++ compiler").success());
    println!("cargo:rustc-env=PRETEND_CARD={}", library.display());
}
